"""How the rate of instances made ready grows with the number in flight: rows, table, figure, words."""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from analysis import plots, quantities
from analysis.cells import Cell, Cells, Evidence, condition_words
from analysis.distributions import Reduction
from analysis.figures import MOST_PANELS, by, dressed, left_out
from analysis.latency import SCOPE_FIELDS
from analysis.scopes import FLEET
from analysis.section import Field, Figure, LegendEntry, ShownTable
from analysis.shown import Row, assemble, marked, over
from analysis.statistics.proportions import Estimate
from analysis.statistics.usl import FARTHEST, LEAST_LEVELS, Load, Scaling, scaling_of

LEVEL = "concurrency"
SEED = 20_261_127
"""Fixes all bootstrap draws, so that one dataset gives one report."""
MOST_MISFIT = 0.1
"""A curve that misses a mean rate by more does not describe the rates: nothing is said of its peak."""
LEAST_DRAWN = 3
"""Levels from which rates are drawn against them."""
_CURVE_POINTS = 60

_ENDS = (("", ""), ("_low", ", lower end of its 95 % interval over blocks"), ("_high", ", upper end"))
SCALING_FIELDS = (
    *(f for f in SCOPE_FIELDS if f.name not in ("scope", "host", "params")),
    Field("levels", "Int64", "different numbers in flight"),
    Field("largest", "Float64", "the largest of them"),
    Field("blocks", "Int64", "blocks behind the fit, over all hosts"),
    Field("model", "string", "usl, amdahl (β cannot be told from 0), or missing"),
    *(
        Field(f"{name}{end}", "Float64", f"{meaning}{of}")
        for name, meaning in (
            ("gamma", "ready per second and host with one in flight, of the fitted curve"),
            ("alpha", "contention: share of the work that goes one after another"),
            ("beta", "coherency: what each in flight costs every other; 0 for amdahl"),
            ("peak_n", "number in flight with the largest rate; missing beyond twice the largest"),
            ("peak_rate", "ready per second and host there"),
        )
        for end, of in _ENDS
    ),
    Field("reach", "Float64", "number in flight beyond which the curve says nothing"),
    Field("misfit", "Float64", "by what share the curve misses the mean rate that it misses most"),
    Field("why", "string", "why there is no fit or no peak, or why to doubt them"),
)


def scaling_rows(reduction: Reduction) -> list[dict[str, Any]]:
    """A fit for every variant whose number in flight was varied in a closed loop, over the fleet."""
    cells = reduction.cells
    loads = _loads(reduction)
    found = []
    for place, group in enumerate(_groups(cells)):
        rng = np.random.default_rng([SEED, place])
        fit = scaling_of(_joined([(_level(c), loads[c.index]) for c in group]), rng)
        found.append(_describe(cells, group) | _row(fit))
    return found


def _groups(cells: Cells) -> list[list[Cell]]:
    """Cells that differ in nothing but the number in flight, where that was varied."""
    found: dict[tuple[Any, ...], list[Cell]] = defaultdict(list)
    for cell in cells.cells:
        params = json.loads(cell.params)
        level = params.pop(LEVEL, None)
        closed = params.get("arrival_rate_per_s") is None
        if closed and isinstance(level, int | float) and (cell.index, FLEET) in cells.evidence:
            rest = json.dumps(params, sort_keys=True), cell.image, cell.limits
            kind = cell.driver, cell.profile, cell.emulated, cell.virtual
            found[*rest, *kind].append(cell)
    return [group for group in found.values() if len({_level(c) for c in group}) > 1]


def _level(cell: Cell) -> float:
    return float(json.loads(cell.params)[LEVEL])


_BlockRates = dict[tuple[int, int], float]


def _loads(reduction: Reduction) -> dict[int, _BlockRates]:
    """Ready per second in every block of every cell, by host and block."""
    cells = reduction.cells
    found: dict[int, _BlockRates] = defaultdict(dict)
    for row in reduction.counts():
        believed = row["role"] != "set aside" and cells.in_fleet(row["cell"], row["host"])
        if believed and row["ready"] and row["span_ns"] > 0:
            found[row["cell"]][row["host"], row["block"]] = row["ready"] / row["span_ns"] * 1e9
    return found


def _joined(rates: Sequence[tuple[float, _BlockRates]]) -> list[Load]:
    """One load per block of a host, with its rate at every level."""
    points: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for level, of_blocks in rates:
        for key, rate in of_blocks.items():
            points[key].append((level, rate))
    return [
        Load(np.array([n for n, _ in some]), np.array([rate for _, rate in some]), host)
        for (host, _), some in sorted(points.items())
    ]


