"""Static plots as SVG text: drawn by Vega-Lite without network, coloured by the page they stand in."""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import altair as alt
import vl_convert
from altair.utils.schemapi import disable_debug_mode

from analysis.section import LegendEntry, Panel

disable_debug_mode()
"""Else altair checks a chart against its whole schema over and over while it is made."""

WIDE, HALF = 600, 330
"""Widths of a lone panel and of one among several, CSS pixels."""
_INK, _GRID, _PAPER = "#010203", "#010204", "#010205"
"""Stand-ins in the drawing for what the page's style decides."""
_TIME_LABEL = (
    "datum.value >= 1e9 ? format(datum.value / 1e9, '~r') + ' s'"
    " : datum.value >= 1e6 ? format(datum.value / 1e6, '~r') + ' ms'"
    " : format(datum.value / 1e3, '~r') + ' µs'"
)
_NAME_PADDING = 6
_WIDEST_CHARACTER = 7
"""Pixels of a character of an axis, on the average, in the widest of fonts that readers have."""
_LOG_FROM = 12.0
"""A range wider than this, largest over smallest, gets a logarithmic axis."""
_ELEMENTS = {"svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath", "title"}

_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """Unit, scale and range of an axis of values, the same in all panels of a figure."""

    title: str
    per_unit: float
    low: float
    high: float
    ticks: tuple[float, ...] = ()
    """Where a logarithmic axis is labelled; empty on a linear one."""
    label: str = _TIME_LABEL
    """How such a label is written, as a Vega expression of ``datum.value``; by default a time in ns."""

    def scaled(self, value: float) -> float:
        """A value in the axis's unit, brought to the axis's end when it lies beyond."""
        return min(max(value / self.per_unit, self.low), self.high)

    def scale(self) -> alt.Scale:
        """The scale for an encoding."""
        kind: Any = "log" if self.ticks else "linear"
        return alt.Scale(type=kind, domain=[self.low, self.high], nice=False, zero=False)

    def axis(self) -> alt.Axis:
        """The axis for an encoding."""
        if self.ticks:
            return alt.Axis(title=self.title, values=list(self.ticks), labelExpr=self.label)
        return alt.Axis(title=self.title, format="~r", tickCount=5)


def time_axis(durations_ns: Sequence[float], what: str, *, log_from: float = _LOG_FROM) -> Axis:
    """The axis that suits the durations: unit by their size, logarithmic when they span far.

    That is when the largest is more than ``log_from`` times the least.
    """
    finite = [d for d in durations_ns if math.isfinite(d)] or [0.0]
    largest, least = max(*finite, 1.0), min(finite)
    if least > 0 and largest / least > log_from:
        low, high = least / 1.15, largest * 1.15
        return Axis(what, 1, low, high, _log_ticks(low, high))
    scale, unit = next(((s, u) for s, u in _UNITS if largest >= s), _UNITS[-1])
    if least < largest / 3:
        return Axis(f"{what}, {unit}", scale, min(0.0, least / scale), largest * 1.04 / scale)
    margin = max((largest - least) * 0.06, largest * 0.01)
    return Axis(f"{what}, {unit}", scale, (least - margin) / scale, (largest + margin) / scale)


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Round places to label: with 1, 2 and 5 where the range is short, else powers of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    stride = 1 + (last - first) // 8
    found = (m * 10.0**e for e in range(first, last + 1, stride) for m in steps)
    return tuple(tick for tick in found if low <= tick <= high)


def curve_panel(
    title: str, rows: Sequence[Row], looks: Sequence[LegendEntry], axis: Axis, *, of: str = "attempts"
) -> Row:
    """Distribution curves: rows of variant, value_ns, share, which is one of all of ``of``."""
    data = [{"v": r["variant"], "x": axis.scaled(r["value_ns"]), "y": r["share"]} for r in rows]
    lines = chart(data).mark_line(interpolate="step-after", strokeWidth=2)
    return {
        "title": title,
        "chart": lines.encode(
            x=alt.X("x:Q", scale=axis.scale(), axis=axis.axis()),
            y=alt.Y(
                "y:Q",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(title=f"share of {of}", format="%", tickCount=5),
            ),
            color=colour(looks),
            strokeDash=dash(looks),
        ),
        "height": 220,
    }


