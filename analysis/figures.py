"""Figures of latencies: which rows are drawn, under which title, and what they say in words."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from analysis import palette, plots, quantities
from analysis.cells import condition_words
from analysis.section import Figure, LegendEntry
from analysis.shown import Metric, Row, marked, of_metric

MOST_PANELS = 6
MOST_NAMED_HOSTS = 40
"""With more hosts each is a dot without a name."""
LEVELS = ("concurrency", "residents", "arrival_rate_per_s", "rate_per_s")
"""Parameters that are levels of load: latency is drawn against them."""
STAGE_COLOURS = ("#7f7f7f", "#3f8fc2", "#8c6bb1", "#a67c00", "#c46f9f", "#4f8a5b")


def curves(
    rows: Sequence[Row], variants: Sequence[str], *, what: str, done: str = "ready"
) -> Figure | None:
    """Distribution curve of every variant, a panel per condition."""
    if not rows:
        return None
    rows, looks = dressed(rows, variants)
    axis = plots.time_axis([r["value_ns"] for r in rows], what)
    groups = by(rows, "conditions")
    said = []
    for name, some in groups[:MOST_PANELS]:
        halves = [
            f"{variant} {quantities.duration(next(r['value_ns'] for r in own if r['share'] >= 0.5))}"
            for variant, own in by(some, "variant")
            if own[-1]["share"] >= 0.5
        ]
        said.append(
            f"{under(name)}half of the attempts were {done} within: {', '.join(halves) or 'none'}."
        )
    return Figure(
        title=f"Share of attempts that were {done} within a time",
        panels=plots.draw(
            [plots.curve_panel(name, some, looks, axis) for name, some in groups[:MOST_PANELS]]
        ),
        legend=looks,
        caption="Higher and further left is faster. A curve that ends below 100 % shows failures."
        + left_out(len(groups)),
        alternative=" ".join(["Rising curves, one per variant.", *said]),
    )


def levels(rows: Sequence[Row], variants: Sequence[str], metric: Metric, *, what: str) -> list[Figure]:
    """Latency against each parameter that is a level of load and was varied."""
    found = []
    for level in LEVELS:
        groups = at_levels(_fleet(rows, metric), level)
        if groups:
            points = [point for rest, some in groups for point in _level_points(rest, some)]
            found.append(_level_figure(points, variants, level, what))
    return found


def _level_points(rest: str, rows: Sequence[Row]) -> list[Row]:
    return [
        r
        | {
            "title": f"{said}, {rest}" if rest else said,
            "value_ns": r[f"{quantile}_ns"],
            "low_ns": r[f"{quantile}_low_ns"],
            "high_ns": r[f"{quantile}_high_ns"],
        }
        for quantile, said in (("p50", "median"), ("p95", "95th percentile"))
        for r in rows
        if _finite(r[f"{quantile}_ns"]) and (quantile == "p50" or _finite(r["p95_low_ns"]))
    ]


def _level_figure(points: Sequence[Row], variants: Sequence[str], level: str, what: str) -> Figure:
    points, looks = dressed(points, variants)
    name = level.replace("_per_s", " per s").replace("_", " ")
    axis = plots.time_axis([p["value_ns"] for p in points], what)
    panels = by(points, "title")
    said = [
        f"{title}: {variant} at {name} {', '.join(quantities.plain(p['level']) for p in own)}: "
        f"{', '.join(quantities.duration(p['value_ns']) for p in own)}."
        for title, some in panels[:MOST_PANELS]
        for variant, own in by(some, "variant")
        if title.startswith("median")
    ]
    return Figure(
        title=f"Latency against {name}",
        panels=plots.draw(
            [plots.level_panel(title, some, looks, (name, axis)) for title, some in panels[:MOST_PANELS]]
        ),
        legend=looks,
        caption="Points are estimates over all attempts, bars their 95 % intervals. What lies among "
        "failures, or has too few values for an interval in the tail, is left out."
        + left_out(len(panels)),
        alternative=f"Lines of the median over {name}. " + " ".join(said),
    )


def stages(
    rows: Sequence[Row],
    variants: Sequence[str],
    parts: Sequence[tuple[str, str]],
    *,
    wide: bool = False,
) -> Figure | None:
    """Median of every stage on the way to ready as a share of their sum, a panel per condition.

    ``wide`` gives each panel the whole width, for long names.
    """
    looks = tuple(
        LegendEntry(f"{name}: {meaning}", colour, None, "square")
        for (name, meaning), colour in zip(parts, STAGE_COLOURS, strict=False)
    )
    drawn = [
        r | {"part": look.label, "stage": name}
        for (name, _), look in zip(parts, looks, strict=False)
        for r in _fleet(rows, (name, "successful"))
    ]
    if not drawn:
        return None
    drawn, _ = dressed(drawn, variants)
    order = {(r["conditions"], r["variant"]): i for i, r in enumerate(dressed(rows, variants)[0])}
    drawn.sort(key=lambda r: order[r["conditions"], r["variant"]])
    bars, said = _shares(drawn)
    groups = by(bars, "conditions")
    return Figure(
        title="Where the time goes until ready",
        panels=plots.draw(
            [plots.stack_panel(name, some, looks, wide=wide) for name, some in groups[:MOST_PANELS]],
            wide=wide,
        ),
        legend=looks,
        caption="Medians of instances that passed the stage, as shares of their sum, which stands "
        "beside the name. It is not exactly the median of the whole." + left_out(len(groups)),
        alternative="Stacked bars. " + " ".join(said[: 4 * MOST_PANELS]),
    )


def _shares(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Every stage's share of its bar, and the same in words."""
    bars: list[Row] = []
    said: list[str] = []
    for condition, some in by(rows, "conditions"):
        for variant, own in by(some, "variant"):
            total = sum(r["p50_ns"] for r in own)
            named = {"bar": f"{variant}, {quantities.duration(total)}", "conditions": condition}
            bars += [named | {"part": r["part"], "share": r["p50_ns"] / total} for r in own if total > 0]
            each = ", ".join(f"{r['stage']} {quantities.duration(r['p50_ns'])}" for r in own)
            said.append(f"{under(condition)}{variant}: {each}.")
    return bars, said