def _describe(cells: Cells, group: Sequence[Cell]) -> dict[str, Any]:
    one = group[0]
    varied = {n: one.conditions.get(n) for n in cells.varying if n != LEVEL}
    evidence: set[Evidence] = {cells.evidence[c.index, FLEET] for c in group} - {"failed"}
    return {
        "variant": one.variant,
        "conditions": condition_words(varied) or "same for all",
        "driver": one.driver,
        "profile": one.profile,
        "image": one.image,
        "limits": one.limits,
        "emulated": one.emulated,
        "virtual": one.virtual,
        "evidence": next(iter(evidence), "failed") if len(evidence) < 2 else "valid and suspect",
    }


def _row(fit: Scaling) -> dict[str, Any]:
    row: dict[str, Any] = {"levels": fit.levels, "largest": fit.largest, "blocks": fit.blocks}
    for name in ("gamma", "alpha", "beta", "peak_n", "peak_rate"):
        estimate: Estimate = getattr(fit, name)
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return row | {"model": fit.model, "reach": fit.reach, "misfit": fit.misfit, "why": _why(fit)}


def _why(fit: Scaling) -> str | None:
    if fit.levels < LEAST_LEVELS:
        return f"{fit.levels} different numbers in flight; a fit needs {LEAST_LEVELS}"
    if fit.model is None:
        return "nothing became ready"
    if _misses(fit.misfit):
        return f"the rates do not follow the curve: it is off by up to {fit.misfit or 0:.0%}"
    if fit.model == "amdahl":
        return "no peak: β cannot be told from 0"
    return "the peak lies beyond what was measured" if fit.peak_n.value is None else None


def _misses(misfit: float | None) -> bool:
    return misfit is not None and misfit > MOST_MISFIT


_CAPTION = (
    "Rate of instances made ready, per host, against the number in flight N: "
    "γN / (1 + α(N − 1) + βN(N − 1)). α: what goes one after another; β: what each costs every "
    "other. Where β cannot be told from 0, there is no peak. Nothing is said beyond "
    f"{FARTHEST:g} times the largest N. Second line: 95 % interval over blocks."
)


def scaling_table(rows: Sequence[Row]) -> ShownTable | None:
    """Contention, coherency and peak of every variant that was fitted; None where none was."""
    if not any(r["model"] for r in rows):
        return None
    body = [
        (
            r["conditions"],
            marked(r),
            {"usl": "USL", "amdahl": "Amdahl"}.get(r["model"], quantities.NOT_AVAILABLE),
            over(quantities.rate(r["gamma"]), quantities.rate_range(r["gamma_low"], r["gamma_high"])),
            _number(r, "alpha"),
            _number(r, "beta"),
            peak_words(r),
            over(
                quantities.rate(r["peak_rate"]),
                quantities.rate_range(r["peak_rate_low"], r["peak_rate_high"]),
            ),
            quantities.count(r["levels"]),
            r["why"] or "",
        )
        for r in rows
    ]
    heads = (
        "Conditions",
        "Variant",
        "Model",
        "With one",
        "α",
        "β",
        "Peak at",
        "Peak rate",
        "Levels",
        "Why",
    )
    return assemble("How the rate grows with the number in flight", _CAPTION, heads, body, "scaling")


def peak_words(row: Row) -> str:
    """Where the rate peaks over its interval; an end beyond reach is marked."""
    value, low, high = row["peak_n"], row["peak_n_low"], row["peak_n_high"]
    if value is None:
        return quantities.NOT_AVAILABLE
    if low is None or high is None:
        return quantities.count(value)
    top = f"> {quantities.count(row['reach'])}" if math.isinf(high) else quantities.count(high)
    return f"{quantities.count(value)}\n{quantities.count(low)} to {top}"


def _number(row: Row, name: str) -> str:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return quantities.NOT_AVAILABLE
    if low is None or high is None:
        return quantities.digits(value)
    return f"{quantities.digits(value)}\n{quantities.digits(low)} to {quantities.digits(high)}"


