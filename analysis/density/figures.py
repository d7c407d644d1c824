"""Figures of density: memory, latency and processors against the number of instances."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median

from analysis import plots, quantities
from analysis.curves import Climbs, climb_panel, cpu_axis, size_axis
from analysis.figures import MOST_PANELS, by, dressed, left_out, under
from analysis.section import Figure
from analysis.shown import Row, marked

MOST_POINTS = 800
"""With more points in a figure each is the median of all staircases at that number of instances.

A point is some 150 bytes of the page, and there are three such figures.
"""

Rows = Sequence[Row]


def memory(steps: Rows, slopes: Rows, limits: Rows, variants: Sequence[str]) -> Figure | None:
    """Memory above the empty host, with the fitted line, the end of the climb and the floor."""
    points = _thinned(_above_empty(steps))
    if not points:
        return None
    points, looks = dressed(points, variants)
    slope_of = {
        (r["conditions"], marked(r)): r["slope"]
        for r in slopes
        if r["scope"] == "fleet" and r["measure"] == "mem_used"
    }
    panels, said = [], []
    for conditions, some in by(points, "conditions")[:MOST_PANELS]:
        lines = [
            line
            for variant, own in by(some, "variant")
            for line in _line(variant, own, slope_of.get((conditions, variant)))
        ]
        axis = size_axis([p["value"] for p in some], "memory above the empty host")
        top = max(p["value"] for p in some) * 1.02
        rooms = {r["room_bytes"] for r in _fleet(limits, conditions) if r["room_bytes"] is not None}
        climbs = Climbs(some, lines, _ends(limits, conditions), sorted(b for b in rooms if b <= top))
        panels.append(climb_panel(conditions, climbs, looks, axis))
        said += [
            _said(conditions, variant, own, quantities.size) for variant, own in by(some, "variant")
        ]
    return Figure(
        title="Memory against the number of instances",
        panels=plots.draw(panels),
        legend=looks,
        caption="MemTotal less MemAvailable, above that of the empty host. Filled points on the way up, "
        "hollow ones on the way down; the line has the slope of the table. A dashed upright line is "
        "where the climb ended, a dotted level line, if in sight, the floor under the host's memory. "
        "Each panel has scales of its own." + left_out(len(by(points, "conditions"))),
        alternative="Points that rise with the number of instances. " + " ".join(said),
    )


def latency(steps: Rows, limits: Rows, variants: Sequence[str]) -> Figure | None:
    """Median and 99th percentile of the probes against the number of instances."""
    points = [
        {**r, "title": _joined(said, r["conditions"]), "value": r[name], "n": r["instances"]}
        for name, said in (("p50_ns", "median"), ("p99_ns", "99th percentile"))
        for r in _counted(steps)
        if r["instances"] and r[name] is not None and math.isfinite(r[name])
    ]
    if not points:
        return None
    thin = _thinned([p | {"up": p["direction"] == "up"} for p in points], "title")
    thin, looks = dressed(thin, variants)
    axis = plots.time_axis([p["value"] for p in thin], "probe's latency")
    panels, said = [], []
    for title, some in by(thin, "title")[:MOST_PANELS]:
        conditions = some[0]["conditions"]
        wanted = {r["slo_ns"] for r in _fleet(limits, conditions) if r["slo_ns"] is not None}
        bounds = sorted(b for b in wanted if axis.low <= b / axis.per_unit <= axis.high)
        climbs = Climbs(
            some, _medians(some), _ends(limits, conditions), bounds if title.startswith("99") else ()
        )
        panels.append(climb_panel(title, climbs, looks, axis))
        said += [_said(title, variant, own, quantities.duration) for variant, own in by(some, "variant")]
    return Figure(
        title="Latency of the probes against the number of instances",
        panels=plots.draw(panels),
        legend=looks,
        caption="Requests to a random tenth of the instances, sent when they were planned. Lines join "
        "medians over staircases on the way up; hollow points are on the way down. A dotted level line, "
        "if in sight, is the objective. Steps whose quantile lies among lost probes are left out."
        + left_out(len(by(points, "title"))),
        alternative="Latency over the number of instances. " + " ".join(said),
    )


def processors(steps: Rows, limits: Rows, variants: Sequence[str]) -> Figure | None:
    """Processors in use against the number of instances."""
    points = [
        r | {"value": r["cpu_busy"], "n": r["instances"], "up": r["direction"] == "up"}
        for r in _counted(steps)
        if r["cpu_busy"] is not None
    ]
    if not points:
        return None
    points, looks = dressed(_thinned(points), variants)
    groups = by(points, "conditions")[:MOST_PANELS]
    panels = [
        climb_panel(
            name,
            Climbs(some, _medians(some), _ends(limits, name)),
            looks,
            cpu_axis([p["value"] for p in some], "processors in use"),
        )
        for name, some in groups
    ]
    said = [
        _said(name, variant, own, quantities.processors)
        for name, some in groups
        for variant, own in by(some, "variant")
    ]
    return Figure(
        title="Processors in use against the number of instances",
        panels=plots.draw(panels),
        legend=looks,
        caption="All processors of the host, whoever used them. Lines join "
        "medians over staircases on the way up; hollow points are on the way down. Each panel has "
        "scales of its own." + left_out(len(by(points, "conditions"))),
        alternative="Processors in use over the number of instances. " + " ".join(said),
    )


def _counted(steps: Rows) -> list[Row]:
    return [r for r in steps if r["counted"]]


def _above_empty(steps: Rows) -> list[Row]:
    """Points of memory less that of the empty host before the same climb."""
    base: dict[tuple[str, ...], float] = {}
    points = []
    for r in _counted(steps):
        key = tuple(str(r[name]) for name in ("variant", "conditions", "host", "block"))
        if r["mem_used_bytes"] is None:
            continue
        if r["instances"] == 0 and r["direction"] == "up":
            base.setdefault(key, r["mem_used_bytes"])
        if key in base:
            above = {"n": r["instances"], "value": r["mem_used_bytes"] - base[key]}
            points.append(r | above | {"up": r["direction"] == "up"})
    return points


def _thinned(points: Sequence[Row], group: str = "conditions") -> list[Row]:
    """The points, or where they are many their medians over staircases."""
    if len(points) <= MOST_POINTS:
        return list(points)
    alike: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for p in points:
        alike[p[group], p["variant"], p["up"], p["n"]].append(p)
    return [some[0] | {"value": median(p["value"] for p in some)} for some in alike.values()]


def _medians(points: Sequence[Row]) -> list[Row]:
    """Median over staircases at every number of instances on the way up."""
    alike: dict[tuple[str, float], list[float]] = defaultdict(list)
    for p in points:
        if p["up"]:
            alike[p["variant"], p["n"]].append(p["value"])
    return [
        {"variant": variant, "n": n, "value": median(values)}
        for (variant, n), values in sorted(alike.items())
    ]


def _line(variant: str, points: Sequence[Row], slope: float | None) -> list[Row]:
    """Both ends of the fitted line through one variant's points."""
    ups = [p for p in points if p["up"]]
    if slope is None or not ups:
        return []
    start = median(p["value"] - slope * p["n"] for p in ups)
    ends = 0.0, max(p["n"] for p in ups)
    return [{"variant": variant, "n": n, "value": start + slope * n} for n in ends]


def _ends(limits: Rows, conditions: str) -> list[Row]:
    """Where the median staircase of every variant ended."""
    rows = [r for r in _fleet(limits, conditions) if r["peak"] is not None]
    return [{"variant": marked(r), "n": r["peak"]} for r in rows]


def _fleet(rows: Rows, conditions: str) -> list[Row]:
    return [r for r in rows if r["scope"] == "fleet" and r["conditions"] == conditions]


def _joined(said: str, conditions: str) -> str:
    return said if conditions == "same for all" else f"{said}, {conditions}"


def _said(name: str, variant: str, points: Sequence[Row], shown: Callable[[float], str]) -> str:
    ups = sorted((p for p in points if p["up"]), key=lambda p: p["n"]) or list(points)
    first, last = ups[0], ups[-1]
    ends = f"{shown(first['value'])} at {first['n']:g} to {shown(last['value'])} at {last['n']:g}"
    return f"{under(name)}{variant} from {ends}."
