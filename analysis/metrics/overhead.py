"""overhead: time for the same work, what commands reported, and the share of it that was not done."""

from functools import cache

import numpy as np

from analysis.cells import Cell, Cells
from analysis.distributions import Distribution, Reduction
from analysis.metrics.base import Better, Measure, Measured, Metric
from analysis.metrics.of_instances import Attempts, stage_measures
from analysis.pairs import SEED
from analysis.reported import REPORTED, told
from analysis.statistics.comparison import block_medians
from analysis.statistics.proportions import Estimate
from analysis.statistics.quantiles import estimate_quantile
from analysis.tables.overhead import ACCESS, EXPERIMENT, WORK

__all__ = ["EXPERIMENT", "measures"]


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of overhead."""
    reduction = Reduction(cells)
    times = stage_measures(reduction, (WORK, ACCESS), (WORK.name, ACCESS.name))
    return [*times, *_reported(reduction), Attempts(reduction).failed_share()]


def _reported(reduction: Reduction) -> list[Measure]:
    """Of commands, the number that they printed: a metric for each way that can be the better one."""

    @cache
    def distribution() -> Distribution:
        return reduction.distribution(REPORTED)

    def measure(better: Better) -> Measure:
        meaning = f"number that a command reported, where a {better} one is better, in its own unit"
        metric = Metric(f"reported_{better}", meaning, "number", better)
        return Measure(metric, lambda cell: _of(distribution(), cell) if _is(cell, better) else None)

    return [measure("higher"), measure("lower")]


def _is(cell: Cell, better: Better) -> bool:
    how = told(cell)
    return how is not None and how[1] == better


def _of(distribution: Distribution, cell: Cell) -> Measured | None:
    sample = distribution.sample(cell.index)
    if not sample.n:
        return None
    found = estimate_quantile(sample, 0.5)
    blocks = block_medians(sample, np.random.default_rng([SEED, cell.index]))
    return Measured(Estimate(found.value, found.low, found.high), sample.n, blocks, 2 * sample.grain)