def sentences(rows: Sequence[Row]) -> list[str]:
    """Where the rate stops growing, for every variant whose rates the curve describes."""
    said = []
    for r in rows:
        if r["model"] and r["evidence"] == "valid" and not _misses(r["misfit"]):
            where = "" if r["conditions"] == "same for all" else f" with {r['conditions']}"
            if r["peak_n"] is not None:
                rate, n = quantities.rate(r["peak_rate"]), quantities.count(r["peak_n"])
                said.append(
                    f"By its curve, the rate of {marked(r)}{where} is largest at about {n} in flight: "
                    f"{rate}."
                )
            else:
                n = quantities.count(r["largest"])
                said.append(f"The rate of {marked(r)}{where} shows no peak up to {n} in flight.")
    return said[:6]


def figure(outcomes: Sequence[Row], rows: Sequence[Row], variants: Sequence[str]) -> Figure | None:
    """Measured rates against the number in flight, with the fitted curves; None with few levels."""
    points = _points(outcomes)
    if not points:
        return None
    points, looks = dressed(points, variants)
    groups = by(points, "title")
    fits = {(r["conditions"], marked(r)): r for r in rows if r["model"]}
    said = [
        f"{title}: {variant} at {', '.join(quantities.plain(p['level']) for p in own)}: "
        f"{', '.join(quantities.rate(p['rate_per_s']) for p in own)}."
        for title, some in groups[:MOST_PANELS]
        for variant, own in by(some, "variant")
    ]
    panels = [_panel(title, some, fits, looks) for title, some in groups[:MOST_PANELS]]
    return Figure(
        title="Rate against the number in flight",
        panels=plots.draw(panels),
        legend=looks,
        caption="Points are instances made ready per second and host, bars their 95 % intervals over "
        f"blocks; curves are fits, where {LEAST_LEVELS} levels allow one." + left_out(len(groups)),
        alternative="Rates over the number in flight. " + " ".join(said),
    )


def _points(outcomes: Sequence[Row]) -> list[Row]:
    """Fleet rows with a rate, of groups with enough levels, titled by their other conditions."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in outcomes:
        params = json.loads(row["params"])
        level, closed = params.pop(LEVEL, None), params.get("arrival_rate_per_s") is None
        if row["scope"] == "fleet" and closed and level and row["rate_per_s"]:
            rest = json.dumps([params, row["image"], row["limits"]], sort_keys=True)
            found[rest].append(row | {"level": level})
    kept = [some for some in found.values() if len({r["level"] for r in some}) >= LEAST_DRAWN]
    return [
        row | {"title": _title(row["conditions"])}
        for some in kept
        for row in sorted(some, key=lambda r: float(r["level"]))
    ]


def _title(conditions: str) -> str:
    rest = [part for part in conditions.split(", ") if not part.startswith(f"{LEVEL} ")]
    return ", ".join(rest) or "same for all"


def _panel(
    title: str, rows: Sequence[Row], fits: dict[tuple[str, str], Row], looks: Sequence[LegendEntry]
) -> Row:
    points = [
        {"v": r["variant"], "x": r["level"], "y": r["rate_per_s"]}
        | {
            "low": r["rate_per_s"] if r["rate_per_s_low"] is None else r["rate_per_s_low"],
            "high": r["rate_per_s"] if r["rate_per_s_high"] is None else r["rate_per_s_high"],
        }
        for r in rows
    ]
    lines = [
        point | {"v": variant}
        for variant, _ in by(rows, "variant")
        if (fit := fits.get((title, variant))) is not None
        for point in _curve(fit)
    ]
    x = alt.X("x:Q", axis=alt.Axis(title="in flight", format="~r", tickCount=6, grid=False))
    y = alt.Y("y:Q", scale=alt.Scale(zero=True), axis=alt.Axis(title="ready per second", tickCount=5))
    base = plots.chart(points).encode(x=x, color=plots.colour(looks))
    layers = [
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title="ready per second"), y2="high:Q"),
        base.mark_point(size=46, filled=True, opacity=1).encode(y=y, shape=plots.shape(looks)),
    ]
    if lines:
        drawn = plots.chart(lines).mark_line(strokeWidth=1.5)
        layers.append(drawn.encode(x=x, y=y, color=plots.colour(looks), strokeDash=plots.dash(looks)))
    return {"title": title, "chart": alt.layer(*layers), "height": 230}


def _curve(row: Row) -> list[Row]:
    """Points of a fitted curve, up to the largest number in flight that was measured."""
    n = np.linspace(1, row["largest"], _CURVE_POINTS)
    rate = row["gamma"] * n / (1 + row["alpha"] * (n - 1) + row["beta"] * n * (n - 1))
    return [{"x": float(x), "y": float(y)} for x, y in zip(n, rate, strict=True)]