def level_panel(
    title: str, rows: Sequence[Row], looks: Sequence[LegendEntry], axes: tuple[str, Axis]
) -> Row:
    """Latency against a level: rows of variant, level, value_ns, low_ns, high_ns (None: no interval)."""
    level_title, axis = axes
    data = [
        {
            "v": r["variant"],
            "x": r["level"],
            "y": axis.scaled(r["value_ns"]),
            **_span(r, axis),
        }
        for r in rows
    ]
    levels = sorted({r["x"] for r in data})
    axis_x = alt.Axis(title=level_title, values=levels, format="~r", grid=False)
    x = alt.X("x:Q", scale=_level_scale(levels), axis=axis_x)
    y = alt.Y("y:Q", scale=axis.scale(), axis=axis.axis())
    base = chart(data).encode(x=x, color=colour(looks))
    spans = base.mark_rule(strokeWidth=1.5).encode(
        y=alt.Y("low:Q", scale=axis.scale(), axis=axis.axis()), y2="high:Q"
    )
    lines = base.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash(looks))
    points = base.mark_point(size=46, filled=True, opacity=1).encode(y=y, shape=shape(looks))
    return {"title": title, "chart": alt.layer(spans, lines, points), "height": 220}


def series_panel(
    title: str, rows: Sequence[Row], looks: Sequence[LegendEntry], axes: tuple[str, str]
) -> Row:
    """Lines of plain numbers: rows of variant, x, y; ``axes`` are their titles."""
    data = [{"v": r["variant"], "x": r["x"], "y": r["y"]} for r in rows]
    lines = chart(data).mark_line(strokeWidth=2)
    return {
        "title": title,
        "chart": lines.encode(
            x=alt.X("x:Q", axis=alt.Axis(title=axes[0], format="~r", tickCount=6, grid=False)),
            y=alt.Y("y:Q", axis=alt.Axis(title=axes[1], format="~r", tickCount=5)),
            color=colour(looks),
            strokeDash=dash(looks),
        ),
        "height": 200,
    }


def _level_scale(levels: Sequence[float]) -> alt.Scale:
    low, high = levels[0], levels[-1]
    if low > 0 and high / low > 3:
        return alt.Scale(type="log", domain=[low / 1.15, high * 1.15], nice=False)
    margin = (high - low) * 0.06
    return alt.Scale(type="linear", domain=[low - margin, high + margin], nice=False, zero=False)


def stack_panel(
    title: str, rows: Sequence[Row], looks: Sequence[LegendEntry], *, wide: bool = False
) -> Row:
    """Bars of shares that fill the width: rows of bar, part, share; ``looks`` are those of the parts."""
    order = {look.label: place for place, look in enumerate(looks)}
    data = [{"b": r["bar"], "v": r["part"], "x": r["share"], "o": order[r["part"]]} for r in rows]
    bars = list(dict.fromkeys(r["b"] for r in data))
    x = alt.X(
        "x:Q",
        stack="zero",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(title="share of the stages' sum", format="%", values=[0, 0.25, 0.5, 0.75, 1]),
    )
    bar = chart(data).mark_bar(stroke=_PAPER, strokeWidth=1)
    bar = bar.encode(
        x=x,
        y=alt.Y("b:N", sort=bars, axis=names(limit=320 if wide else 190)),
        color=colour(looks),
        order=alt.Order("o:Q"),
    )
    return {"title": title, "chart": bar, "height": 26 * len(bars) + 40}


def dot_panel(title: str, rows: Sequence[Row], looks: Sequence[LegendEntry], axis: Axis) -> Row:
    """Dots with intervals: rows of name, variant, value_ns, low_ns, high_ns (None: no interval)."""
    data = [
        {
            "n": r["name"],
            "v": r["variant"],
            "x": axis.scaled(r["value_ns"]),
            **_span(r, axis),
        }
        for r in rows
    ]
    order = list(dict.fromkeys(r["n"] for r in data))
    y = alt.Y("n:N", sort=order, axis=names(grid=True))
    x = alt.X("x:Q", scale=axis.scale(), axis=axis.axis())
    base = chart(data).encode(y=y, color=colour(looks))
    spans = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("low:Q", scale=axis.scale(), axis=axis.axis()), x2="high:Q"
    )
    points = base.mark_point(size=44, filled=True, opacity=0.9).encode(x=x, shape=shape(looks))
    return {"title": title, "chart": alt.layer(spans, points), "height": 18 * len(order) + 44}


def strip_panel(title: str, rows: Sequence[Row], looks: Sequence[LegendEntry], axis: Axis) -> Row:
    """Many ticks in a line: rows of name, variant, value_ns."""
    data = [{"n": r["name"], "v": r["variant"], "x": axis.scaled(r["value_ns"])} for r in rows]
    order = list(dict.fromkeys(r["n"] for r in data))
    ticks = chart(data).mark_tick(thickness=1.5, size=13, opacity=0.7)
    x, y = alt.X("x:Q", scale=axis.scale(), axis=axis.axis()), alt.Y("n:N", sort=order, axis=names())
    drawn = ticks.encode(x=x, y=y, color=colour(looks))
    return {"title": title, "chart": drawn, "height": 22 * len(order) + 44}


