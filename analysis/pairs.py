"""The table of paired ratios between variants under the same conditions, with verdict words."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from analysis.cells import DOUBTS, Cell, Cells
from analysis.distributions import Distribution, Reduction, Stage
from analysis.imported import NOT_IN_TURN, cells_out_of_turn
from analysis.scopes import FLEET
from analysis.section import Field
from analysis.statistics.blocks import MINIMUM_BLOCKS
from analysis.statistics.comparison import (
    BlockMedians,
    Ratio,
    block_medians,
    holm,
    log_ratios,
    paired_ratio,
    verdict_word,
    with_grain,
)

SEED = 20_260_301
"""Fixes all bootstrap draws, so that one dataset gives one report."""
MOST_FAILED_SHARE = 0.1
"""With more failures on either side, the survivors' speed is no answer."""

PAIR_FIELDS = (
    Field("conditions", "string", "what was equal on both sides, where it varies in the campaign"),
    Field("metric", "string", "stage of an instance's life"),
    Field("baseline", "string", "variant that the other is compared with"),
    Field("other", "string", "variant that the verdict speaks of"),
    Field("ratio", "Float64", "other / baseline: geometric mean over blocks of the ratio of medians"),
    Field("ratio_low", "Float64", "lower end of its 95 % interval"),
    Field("ratio_high", "Float64", "upper end of it"),
    Field("p_value", "Float64", "two-sided"),
    Field("p_holm", "Float64", "the same after Holm's correction over the verdicts of this table"),
    Field("verdict", "string", "faster, slower, equivalent, undecided or withheld"),
    Field("why", "string", "why undecided or withheld"),
    Field("blocks", "Int64", "blocks that measured both"),
    Field("hosts", "Int64", "hosts of those blocks"),
    Field("n", "Int64", "values in those blocks, of the side that has fewer"),
    Field("host_low", "Float64", "smallest ratio of a single host"),
    Field("host_high", "Float64", "largest ratio of a single host"),
    Field("params", "string", "parameters that are conditions on both sides, canonical JSON"),
    Field("image", "string", "image on both sides"),
    Field("limits", "string", "limits on both sides, canonical JSON"),
    Field("virtual", "boolean", "time was simulated: nothing is real"),
)


def pair_rows(reduction: Reduction, stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Every variant against every other under the same conditions, in table order: baseline first."""
    cells = reduction.cells
    rows: list[dict[str, Any]] = []
    apart = cells_out_of_turn(cells)
    for stage in stages:
        distribution = reduction.distribution(stage)
        if not distribution.n:  # imported results seldom hold every stage
            continue
        for group in cells.groups() if len(cells.cells) > 1 else ():
            rng = np.random.default_rng([SEED, len(rows)])
            medians = {c.index: block_medians(distribution.sample(c.index), rng) for c in group}
            for baseline, other in combinations(group, 2):
                pair = medians[baseline.index], medians[other.index]
                withheld = _withheld(cells, distribution, (baseline, other))
                if baseline.index in apart or other.index in apart:
                    withheld = withheld or NOT_IN_TURN
                rows.append(
                    _describe(cells, baseline, other)
                    | {"metric": stage.name, "withheld": withheld}
                    | _compare(*pair, rng, distribution.grain)
                )
    _judge(rows)
    return rows


def _describe(cells: Cells, baseline: Cell, other: Cell) -> dict[str, Any]:
    return {
        "conditions": cells.condition(baseline),
        "baseline": baseline.variant,
        "other": other.variant,
        "params": baseline.params,
        "image": baseline.image,
        "limits": baseline.limits,
        "virtual": baseline.virtual or other.virtual,
    }


def _compare(
    baseline: BlockMedians, other: BlockMedians, rng: np.random.Generator, grain: float
) -> dict[str, Any]:
    found = with_grain(paired_ratio(other, baseline, rng), grain)
    of_hosts = _host_ratios(baseline, other)
    return {
        "ratio": found.value,
        "ratio_low": found.low,
        "ratio_high": found.high,
        "p_value": found.p_value,
        "blocks": found.blocks,
        "hosts": len(of_hosts),
        "n": found.within,
        "host_low": min((r for r in of_hosts if r is not None), default=None),
        "host_high": max((r for r in of_hosts if r is not None), default=None),
        "found": found,
    }


def _host_ratios(baseline: BlockMedians, other: BlockMedians) -> list[float | None]:
    """The ratio on each host that measured both; None where no median of it is a number."""
    shared = sorted(set(other.keys) & set(baseline.keys))
    logs = log_ratios(other.select(shared), baseline.select(shared))
    of_host: dict[int, list[float]] = {}
    for (host, _), value in zip(shared, logs, strict=True):
        of_host.setdefault(host, []).extend([float(value)] if np.isfinite(value) else [])
    return [float(np.exp(np.mean(found))) if found else None for found in of_host.values()]


def _withheld(cells: Cells, distribution: Distribution, pair: tuple[Cell, Cell]) -> str | None:
    """Why no verdict may be given, whatever the numbers say."""
    baseline, other = pair
    if baseline.virtual != other.virtual:
        return "one side is simulated"
    if baseline.emulated != other.emulated:
        return "emulated CPU"
    for cell in pair:
        if doubt := DOUBTS.get(cells.evidence.get((cell.index, FLEET))):
            return f"{cell.variant} {doubt}"
        sample = distribution.sample(cell.index)
        failed = sample.counts[np.isinf(sample.values)].sum() / sample.n if sample.n else 0
        if failed > MOST_FAILED_SHARE:
            return f"{failed:.0%} of {cell.variant} never got there"
    return None


def _judge(rows: list[dict[str, Any]]) -> None:
    """Give every row its verdict; those that may have one share Holm's correction."""
    adjusted = holm([None if row["withheld"] else row["p_value"] for row in rows])
    for row, p_holm in zip(rows, adjusted, strict=True):
        ratio: Ratio = row.pop("found")
        withheld = row.pop("withheld")
        row["p_holm"] = p_holm
        row["verdict"] = "withheld" if withheld else verdict_word(ratio, p_holm)
        row["why"] = withheld or (_why_undecided(ratio) if row["verdict"] == "undecided" else None)


def _why_undecided(ratio: Ratio) -> str:
    if ratio.blocks == 0:
        return "no block measured both"
    if ratio.value is None:
        return "a block's median lies among failures"
    if ratio.blocks < MINIMUM_BLOCKS:
        return f"fewer than {MINIMUM_BLOCKS} blocks measured both"
    return "the data cannot tell"
