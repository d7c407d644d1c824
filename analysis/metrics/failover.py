"""failover: how long a lost host's instances were away, and how many came back."""

from functools import cached_property
from typing import Any

from analysis.cells import Cell, Cells
from analysis.failover.returns import Losses
from analysis.failover.rows import cell_rows, loss_rows
from analysis.metrics.base import (
    EVERY_HOST,
    Measure,
    Measured,
    Metric,
    Row,
    estimate_in,
    fleet_rows,
    plain_blocks,
    row_of,
)
from analysis.metrics.of_instances import share_blocks
from analysis.statistics.survival import lifetimes, mean_time_within
from analysis.tables.failover import EXPERIMENT
from analysis.together import Together

__all__ = ["EXPERIMENT", "measures"]


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of failover."""
    found = _Failover(cells)
    return [
        Measure(Metric("down", "expected time away within the deadline", "ns"), found.down),
        Measure(Metric("last", "last return, where all came back", "ns", main=False), found.last),
        Measure(Metric("back_share", "instances that returned, of all", "share", "higher"), found.back),
    ]


class _Failover:
    def __init__(self, cells: Cells) -> None:
        self._losses = Losses(Together(cells))

    @cached_property
    def _each(self) -> list[dict[str, Any]]:
        return loss_rows(self._losses)

    @cached_property
    def _rows(self) -> dict[tuple[str, str], Row]:
        return fleet_rows(cell_rows(self._losses, self._each))

    def _row(self, cell: Cell) -> Row | None:
        return row_of(self._losses.together.cells, self._rows, cell)

    def down(self, cell: Cell) -> Measured | None:
        row, some = self._row(cell), self._losses.of(cell)
        if row is None or row["down_ns"] is None:
            return None
        values = {}
        for block in sorted(set(some.block.tolist())):
            mine = some.block == block
            life = lifetimes(some.waited_ns[mine], some.back[mine], some.block[mine])
            values[EVERY_HOST, block] = mean_time_within(life, row["deadline_ns"])
        return Measured(estimate_in(row, "down{}_ns"), some.n, plain_blocks(values))

    def last(self, cell: Cell) -> Measured | None:
        row = self._row(cell)
        if row is None or row["last_ns"] is None:
            return None
        each = [r for r in self._each if r["cell"] == cell.index and r["counted"]]
        values = {(EVERY_HOST, r["block"]): r["last_ns"] for r in each if r["last_ns"] is not None}
        return Measured(estimate_in(row, "last{}_ns"), len(values), plain_blocks(values))

    def back(self, cell: Cell) -> Measured | None:
        row, some = self._row(cell), self._losses.of(cell)
        if row is None or not some.n:
            return None
        of_block = {
            (EVERY_HOST, block): [float(some.back[mine].sum()), float(mine.sum())]
            for block in sorted(set(some.block.tolist()))
            for mine in [some.block == block]
        }
        return Measured(estimate_in(row, "back_share{}"), some.n, share_blocks(of_block))