def hosts(rows: Sequence[Row], variants: Sequence[str], metric: Metric, *, what: str) -> Figure | None:
    """Median of every host, a panel per condition; None with a single host."""
    of_hosts = [
        r
        | {
            "name": r["host"],
            "value_ns": r["p50_ns"],
            "low_ns": r["p50_low_ns"],
            "high_ns": r["p50_high_ns"],
        }
        for r in of_metric(rows, metric)
        if r["scope"] == "host" and _finite(r["p50_ns"])
    ]
    many = len({r["name"] for r in of_hosts})
    if many < 2:
        return None
    of_hosts, looks = dressed(of_hosts, variants)
    if many > MOST_NAMED_HOSTS:
        of_hosts = [r | {"name": r["variant"]} for r in of_hosts]
    axis = plots.time_axis([r["value_ns"] for r in of_hosts], what)
    groups = by(of_hosts, "conditions")
    panel = plots.strip_panel if many > MOST_NAMED_HOSTS else plots.dot_panel
    said = []
    for name, some in groups[:MOST_PANELS]:
        for variant, own in by(some, "variant"):
            values = [r["value_ns"] for r in own]
            ends = f"{quantities.duration(min(values))} to {quantities.duration(max(values))}"
            said.append(f"{under(name)}{variant} from {ends}.")
    each = "Each tick is one host." if many > MOST_NAMED_HOSTS else "Bars are 95 % intervals."
    return Figure(
        title="The same on every host?",
        panels=plots.draw([panel(name, some, looks, axis) for name, some in groups[:MOST_PANELS]]),
        legend=looks,
        caption=f"Median over all attempts of each host. {each}" + left_out(len(groups)),
        alternative=f"Medians of {many} hosts. " + " ".join(said),
    )


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
    told_apart_by = [
        key
        for key in sorted({key for params in decoded.values() for key in params})
        if len({json.dumps(params.get(key)) for params in decoded.values()}) > 1
    ]
    return [
        (
            condition_words({key: decoded[rest].get(key) for key in told_apart_by}),
            sorted(some, key=lambda r: r["level"]),
        )
        for rest, some in kept.items()
    ]


def by(rows: Sequence[Row], key: str) -> list[tuple[str, list[Row]]]:
    """Rows grouped by a column, in the order of their first appearance."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return list(found.items())


def dressed(rows: Sequence[Row], variants: Sequence[str]) -> tuple[list[Row], tuple[LegendEntry, ...]]:
    """Rows whose variant also says what evidence it rests on, and the looks of those that occur.

    A variant's look is the same in every figure; those with a warning come after the plain ones.
    """
    marked_rows = [r | {"variant": marked(r)} for r in rows]
    extra = sorted({r["variant"] for r in marked_rows} - set(variants))
    present = {r["variant"] for r in marked_rows}
    looks = palette.legend([*variants, *extra])
    return marked_rows, tuple(look for look in looks if look.label in present)


def _fleet(rows: Sequence[Row], metric: Metric) -> list[Row]:
    return [r for r in of_metric(rows, metric) if r["scope"] == "fleet"]


def _finite(value: Any) -> bool:
    return value is not None and abs(value) != float("inf")


def under(condition: str) -> str:
    """How a sentence about one condition begins."""
    return "" if condition == "same for all" else f"With {condition}: "


def left_out(panels: int) -> str:
    """What a caption says when there are more panels than are drawn."""
    more = panels - MOST_PANELS
    if more <= 0:
        return ""
    return f" The tables hold {quantities.plural(more, 'more condition')}."
