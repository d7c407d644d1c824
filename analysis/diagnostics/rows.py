"""Rows of the diagnostics: the course over the campaign, hosts, variance, hosts against verdicts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from analysis.cells import Cell
from analysis.diagnostics.series import Measured, Series
from analysis.latency import CELL_FIELDS
from analysis.scopes import FLEET
from analysis.section import Field
from analysis.statistics.comparison import EQUIVALENCE, holm
from analysis.statistics.diagnostics import (
    BlockLogs,
    Sign,
    components,
    course_of,
    drift_of,
    first_block_of,
    first_values_of,
    neighbours_of,
)
from analysis.statistics.hosts import HostRatios, host_effects, host_ratios, outlying

SEED = 20_261_127
"""Fixes all shuffles, so that one dataset gives one report."""
ALPHA = 0.05
ALL = "all variants"

_WHAT = (
    Field("experiment", "string", "experiment"),
    Field("measure", "string", "what was diagnosed"),
)
_CELL = tuple(f for f in CELL_FIELDS if f.name in ("variant", "conditions", "evidence"))
_HOLM = "p-value after Holm's correction over all such tests of the report"

COURSE_FIELDS = (
    *_WHAT,
    *_CELL,
    Field("sign", "string", "drift, neighbours, first block, or first instances of a trial"),
    Field("n", "Int64", "places in time, or for the first instances trials"),
    Field("ratio", "Float64", "last block over first by the slope, or the first over the rest"),
    Field("ratio_low", "Float64", "lower end of its 95 % interval"),
    Field("ratio_high", "Float64", "upper end of it"),
    Field("strength", "Float64", "Kendall's τ of a drift, lag-1 autocorrelation of neighbours"),
    Field("p_value", "Float64", "chance of that much if there were nothing"),
    Field("p_adjusted", "Float64", _HOLM),
)
HOST_FIELDS = (
    *_WHAT,
    Field("host_class", "string", "class of the host, within which it is judged"),
    Field("host", "string", "host name"),
    Field("hosts", "Int64", "hosts of its class that were measured"),
    Field("blocks", "Int64", "its blocks"),
    Field("ratio", "Float64", "its numbers over those of its class's median host, over all cells"),
    Field("error", "Float64", "standard error of the ratio's logarithm, from the host's own blocks"),
    Field("z", "Float64", "modified z-score; missing: too few hosts to judge"),
    Field("p_value", "Float64", "chance of one such host among so many"),
    Field("p_adjusted", "Float64", "p-value times the number of classes and measures (Bonferroni)"),
    Field("outlier", "boolean", "|z| > 3.5, beyond ±5 %, and p_adjusted ≤ 0.05"),
)
VARIANCE_FIELDS = (
    *_WHAT,
    *_CELL,
    Field("hosts", "Int64", "hosts"),
    Field("blocks", "Int64", "blocks on all hosts"),
    Field("n", "Int64", "values"),
    Field("between_hosts", "Float64", "variance of logarithms between hosts; missing: one host"),
    Field("between_blocks", "Float64", "between blocks of a host; missing: one block each"),
    Field("within_blocks", "Float64", "between values of a block; missing: one value each"),
    Field("icc_host", "Float64", "share of hosts in the variance"),
    Field("icc_block", "Float64", "share of hosts and blocks: how much values of a block resemble"),
)
AGREEMENT_FIELDS = (
    *_WHAT,
    Field("conditions", "string", "what tells the cells from others"),
    Field("other", "string", "variant that is compared"),
    Field("baseline", "string", "variant that it is compared with"),
    Field("hosts", "Int64", "hosts that have both"),
    Field("blocks", "Int64", "blocks that have both"),
    Field("ratio_least", "Float64", "smallest ratio of a host"),
    Field("ratio_most", "Float64", "largest one"),
    Field("slower", "Int64", "hosts whose whole interval lies above 1.05"),
    Field("faster", "Int64", "hosts whose whole interval lies below 0.95"),
    Field("unclear", "Int64", "hosts with another interval, or none"),
    Field("against", "string", "hosts on the other side of 1 than most, or far from the others"),
    Field("p_value", "Float64", "chance of hosts that differ so, if the ratio were the same on all"),
    Field("p_adjusted", "Float64", _HOLM),
)
FIELDS = {
    "course": COURSE_FIELDS,
    "hosts": HOST_FIELDS,
    "variance": VARIANCE_FIELDS,
    "agreement": AGREEMENT_FIELDS,
}


def course_rows(found: Sequence[Measured]) -> list[dict[str, Any]]:
    """Drift, resemblance of neighbours, first block and first instances, by cell and over all cells."""
    rows = [row for one in found for row in _courses(one)]
    for sign in ("drift", "neighbours", "first block", "first instances"):
        _adjust([row for row in rows if row["sign"] == sign])
    return rows


def _courses(one: Measured) -> Iterator[dict[str, Any]]:
    every = [(series, one.logs(series)) for series in one.series]
    known = [(series, logs) for series, logs in every if logs.logs.size]
    for place, (series, logs) in enumerate(known):
        named = _named(one, series.cell)
        yield from _signs(named, [logs], np.random.default_rng([SEED, place]))
        if series.firsts.size:
            yield named | _sign("first instances", series.firsts.size, first_values_of(series.firsts))
    if len(known) > 1:
        all_of_it = {"experiment": one.experiment, "measure": one.measure, "variant": ALL}
        yield from _signs(all_of_it, [logs for _, logs in known], np.random.default_rng(SEED))


def _signs(
    named: dict[str, Any], logs: Sequence[BlockLogs], rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    course = course_of(logs)
    places = course.means.size
    yield named | _sign("drift", places, drift_of(course))
    yield named | _sign("neighbours", places, neighbours_of(course, rng))
    yield named | _sign("first block", places, first_block_of(course))


def _sign(name: str, n: int, sign: Sign) -> dict[str, Any]:
    ends = {"ratio": sign.ratio, "ratio_low": sign.low, "ratio_high": sign.high}
    return {"sign": name, "n": n, "strength": sign.strength, "p_value": sign.p_value} | ends


def host_rows(found: Sequence[Measured]) -> list[dict[str, Any]]:
    """Every host against the others of its class."""
    rows = [row for one in found for row in _hosts(one)]
    families = len({row["family"] for row in rows if row["z"] is not None})
    for row in rows:
        if row["z"] is not None:
            row["p_adjusted"] = min(1.0, row["p_value"] * families)
            row["outlier"] = row["picked"] and row["p_adjusted"] <= ALPHA
    return rows


def _hosts(one: Measured) -> Iterator[dict[str, Any]]:
    classes: dict[str | None, list[int]] = {}
    for code in range(len(one.cells.hosts)):
        classes.setdefault(one.cells.of_host(code).host_class, []).append(code)
    for name, codes in classes.items():
        effects = host_effects([_on(one.logs(series), codes) for series in one.series])
        judged = outlying(effects)
        for i, code in enumerate(effects.hosts):
            row = {
                "experiment": one.experiment,
                "measure": one.measure,
                "host_class": name,
                "host": one.cells.hosts[code],
                "hosts": int(effects.hosts.size),
                "blocks": int(effects.blocks[i]),
                "ratio": float(np.exp(effects.effects[i])),
                "error": float(effects.errors[i]) if effects.blocks[i] > 1 else None,
                "family": (one.experiment, one.measure, name),
                "z": None,
            }
            if judged is not None:
                row |= {"z": float(judged.z[i]), "p_value": float(judged.p_value[i])}
                row["picked"] = bool(judged.picked[i])
            yield row


def _on(logs: BlockLogs, codes: Sequence[int]) -> BlockLogs:
    here = np.isin(logs.hosts, codes)
    return BlockLogs(logs.logs[here], logs.hosts[here], logs.orders[here])


def variance_rows(found: Sequence[Measured]) -> list[dict[str, Any]]:
    """Where the variance of every cell is: between hosts, between their blocks, or within these."""
    return [
        _named(one, series.cell) | _variance(series)
        for one in found
        for series in one.series
        if (series.sizes > 0).any()
    ]


def _variance(series: Series) -> dict[str, Any]:
    some = series.sizes > 0
    sizes, hosts = series.sizes[some], series.hosts[some]
    parts = components(sizes, series.means[some], series.squares[some], hosts)
    return {
        "hosts": int(np.unique(hosts).size),
        "blocks": int(sizes.size),
        "n": int(sizes.sum()),
        "between_hosts": parts.host,
        "between_blocks": parts.block,
        "within_blocks": parts.instance,
        "icc_host": parts.share(parts.host),
        "icc_block": parts.share(parts.host, parts.block),
    }


def agreement_rows(found: Sequence[Measured]) -> list[dict[str, Any]]:
    """Whether a comparison comes out alike on every host."""
    rows = [row for one in found for row in _agreements(one)]
    _adjust(rows)
    return rows


def _agreements(one: Measured) -> Iterator[dict[str, Any]]:
    of_cell = {series.cell.index: series for series in one.series}
    for group in one.cells.groups():
        baseline, *others = group
        for other in others:
            kinds = (baseline.emulated, baseline.virtual), (other.emulated, other.virtual)
            logs = _paired(one, of_cell[other.index], of_cell[baseline.index])
            believed = {one.cells.evidence.get((c.index, FLEET)) for c in (baseline, other)}
            alike = kinds[0] == kinds[1] and believed == {"valid"}
            if alike and np.unique(logs.hosts).size > 1:
                yield _agreement(one, (other, baseline), host_ratios(logs), logs.logs.size)


def _paired(one: Measured, other: Series, baseline: Series) -> BlockLogs:
    """Log ratio of two cells in every block that has both."""
    below = one.logs(baseline)
    keys = zip(below.hosts, below.orders, below.logs, strict=True)
    base = {(int(host), int(order)): float(log) for host, order, log in keys}
    above = one.logs(other)
    pairs = [
        (int(host), int(order), float(log) - base[int(host), int(order)])
        for host, order, log in zip(above.hosts, above.orders, above.logs, strict=True)
        if (int(host), int(order)) in base
    ]
    return BlockLogs(
        np.array([log for _, _, log in pairs], dtype=np.float64),
        np.array([host for host, _, _ in pairs], dtype=np.int64),
        np.array([order for _, order, _ in pairs], dtype=np.int64),
    )


def _agreement(
    one: Measured, cells: tuple[Cell, Cell], found: HostRatios, blocks: int
) -> dict[str, Any]:
    words = [_word(ratio) for ratio in found.ratios]
    slower, faster = words.count("slower"), words.count("faster")
    names = [one.cells.hosts[host] for host in found.unlike()]
    values = [ratio.ratio for ratio in found.ratios if ratio.ratio is not None]
    return {
        "experiment": one.experiment,
        "measure": one.measure,
        "conditions": one.cells.condition(cells[0]),
        "other": cells[0].variant,
        "baseline": cells[1].variant,
        "hosts": len(values),
        "blocks": blocks,
        "ratio_least": min(values),
        "ratio_most": max(values),
        "slower": slower,
        "faster": faster,
        "unclear": len(words) - slower - faster,
        "against": ", ".join(names) or None,
        "p_value": found.p_value,
    }


def _word(ratio: Sign) -> str:
    if ratio.low is None or ratio.high is None:
        return "unclear"
    return "slower" if ratio.low > EQUIVALENCE[1] else "faster" if ratio.high < EQUIVALENCE[0] else ""


def _named(one: Measured, cell: Cell) -> dict[str, Any]:
    return {
        "experiment": one.experiment,
        "measure": one.measure,
        "variant": cell.variant,
        "conditions": one.cells.condition(cell),
        "evidence": one.cells.evidence.get((cell.index, FLEET)),
    }


def _adjust(rows: Sequence[dict[str, Any]]) -> None:
    for row, p_value in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_adjusted"] = p_value
