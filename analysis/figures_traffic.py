"""Figures of rates: achieved against offered, and the backlog over time."""

from collections.abc import Sequence

from analysis import plots, quantities
from analysis.figures import MOST_PANELS, by, dressed
from analysis.section import Figure
from analysis.shown import Row


def throughput(rows: Sequence[Row], variants: Sequence[str]) -> Figure | None:
    """Share of the arrivals' rate that became ready, against that rate; None with a single rate."""
    points = [
        r
        | {
            "level": r["offered_per_s"],
            "value_ns": r["achieved_per_s"] / r["offered_per_s"],
            "low_ns": _part(r["achieved_per_s_low"], r["offered_per_s"]),
            "high_ns": _part(r["achieved_per_s_high"], r["offered_per_s"]),
        }
        for r in rows
        if r["scope"] == "fleet" and r["achieved_per_s"] is not None
    ]
    if len({r["level"] for r in points}) < 2:
        return None
    points, looks = dressed(sorted(points, key=lambda r: r["level"]), variants)
    most = max(max(r["value_ns"], r["high_ns"] or 0.0, 1.0) for r in points)
    axis = plots.Axis("ready / arrived", 1, 0.0, min(most, 2.0) * 1.04)
    axes = ("arrivals per second", axis)
    said = [
        f"{variant}: "
        + ", ".join(f"{_rate(r['achieved_per_s'])} of {_rate(r['level'])}" for r in own)
        + "."
        for variant, own in by(points, "variant")
    ]
    return Figure(
        title="Achieved against offered",
        panels=plots.draw([plots.level_panel("per host", points, looks, axes)]),
        legend=looks,
        caption="Points are ready per second over arrivals per second in the steady part, bars their "
        "95 % intervals over blocks. Where a line falls below 1, the host no longer keeps up.",
        alternative="Lines of the share that became ready over arrivals per second. " + " ".join(said),
    )


def over_time(rows: Sequence[Row], variants: Sequence[str]) -> Figure | None:
    """The backlog while arrivals came and after, a panel per condition, those that wait most first."""
    if not rows:
        return None
    rows, looks = dressed(rows, variants)
    groups = sorted(by(rows, "conditions"), key=lambda g: -max(r["backlog"] for r in g[1]))
    said = [
        f"{variant} with {name}: at most {quantities.digits(max(r['backlog'] for r in own))}."
        for name, some in groups[:MOST_PANELS]
        for variant, own in by(some, "variant")
    ]
    panels = [
        plots.series_panel(name, [r | {"x": r["second"], "y": r["backlog"]} for r in some], looks, _AXES)
        for name, some in groups[:MOST_PANELS]
    ]
    more = len(groups) - MOST_PANELS
    left_out = f" The tables hold {quantities.plural(more, 'more condition')}." if more > 0 else ""
    return Figure(
        title="Arrived and not ready yet, over time",
        panels=plots.draw(panels),
        legend=looks,
        caption="Mean over trials. A line that rises until arrivals end is a rate beyond capacity; "
        f"one that stays flat is borne. Panels with the longest queues first.{left_out}",
        alternative="Lines of the backlog over time. " + " ".join(said),
    )


_AXES = ("seconds since arrivals began", "instances")


def _part(value: float | None, of: float) -> float | None:
    return None if value is None else value / of


def _rate(value: float) -> str:
    return quantities.rate(value)
