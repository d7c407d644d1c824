"""Figures of overhead: how many times as long work takes as in the baseline."""

from collections.abc import Sequence

from analysis import plots, quantities
from analysis.figures import MOST_PANELS, by, dressed, left_out
from analysis.plots import Axis
from analysis.section import Figure
from analysis.shown import Row

_LOG_FROM = 3.0
_MARGIN = 1.08
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


TIMES = "How many times as long the same work takes", "1 is no overhead."
REPORTED = (
    "How many times as much commands reported",
    "1 is the same; the tables say which way is better.",
)


def ratios(
    rows: Sequence[Row], variants: Sequence[str], words: tuple[str, str] = TIMES
) -> Figure | None:
    """Ratio of every variant to each baseline, with intervals: a line per condition, so per work."""
    title, meaning = words
    known = [r for r in rows if r["ratio"] is not None]
    if not known:
        return None
    drawn = [
        {
            "name": r["conditions"],
            "variant": r["other"],
            "conditions": f"against {r['baseline']}",
            "evidence": "valid",
            "value_ns": r["ratio"],
            "low_ns": r["ratio_low"],
            "high_ns": r["ratio_high"],
        }
        for r in known
    ]
    drawn, looks = dressed(drawn, variants)
    axis = _axis([value for r in drawn for value in (r["value_ns"], r["low_ns"], r["high_ns"]) if value])
    groups = by(drawn, "conditions")
    said = [
        f"{panel}: {r['variant']} {r['name']} {quantities.ratio(r['value_ns'])}."
        for panel, some in groups[:MOST_PANELS]
        for r in some
    ]
    return Figure(
        title=title,
        panels=plots.draw(
            [plots.dot_panel(panel, some, looks, axis) for panel, some in groups[:MOST_PANELS]],
            wide=True,
        ),
        legend=looks,
        caption=f"Ratio of medians, paired by block, bars their 95 % intervals; {meaning} "
        "An emulated CPU is drawn with its factor, and gets no verdict." + left_out(len(groups)),
        alternative="Dots with intervals, one per work and variant. " + " ".join(said[:40]),
    )


def _axis(values: Sequence[float]) -> Axis:
    """From below 1 to above 1, so that no overhead is in sight; logarithmic where ratios span far."""
    low, high = min(*values, 1.0) / _MARGIN, max(*values, 1.0) * _MARGIN
    if high / low <= _LOG_FROM:
        return Axis("times the baseline", 1, low, high)
    ticks = tuple(tick for tick in _TICKS if low <= tick <= high)
    return Axis("times the baseline", 1, low, high, ticks, "format(datum.value, '~r')")
