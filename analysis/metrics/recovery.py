"""recovery: how fast instances come back after a fault, and how many do not."""

from functools import cache
from itertools import pairwise

import numpy as np

from analysis.cells import Cell, Cells
from analysis.distributions import Reduction
from analysis.metrics.base import (
    Measure,
    Measured,
    Metric,
    Row,
    ShareBlocks,
    estimate_in,
    fleet_rows,
    plain_blocks,
    row_of,
)
from analysis.metrics.of_instances import share_blocks, stage_measures
from analysis.recovery.injections import RECOVER, STAGES, AllInjections, Injections, deadline_ns
from analysis.recovery.rows import outcome_rows
from analysis.statistics.blocks import Ints
from analysis.statistics.comparison import BlockKey, BlockMedians
from analysis.statistics.survival import lifetimes, mean_time_within
from analysis.tables.recovery import EXPERIMENT

__all__ = ["EXPERIMENT", "measures"]


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of recoveries."""
    injections = AllInjections(cells)

    @cache
    def rows() -> dict[tuple[str, str], Row]:
        return fleet_rows(outcome_rows(injections))

    down = Metric("down", "expected time until recovery within the deadline", "ns")
    lost = Metric("unrecovered_share", "injections without a recovery, of all", "share")
    return [
        *stage_measures(Reduction(cells), STAGES, (RECOVER.name,)),
        Measure(down, lambda cell: _down(injections, rows(), cell)),
        Measure(lost, lambda cell: _lost(injections, rows(), cell)),
    ]


def _down(injections: AllInjections, rows: dict[tuple[str, str], Row], cell: Cell) -> Measured | None:
    row, some = row_of(injections.cells, rows, cell), injections.of(cell)
    if row is None or row["down_ns"] is None:
        return None
    deadline = deadline_ns(cell)
    horizon = deadline if np.isfinite(deadline) else some.longest_ns
    return Measured(estimate_in(row, "down{}_ns"), some.n, _means(some, horizon), 2 * some.waited.grain)


def _means(some: Injections, horizon: float) -> BlockMedians:
    values: dict[BlockKey, float] = {}
    for key, chosen in _by_block(some).items():
        own = some.waited
        life = lifetimes(
            own.values[chosen], some.recovered[chosen], own.block[chosen], count=own.counts[chosen]
        )
        values[key] = mean_time_within(life, horizon)
    return plain_blocks(values)


def _by_block(some: Injections) -> dict[BlockKey, Ints]:
    """Places of the rows of each block."""
    units = np.stack([some.waited.host, some.waited.block], axis=1)
    keys, code = np.unique(units, axis=0, return_inverse=True)
    order = np.argsort(code, kind="stable")
    bounds = np.searchsorted(code[order], np.arange(len(keys) + 1))
    found = pairwise(bounds.tolist())
    return {
        (int(host), int(block)): order[begin:end]
        for (host, block), (begin, end) in zip(keys, found, strict=True)
    }


def _lost(injections: AllInjections, rows: dict[tuple[str, str], Row], cell: Cell) -> Measured | None:
    row, some = row_of(injections.cells, rows, cell), injections.of(cell)
    if row is None or not some.n:
        return None
    counts = some.waited.counts
    of_block = {
        key: [float((~some.recovered[chosen] * counts[chosen]).sum()), float(counts[chosen].sum())]
        for key, chosen in _by_block(some).items()
    }
    blocks: ShareBlocks = share_blocks(of_block)
    return Measured(estimate_in(row, "unrecovered_share{}"), some.n, blocks)
