"""Figures of isolation: the victim's latency over the phases, and its degradation."""

import math
from collections.abc import Sequence

import altair as alt

from analysis import plots, quantities
from analysis.figures import MOST_PANELS, by, dressed, left_out
from analysis.plots import Axis, chart, colour, dash
from analysis.section import Figure, LegendEntry
from analysis.shown import Row

_LOG_FROM = 4.0
_MARGIN = 1.08
_TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def named(row: Row) -> str:
    """Stress and limits, and what else varied, as a panel is titled."""
    bounds = "limited" if row["limited"] else "unlimited"
    beside = "" if row["beside"] == "same for all" else f", {row['beside']}"
    return f"{row['stress']}, {bounds} stressors{beside}"


def timeline(rows: Sequence[Row], variants: Sequence[str]) -> Figure | None:
    """Latency over time, a panel per stress and limits."""
    known = [r | {"panel": named(r)} for r in rows if math.isfinite(r["p50_ns"])]
    if not known:
        return None
    known, looks = dressed(known, variants)
    groups = by(known, "panel")
    axis = plots.time_axis([r["p50_ns"] for r in known], "victim's latency")
    said = [
        f"{title}: {variant} {', '.join(_by_phase(own))}."
        for title, some in groups[:MOST_PANELS]
        for variant, own in by(some, "variant")
    ]
    return Figure(
        title="The victim's latency before, under and after stress",
        panels=plots.draw(
            [_timeline_panel(title, some, looks, axis) for title, some in groups[:MOST_PANELS]]
        ),
        legend=looks,
        caption="Median over all trials of requests by their planned moment. Dashed upright lines are "
        "where stress begins and ends. Slices of which half or more was never answered are left out."
        + left_out(len(groups)),
        alternative="Lines over three phases. " + " ".join(said[:40]),
    )


def degradation(rows: Sequence[Row], variants: Sequence[str]) -> Figure | None:
    """Degradation of every variant with intervals: a line per stress and limits."""
    drawn = [
        {
            "name": named(r),
            "variant": r["variant"],
            "evidence": r["evidence"],
            "value_ns": r["degradation"],
            "low_ns": r["degradation_low"],
            "high_ns": r["degradation_high"],
        }
        for r in rows
        if r["scope"] == "fleet" and r["degradation"] is not None
    ]
    if not drawn:
        return None
    drawn, looks = dressed(drawn, variants)
    axis = _axis([v for r in drawn for v in (r["value_ns"], r["low_ns"], r["high_ns"]) if v])
    said = [f"{r['name']}: {r['variant']} {quantities.ratio(r['value_ns'])}." for r in drawn[:40]]
    return Figure(
        title="How many times as long the victim takes under stress",
        panels=plots.draw([plots.dot_panel("", drawn, looks, axis)], wide=True),
        legend=looks,
        caption="Median under stress over median before it, paired within each trial; bars are 95 % "
        "intervals, 1 is no harm. A victim that did not report has no dot.",
        alternative="Dots with intervals, one per stress, limits and variant. " + " ".join(said),
    )


def _timeline_panel(title: str, rows: Sequence[Row], looks: Sequence[LegendEntry], axis: Axis) -> Row:
    phase_s = rows[0]["phase_s"]
    data = [{"v": r["variant"], "x": r["at_s"], "y": axis.scaled(r["p50_ns"])} for r in rows]
    x = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[0, 3 * phase_s], nice=False),
        axis=alt.Axis(title="time, s", format="~r", tickCount=6, grid=False),
    )
    y = alt.Y("y:Q", scale=axis.scale(), axis=axis.axis())
    marks = chart([{"x": phase_s}, {"x": 2 * phase_s}]).mark_rule(strokeDash=[6, 4], opacity=0.6)
    lines = chart(data).mark_line(strokeWidth=1.6)
    drawn = lines.encode(x=x, y=y, color=colour(looks), strokeDash=dash(looks))
    return {"title": title, "chart": alt.layer(marks.encode(x=x), drawn), "height": 200}


def _by_phase(rows: Sequence[Row]) -> list[str]:
    """The middle of each phase's slices, in words."""
    found = []
    for number, said in enumerate(("before", "under stress", "after")):
        own = sorted(r["p50_ns"] for r in rows if int(r["at_s"] // r["phase_s"]) == number)
        if own:
            found.append(f"{quantities.duration(own[len(own) // 2])} {said}")
    return found


def _axis(values: Sequence[float]) -> Axis:
    low, high = min(*values, 1.0) / _MARGIN, max(*values, 1.0) * _MARGIN
    if high / low <= _LOG_FROM:
        return Axis("times the median before stress", 1, low, high)
    ticks = tuple(tick for tick in _TICKS if low <= tick <= high)
    return Axis("times the median before stress", 1, low, high, ticks, "format(datum.value, '~r')")
