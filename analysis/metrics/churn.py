"""churn: what a host bears when instances come and go."""

from functools import cached_property

import numpy as np

from analysis.cells import Cell, Cells
from analysis.distributions import Reduction
from analysis.latency import outcome_rows
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
from analysis.metrics.of_instances import Attempts, stage_measures
from analysis.scopes import FLEET
from analysis.tables.churn import EXPERIMENT, STAGES, load_rows
from analysis.tables.lifecycle import DELETE, READY
from analysis.traffic import TrafficReduction

__all__ = ["EXPERIMENT", "measures"]


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of sustained creation and deletion."""
    reduction = Reduction(cells)
    load = _Load(reduction)
    achieved = Metric("achieved_per_s", "instances ready per second, steady part", "per_s", "higher")
    shed = Metric("shed_share", "arrivals turned away, of all", "share")
    return [
        *stage_measures(reduction, STAGES, (READY.name, DELETE.name)),
        Attempts(reduction).failed_share(),
        Measure(achieved, load.achieved),
        Measure(shed, load.shed),
    ]


class _Load:
    """Throughput and what was turned away, read when first asked for."""

    def __init__(self, reduction: Reduction) -> None:
        self._reduction = reduction
        self._cells = reduction.cells

    @cached_property
    def _traffic(self) -> TrafficReduction:
        return TrafficReduction(self._cells)

    @cached_property
    def _rows(self) -> dict[tuple[str, str], Row]:
        return fleet_rows(load_rows(self._traffic, outcome_rows(self._reduction)))

    def achieved(self, cell: Cell) -> Measured | None:
        row = row_of(self._cells, self._rows, cell)
        if row is None or row["achieved_per_s"] is None:
            return None
        passed = {(t.host, t.block): t.passed("readied") for t in self._traffic.of(cell.index, FLEET)}
        values = {key: count / seconds for key, (count, seconds) in passed.items() if seconds}
        return Measured(estimate_in(row, "achieved_per_s{}"), len(values), plain_blocks(values))

    def shed(self, cell: Cell) -> Measured | None:
        row = row_of(self._cells, self._rows, cell)
        trials = [t for t in self._traffic.of(cell.index, FLEET) if t.total("arrived")]
        if row is None or not trials:
            return None
        counts = (np.array([float(t.total(c)) for t in trials]) for c in ("shed", "arrived"))
        blocks = ShareBlocks(tuple((t.host, t.block) for t in trials), *counts)
        return Measured(estimate_in(row, "shed_share{}"), row["arrived"], blocks)
