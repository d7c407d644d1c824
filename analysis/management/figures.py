"""Figures of management: time to effect of every verb, interruption of every operation."""

import math
from collections.abc import Sequence

from analysis import plots, quantities
from analysis.figures import dressed
from analysis.management.shown import said
from analysis.section import Figure
from analysis.shown import Row

_LEAST_NS = 1e5
"""Shorter times are drawn here: a logarithmic axis has no 0."""


def effects(rows: Sequence[Row], variants: Sequence[str]) -> Figure | None:
    """Time to effect: a line per verb, a dot per variant."""
    return _dots(
        _drawn(rows, "verb", "effect"),
        variants,
        title="Time to effect",
        what="from the call to its effect",
        caption="Medians of all attempts, bars are 95 % intervals; the time has a logarithmic scale, "
        "and what is below 100 µs stands at its beginning. Verbs whose median never came, and those "
        "that a variant lacks, have no dot.",
    )


def interruptions(rows: Sequence[Row], variants: Sequence[str]) -> Figure | None:
    """Interruption: a line per operation, a dot per variant."""
    return _dots(
        _drawn(rows, "operation", "interruption"),
        variants,
        title="What the instance's users notice",
        what="longest interruption",
        caption="Medians over operations, bars are 95 % intervals; the time has a logarithmic scale, "
        "and what is below 100 µs stands at its beginning. The interruption of pause and stop holds the "
        "time that was meant to pass until they were undone.",
    )


def _drawn(rows: Sequence[Row], name: str, value: str) -> list[Row]:
    """Rows that have a number, named by verb and what else varied."""
    found = []
    for r in rows:
        number = r[f"{value}_ns"]
        if r["scope"] != "fleet" or number is None or math.isinf(number):
            continue
        under = "" if r["beside"] == "same for all" else f", {r['beside']}"
        high = r[f"{value}_high_ns"]
        found.append(
            {
                "name": f"{said(r[name])}{under}",
                "variant": r["variant"],
                "evidence": r["evidence"],
                "value_ns": max(number, _LEAST_NS),
                "low_ns": _least(r[f"{value}_low_ns"]),
                "high_ns": None if high is None or math.isinf(high) else max(high, _LEAST_NS),
            }
        )
    return found


def _least(value: float | None) -> float | None:
    return None if value is None else max(value, _LEAST_NS)


def _dots(
    drawn: list[Row], variants: Sequence[str], *, title: str, what: str, caption: str
) -> Figure | None:
    if not drawn:
        return None
    drawn, looks = dressed(drawn, variants)
    ends = [v for r in drawn for v in (r["value_ns"], r["low_ns"], r["high_ns"]) if v is not None]
    axis = plots.time_axis(ends, what, log_from=1.0)
    words = [f"{r['name']}: {r['variant']} {quantities.duration(r['value_ns'])}." for r in drawn[:60]]
    return Figure(
        title=title,
        panels=plots.draw([plots.dot_panel("", drawn, looks, axis)], wide=True),
        legend=looks,
        caption=caption,
        alternative="Dots with intervals, one per line and variant. " + " ".join(words),
    )
