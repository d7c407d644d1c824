"""Figures of latencies: which rows are drawn, under which title, and what they say in words."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from analysis import palette, plots, quantities
from analysis.cells import condition_words
from analysis.section import Figure, LegendEntry

MOST_PANELS = 6
MOST_NAMED_HOSTS = 40
"""With more hosts each is a dot without a name."""
LEVELS = ("concurrency", "residents", "arrival_rate_per_s")
"""Parameters that are levels of load: latency is drawn against them."""
STAGE_COLOURS = ("#7f7f7f", "#3f8fc2", "#8c6bb1", "#a67c00", "#c46f9f")

Row = dict[str, Any]
Metric = tuple[str, str]
"""Name of a stage and basis of its quantiles."""


def curves(rows: Sequence[Row], variants: Sequence[str], *, what: str) -> Figure | None:
    """Distribution curve of every variant, a panel per condition."""
    if not rows:
        return None
    looks = palette.legend(variants)
    axis = plots.time_axis([r["value_ns"] for r in rows], what)
    groups = _by(rows, "conditions")
    panels = [plots.curve_panel(name, some, looks, axis) for name, some in groups[:MOST_PANELS]]
    said = []
    for name, some in groups[:MOST_PANELS]:
        halves = [
            f"{variant} {quantities.duration(next(r['value_ns'] for r in own if r['share'] >= 0.5))}"
            for variant, own in _by(some, "variant")
            if own[-1]["share"] >= 0.5
        ]
        said.append(f"{_under(name)}half of the attempts were ready within: {', '.join(halves) or 'none'}.")
    return Figure(
        title="Share of attempts that were ready within a time",
        panels=plots.draw(panels),
        legend=_used(looks, rows),
        caption="Higher and further left is faster. A curve that ends below 100 % shows failures."
        + _left_out(len(groups)),
        alternative=" ".join(["Rising curves, one per variant.", *said]),
    )


def levels(
    rows: Sequence[Row], variants: Sequence[str], metric: Metric, *, what: str
) -> list[Figure]:
    """Latency against each parameter that is a level of load and was varied."""
    found = []
    for level in LEVELS:
        drawn = at_levels(_fleet(rows, metric), level)
        if drawn:
            found.append(_level_figure(drawn, variants, level, what))
    return found


def _level_figure(
    groups: list[tuple[str, list[Row]]], variants: Sequence[str], level: str, what: str
) -> Figure:
    looks = palette.legend(variants)
    name = level.replace("_", " ")
    points = [
        {
            "title": f"{quantile_name}{f', {rest}' if rest else ''}",
            "variant": r["variant"],
            "level": r["level"],
            "value_ns": r[f"{quantile}_ns"],
            "low_ns": r[f"{quantile}_low_ns"],
            "high_ns": r[f"{quantile}_high_ns"],
        }
        for rest, some in groups
        for quantile, quantile_name in (("p50", "median"), ("p95", "95th percentile"))
        for r in some
        if _finite(r[f"{quantile}_ns"]) and (quantile == "p50" or _finite(r["p95_low_ns"]))
    ]
    axis = plots.time_axis([p["value_ns"] for p in points], what)
    panels = _by(points, "title")
    said = [
        f"{variant} at {name} {_numbers(own)}: {', '.join(quantities.duration(p['value_ns']) for p in own)}."
        for title, some in panels
        if title.startswith("median")
        for variant, own in _by(some, "variant")
    ]
    return Figure(
        title=f"Latency against {name}",
        panels=plots.draw(
            [plots.level_panel(title, some, looks, (name, axis)) for title, some in panels[:MOST_PANELS]]
        ),
        legend=_used(looks, points),
        caption="Points are estimates over all attempts, bars their 95 % intervals. What lies among "
        "failures, or has too few values for an interval in the tail, is left out."
        + _left_out(len(panels)),
        alternative=f"Lines of the median over {name}. " + " ".join(said),
    )


def stages(
    rows: Sequence[Row], variants: Sequence[str], parts: Sequence[tuple[str, str]]
) -> Figure | None:
    """Median of every stage on the way to ready, stacked, a panel per condition."""
    names = [name for name, _ in parts]
    drawn = [
        {"conditions": r["conditions"], "bar": r["variant"], "part": name, "value_ns": r["p50_ns"]}
        for name in names
        for r in _fleet(rows, (name, "successful"))
    ]
    if not drawn:
        return None
    groups = _by(sorted(drawn, key=lambda r: variants.index(r["bar"])), "conditions", like=rows)
    sums = [
        (condition, bar, sum(r["value_ns"] for r in own))
        for condition, some in groups
        for bar, own in _by(some, "bar")
    ]
    looks = tuple(
        LegendEntry(f"{name}: {meaning}", colour, (), "square")
        for (name, meaning), colour in zip(parts, STAGE_COLOURS, strict=False)
    )
    full = dict(zip(names, (look.label for look in looks), strict=False))
    axis = plots.time_axis([total for *_, total in sums], "median time per stage", bars=True)
    panels = [
        plots.stack_panel(title, [r | {"part": full[r["part"]]} for r in some], looks, axis)
        for title, some in groups[:MOST_PANELS]
    ]
    said = []
    for condition, some in groups[:MOST_PANELS]:
        for bar, own in _by(some, "bar"):
            each = ", ".join(f"{r['part']} {quantities.duration(r['value_ns'])}" for r in own)
            said.append(f"{_under(condition)}{bar}: {each}.")
    return Figure(
        title="Where the time goes until ready",
        panels=plots.draw(panels),
        legend=looks,
        caption="Medians of instances that passed the stage. Medians of parts do not add up exactly to "
        "the median of the whole." + _left_out(len(groups)),
        alternative="Stacked bars. " + " ".join(said),
    )


def hosts(
    rows: Sequence[Row], variants: Sequence[str], metric: Metric, *, what: str
) -> Figure | None:
    """Median of every host, a panel per condition; None with a single host."""
    of_hosts = [
        {
            "name": r["host"],
            "variant": r["variant"],
            "conditions": r["conditions"],
            "value_ns": r["p50_ns"],
            "low_ns": r["p50_low_ns"],
            "high_ns": r["p50_high_ns"],
        }
        for r in rows
        if r["scope"] == "host" and (r["metric"], r["basis"]) == metric and _finite(r["p50_ns"])
    ]
    many = len({r["name"] for r in of_hosts})
    if many < 2:
        return None
    if many > MOST_NAMED_HOSTS:
        of_hosts = [r | {"name": r["variant"], "low_ns": None, "high_ns": None} for r in of_hosts]
    looks = palette.legend(variants)
    axis = plots.time_axis([r["value_ns"] for r in of_hosts], what)
    groups = _by(of_hosts, "conditions")
    said = [
        f"{_under(name)}{variant} from {quantities.duration(min(values))} to {quantities.duration(max(values))}."
        for name, some in groups[:MOST_PANELS]
        for variant, own in _by(some, "variant")
        for values in [[r["value_ns"] for r in own]]
    ]
    each = "Each dot is one host." if many > MOST_NAMED_HOSTS else "Bars are 95 % intervals."
    return Figure(
        title="The same on every host?",
        panels=plots.draw(
            [plots.dot_panel(name, some, looks, axis) for name, some in groups[:MOST_PANELS]]
        ),
        legend=_used(looks, of_hosts),
        caption=f"Median over all attempts of each host. {each}" + _left_out(len(groups)),
        alternative=f"Medians of {many} hosts. " + " ".join(said),
    )


def _fleet(rows: Sequence[Row], metric: Metric) -> list[Row]:
    return [r for r in rows if r["scope"] == "fleet" and (r["metric"], r["basis"]) == metric]


def at_levels(rows: Sequence[Row], level: str) -> list[tuple[str, list[Row]]]:
    """Rows with a numeric level, grouped by everything else; only groups that varied it."""
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        params = json.loads(row["params"])
        value = params.pop(level, None)
        if isinstance(value, int | float) and _finite(row["p50_ns"]):
            rest = json.dumps([params, row["image"], row["limits"]], sort_keys=True)
            grouped[rest].append(row | {"level": value})
    kept = {rest: some for rest, some in grouped.items() if len({r["level"] for r in some}) > 1}
    decoded = {rest: json.loads(rest)[0] for rest in kept}
    shared = [
        key
        for key in sorted({key for params in decoded.values() for key in params})
        if len({json.dumps(params.get(key)) for params in decoded.values()}) > 1
    ]
    return [
        (condition_words({k: decoded[rest].get(k) for k in shared}), sorted(some, key=lambda r: r["level"]))
        for rest, some in kept.items()
    ]


def _by(
    rows: Sequence[Row], key: str, like: Sequence[Row] | None = None
) -> list[tuple[str, list[Row]]]:
    """Rows grouped by a column, in the order of their first appearance (in ``like``, if given)."""
    found: dict[str, list[Row]] = {r[key]: [] for r in like or ()}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return [(name, some) for name, some in found.items() if some]


def _used(looks: Sequence[LegendEntry], rows: Sequence[Row]) -> tuple[LegendEntry, ...]:
    names = {r["variant"] for r in rows}
    return tuple(look for look in looks if look.label in names)


def _finite(value: float | None) -> bool:
    return value is not None and value not in (float("inf"), float("-inf"))


def _under(condition: str) -> str:
    return "" if condition == "same for all" else f"With {condition}: "


def _numbers(rows: Sequence[Row]) -> str:
    return ", ".join(quantities.digits(r["level"]) for r in rows)


def _left_out(panels: int) -> str:
    more = panels - MOST_PANELS
    return f" {quantities.plural(more, 'more combination')} of conditions are in the tables only." if more > 0 else ""
