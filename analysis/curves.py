"""Panels of values against the number of instances, and of shares that fall over time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from analysis.plots import Axis, Row, chart, colour, dash, shape
from analysis.section import LegendEntry

_SIZES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_HEIGHT = 230


@dataclass(frozen=True)
class Climbs:
    """What one panel over the number of instances holds. All rows have ``variant``."""

    points: Sequence[Row]
    """Rows of n, value, up."""
    lines: Sequence[Row] = ()
    """Rows of n, value: joined by a line for each variant."""
    ends: Sequence[Row] = ()
    """Rows of n: where the staircases ended."""
    bounds: Sequence[float] = ()
    """Values that must not be passed: level lines."""


def size_axis(sizes_bytes: Sequence[float], what: str) -> Axis:
    """The axis that suits sizes, from 0 or below."""
    finite = [size for size in sizes_bytes if math.isfinite(size)] or [0.0]
    largest = max(*(abs(size) for size in finite), 1.0)
    scale, unit = next((s, u) for s, u in _SIZES if largest >= s)
    return _linear(finite, f"{what}, {unit}", scale)


def cpu_axis(cpus: Sequence[float], what: str) -> Axis:
    """The axis that suits processors in use, from 0."""
    finite = [value for value in cpus if math.isfinite(value)] or [0.0]
    little = max(finite) < 1
    return _linear(finite, f"{what}, {'mCPU' if little else 'CPU'}", 0.001 if little else 1.0)


def _linear(values: Sequence[float], title: str, scale: float) -> Axis:
    low, high = min(0.0, *values) / scale, max(*values, scale / 1000) / scale
    margin = 0.04 * (high - low)
    return Axis(title, scale, low - margin if low < 0 else 0.0, high + margin)


def climb_panel(title: str, climbs: Climbs, looks: Sequence[LegendEntry], axis: Axis) -> Row:
    """Values against the number of instances: filled points on the way up, hollow ones down."""
    most = max((r["n"] for r in [*climbs.points, *climbs.ends]), default=1.0) or 1.0
    scale_x = alt.Scale(domain=[0, most * 1.03], nice=False)
    x = alt.X("x:Q", scale=scale_x, axis=alt.Axis(title="instances", format="~r", tickCount=6))
    y = alt.Y("y:Q", scale=axis.scale(), axis=axis.axis())
    layers = []
    if climbs.bounds:
        data = [{"y": axis.scaled(bound)} for bound in climbs.bounds]
        layers.append(chart(data).mark_rule(strokeDash=[2, 3], stroke="#b45309").encode(y=y))
    if climbs.ends:
        data = [{"v": r["variant"], "x": r["n"]} for r in climbs.ends]
        ends = chart(data).mark_rule(strokeDash=[6, 4], opacity=0.8)
        layers.append(ends.encode(x=x, color=colour(looks)))
    if climbs.lines:
        data = [{"v": r["variant"], "x": r["n"], "y": axis.scaled(r["value"])} for r in climbs.lines]
        lines = chart(data).mark_line(strokeWidth=1.5)
        layers.append(lines.encode(x=x, y=y, color=colour(looks), strokeDash=dash(looks)))
    for up in (False, True):
        data = [
            {"v": r["variant"], "x": r["n"], "y": axis.scaled(r["value"])}
            for r in climbs.points
            if r["up"] is up
        ]
        marks = chart(data).mark_point(size=30, filled=up, opacity=0.85, strokeWidth=1.2)
        layers.append(marks.encode(x=x, y=y, color=colour(looks), shape=shape(looks)))
    return {"title": title, "chart": alt.layer(*layers), "height": _HEIGHT}


def survival_panel(title: str, rows: Sequence[Row], looks: Sequence[LegendEntry], axis: Axis) -> Row:
    """Shares that have not recovered yet: rows of variant, value_ns, share, in order of time."""
    data = [{"v": v, "x": axis.low, "y": 1.0} for v in dict.fromkeys(r["variant"] for r in rows)]
    data += [{"v": r["variant"], "x": axis.scaled(r["value_ns"]), "y": r["share"]} for r in rows]
    percent = alt.Axis(title="share not yet recovered", format="%", tickCount=5)
    lines = chart(data).mark_line(interpolate="step-after", strokeWidth=2)
    drawn = lines.encode(
        x=alt.X("x:Q", scale=axis.scale(), axis=axis.axis()),
        y=alt.Y("y:Q", scale=alt.Scale(domain=[0, 1]), axis=percent),
        color=colour(looks),
        strokeDash=dash(looks),
    )
    return {"title": title, "chart": drawn, "height": _HEIGHT}