def draw(panels: Sequence[Row], *, wide: bool = False) -> tuple[Panel, ...]:
    """Render panels. A lone one is drawn wide; several share the row."""
    width = WIDE if wide or len(panels) == 1 else HALF
    return tuple(draw_one(panel, width) for panel in panels)


def draw_one(panel: Row, width: int) -> Panel:
    """Render one panel, so many CSS pixels wide."""
    return Panel(panel["title"], _render(panel["chart"], width, panel["height"]), width)


def _span(row: Row, axis: Axis) -> dict[str, float]:
    """Both ends of a row's interval; a row without one is a point."""
    low, high, value = row["low_ns"], row["high_ns"], row["value_ns"]
    return {
        "low": axis.scaled(value if low is None else low),
        "high": axis.scaled(value if high is None else high),
    }


def chart(data: list[Row]) -> alt.Chart:
    """A chart of rows, not yet drawn."""
    return alt.Chart(alt.Data(values=data))


def colour(looks: Sequence[LegendEntry]) -> alt.Color:
    """Colour by the field ``v``, as the legend has it."""
    return alt.Color(
        "v:N", legend=None, scale=_named([k.label for k in looks], [k.colour for k in looks])
    )


def dash(looks: Sequence[LegendEntry]) -> alt.StrokeDash:
    """Pattern of lines by the field ``v``."""
    dashes = [list(k.dash or (1, 0)) for k in looks]
    return alt.StrokeDash("v:N", legend=None, scale=_named([k.label for k in looks], dashes))


def shape(looks: Sequence[LegendEntry]) -> alt.Shape:
    """Shape of points by the field ``v``."""
    return alt.Shape(
        "v:N", legend=None, scale=_named([k.label for k in looks], [k.shape for k in looks])
    )


def _named(names: list[str], looks: list[Any]) -> alt.Scale:
    return alt.Scale(domain=names, range=looks)


def names(*, grid: bool = False, limit: int = 190, longest: int = 0) -> alt.Axis:
    """An axis of names, cut at ``limit`` pixels.

    With the number of characters of the ``longest`` it has room for them in a reader's font, which may
    be wider than the one that the drawing was measured with.
    """
    room = min(limit, longest * _WIDEST_CHARACTER) + _NAME_PADDING if longest else 0
    return alt.Axis(
        title=None,
        labelLimit=limit,
        minExtent=room,
        ticks=False,
        domain=False,
        grid=grid,
        labelPadding=_NAME_PADDING,
    )


def _render(chart: Any, width: int, height: int, padding: int = 4) -> str:
    ink = {"labelColor": _INK, "titleColor": _INK, "domainColor": _INK, "tickColor": _INK}
    axis = ink | {
        "gridColor": _GRID,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    }
    styled = chart.properties(
        width=width, height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    ).configure(
        aria=False,
        background="transparent",
        font="sans-serif",
        padding=padding,
        axis=axis,
        view={"stroke": None},
    )
    drawn = vl_convert.vegalite_to_svg(styled.to_dict(validate=False), allowed_base_urls=[])
    return _for_page(drawn)


def _for_page(svg: str) -> str:
    """The drawing as part of a page: checked, its ids its own, its ink the page's."""
    _check(svg)
    own = hashlib.sha256(svg.encode()).hexdigest()[:10]
    svg = re.sub(r'(id="|url\(#)', rf"\g<1>p{own}-", svg)
    svg = svg.replace(_INK, "currentColor").replace(_GRID, "var(--grid)").replace(_PAPER, "var(--paper)")
    box = re.search(r'viewBox="[^"]*"', svg)
    head = f'<svg {box[0] if box else ""} aria-hidden="true" focusable="false" class="plot">'
    return re.sub(r"^<svg [^>]*>", head, svg, count=1)


def _check(svg: str) -> None:
    """Refuse a drawing with anything in it that runs or loads."""
    for element in ET.fromstring(svg).iter():  # noqa: S314 - our own drawing, checked here
        name = element.tag.rpartition("}")[2]
        runs = [key for key in element.attrib if key.rpartition("}")[2].startswith(("on", "href"))]
        loads = [v for v in element.attrib.values() if "url(" in v and not v.startswith("url(#")]
        if name not in _ELEMENTS or runs or loads:
            raise AssertionError(f"a plot holds <{name} {element.attrib}>")
