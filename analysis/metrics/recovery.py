"""recovery: how fast instances come back after a fault, and how many do not."""

from collections import defaultdict
from functools import cache

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
from analysis.statistics.blocks import Floats
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
    horizon = deadline if np.isfinite(deadline) else float(some.waited_ns.max(initial=0.0))
    return Measured(estimate_in(row, "down{}_ns"), some.n, _means(some, horizon))


def _means(some: Injections, horizon: float) -> BlockMedians:
    values: dict[BlockKey, float] = {}
    for key, chosen in _by_block(some).items():
        life = lifetimes(some.waited_ns[chosen], some.recovered[chosen], some.block[chosen])
        values[key] = mean_time_within(life, horizon)
    return plain_blocks(values)


def _by_block(some: Injections) -> dict[BlockKey, Floats]:
    places: dict[BlockKey, list[int]] = defaultdict(list)
    for place, key in enumerate(zip(some.host.tolist(), some.block.tolist(), strict=True)):
        places[key].append(place)
    return {key: np.array(found, dtype=np.intp) for key, found in sorted(places.items())}


def _lost(injections: AllInjections, rows: dict[tuple[str, str], Row], cell: Cell) -> Measured | None:
    row, some = row_of(injections.cells, rows, cell), injections.of(cell)
    if row is None or not some.n:
        return None
    of_block = {
        key: [float((~some.recovered[chosen]).sum()), float(chosen.size)]
        for key, chosen in _by_block(some).items()
    }
    blocks: ShareBlocks = share_blocks(of_block)
    return Measured(estimate_in(row, "unrecovered_share{}"), some.n, blocks)
