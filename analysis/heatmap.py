"""The host heat map: every host under every condition, coloured by its ratio to the fleet's median."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import altair as alt

from analysis import plots, quantities
from analysis.figures import by
from analysis.section import Figure, LegendEntry
from analysis.shown import Metric, Row, key_of, marked, of_metric

FEWEST_HOSTS = 3
"""Two hosts are compared more easily by their numbers."""
MOST_HOSTS, MOST_COLUMNS = 200, 16
HOSTS_PER_PANEL = 50
_ROW, _HEAD = 12, 150
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Shade:
    """How ratios up to ``upto`` are drawn: a colour, and a sign for those who do not see it."""

    upto: float
    label: str
    colour: str
    sign: str
    ink: str = "#111111"


SHADES = (
    Shade(0.67, "−− below 0.67×", "#2166ac", "−−", "#ffffff"),
    Shade(0.8, "− 0.67 to 0.8×", "#67a9cf", "−"),
    Shade(0.95, "0.8 to 0.95×", "#c3dcec", ""),
    Shade(1.05, "0.95 to 1.05×", "#f0eee9", ""),
    Shade(1.25, "1.05 to 1.25×", "#fbd3bf", ""),
    Shade(1.5, "+ 1.25 to 1.5×", "#ef8a62", "+"),
    Shade(math.inf, "++ above 1.5×", "#b2182b", "++", "#ffffff"),
)
"""A diverging scale from blue to red that the colour-blind tell apart (ColorBrewer's RdBu)."""
NONE = Shade(math.inf, "× no median", "#8a8a8a", "×")


def latencies(rows: Sequence[Row], metric: Metric, what: str) -> Figure | None:
    """Medians of a stage."""
    return heat_map(of_metric(rows, metric), "p50_ns", what)


def slopes(rows: Sequence[Row]) -> Figure | None:
    """Memory that one instance more takes."""
    return heat_map([r for r in rows if r["measure"] == "mem_used"], "slope", "memory per instance")


def heat_map(rows: Sequence[Row], value: str, what: str) -> Figure | None:
    """Every host's value against the fleet's, of rows with scopes; None with few hosts."""
    of_fleet = {key_of(r): r[value] for r in rows if r["scope"] == "fleet"}
    points = [
        {
            "host": r["host"],
            "column": _column(r),
            "ratio": _ratio(r[value], of_fleet.get(key_of(r))),
        }
        for r in rows
        if r["scope"] == "host"
    ]
    columns = list(dict.fromkeys(p["column"] for p in points))
    hosts = sorted({p["host"] for p in points}, key=_natural)
    if len(hosts) < FEWEST_HOSTS:
        return None
    drawn = [p for p in points if p["column"] in columns[:MOST_COLUMNS]]
    chosen = _farthest(drawn, hosts)
    drawn = [p for p in drawn if p["host"] in chosen]
    seen = {id(_shade(p["ratio"])) for p in drawn}
    return Figure(
        title=f"Every host against the fleet: {what}",
        panels=plots.draw(_panels(drawn, chosen, columns[:MOST_COLUMNS])),
        legend=tuple(
            LegendEntry(s.label, s.colour, None, "square") for s in (*SHADES, NONE) if id(s) in seen
        ),
        caption="Each host's median over that of the fleet under the same conditions: blue is less, red "
        "is more, and signs say the same." + _missing(len(hosts), len(chosen), len(columns)),
        alternative=_said(drawn, len(chosen), what),
    )


def _panels(points: Sequence[Row], hosts: Sequence[str], columns: Sequence[str]) -> list[Row]:
    shares = -(-len(hosts) // HOSTS_PER_PANEL)
    per = -(-len(hosts) // shares)
    portions = [list(hosts[i : i + per]) for i in range(0, len(hosts), per)]
    return [
        _panel(
            "" if shares == 1 else f"{some[0]} to {some[-1]}",
            [p for p in points if p["host"] in set(some)],
            (some, columns),
        )
        for some in portions
    ]


def _panel(title: str, points: Sequence[Row], axes: tuple[Sequence[str], Sequence[str]]) -> Row:
    hosts, columns = axes
    shades = [_shade(p["ratio"]) for p in points]
    data = [
        {"h": p["host"], "c": p["column"], "v": shade.label, "s": shade.sign}
        for p, shade in zip(points, shades, strict=True)
    ]
    every = (*SHADES, NONE)
    names = plots.names(limit=110)
    names.labelFontSize = 9
    heads = alt.Axis(
        title=None, labelAngle=-60, labelLimit=_HEAD, orient="top", ticks=False, domain=False
    )
    base = plots.chart(data).encode(
        y=alt.Y("h:N", sort=list(hosts), axis=names),
        x=alt.X("c:N", sort=list(columns), axis=heads),
    )
    fields = [s.label for s in every]
    boxes = base.mark_rect(stroke="#888888", strokeWidth=0.4).encode(
        color=alt.Color(
            "v:N", legend=None, scale=alt.Scale(domain=fields, range=[s.colour for s in every])
        )
    )
    layers: list[alt.Chart] = [boxes]
    for ink in ("#111111", "#ffffff"):
        inked = [s.label for s in every if s.ink == ink and s.sign]
        chosen = [row for row in data if row["v"] in inked]
        if chosen:
            signs = plots.chart(chosen).mark_text(fontSize=9, color=ink)
            layers.append(signs.encode(y=base.encoding.y, x=base.encoding.x, text="s:N"))
    return {
        "title": title,
        "chart": alt.layer(*layers),
        "height": _ROW * len(hosts) + min(_HEAD, 6 * max(map(len, columns))),
    }


def _column(row: Row) -> str:
    given = "" if row["conditions"] == "same for all" else f", {row['conditions']}"
    return f"{marked(row | {'evidence': 'valid'})}{given}"


def _ratio(own: float | None, fleet: float | None) -> float | None:
    """A host's value over the fleet's, where both are numbers above 0."""
    numbers = [v for v in (own, fleet) if v is not None and math.isfinite(v) and v > 0]
    return numbers[0] / numbers[1] if len(numbers) == 2 else None


def _shade(ratio: float | None) -> Shade:
    return NONE if ratio is None else next(s for s in SHADES if ratio <= s.upto)


def _distance(points: Sequence[Row]) -> float:
    """How far a host is from the fleet at most; without a median farther than any."""
    return max(math.inf if p["ratio"] is None else abs(math.log(p["ratio"])) for p in points)


def _farthest(points: Sequence[Row], hosts: Sequence[str]) -> list[str]:
    """The hosts to draw, in their order: all of them, or of many those farthest from the fleet."""
    if len(hosts) <= MOST_HOSTS:
        return list(hosts)
    far = sorted(by(points, "host"), key=lambda item: (-_distance(item[1]), _natural(item[0])))
    some = {host for host, _ in far[:MOST_HOSTS]}
    return [host for host in hosts if host in some]


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that puts host-9 before host-10."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _missing(hosts: int, drawn: int, columns: int) -> str:
    said = ""
    if drawn < hosts:
        said += f" Of {quantities.plural(hosts, 'host')}, the {drawn} farthest from it are drawn."
    if columns > MOST_COLUMNS:
        more = quantities.plural(columns - MOST_COLUMNS, "further column")
        said += f" The tables hold {more}."
    return said


def _said(points: Sequence[Row], hosts: int, what: str) -> str:
    """The same in words: how many are near the fleet, and which are not."""
    near, far = _parted(points, lambda ratio: ratio is not None and 0.8 <= ratio <= 1.25)
    far = sorted(far, key=lambda p: -_distance([p]))
    names = [
        f"{p['host']} with {p['column']} "
        f"{'no median' if p['ratio'] is None else quantities.ratio(p['ratio'])}"
        for p in far
    ]
    rest = f" Others: {quantities.listed(names, _NAMED)}." if names else ""
    return (
        f"A table of colours, {quantities.plural(hosts, 'host')} down and variants across: {what} "
        "against "
        f"the fleet. {len(near)} of {len(points)} fields are within 0.8 to 1.25 times the fleet's.{rest}"
    )


def _parted(points: Sequence[Row], test: Callable[[float | None], bool]) -> tuple[list[Row], list[Row]]:
    return [p for p in points if test(p["ratio"])], [p for p in points if not test(p["ratio"])]
