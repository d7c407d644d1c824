"""rollout: until all hosts have an image, and what the registry gave them."""

from functools import cached_property
from typing import Any

from analysis.cells import Cell, Cells
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
from analysis.rollout.rows import TIMES, cell_rows, counted_of, rollout_rows
from analysis.tables.rollout import EXPERIMENT
from analysis.together import Together

__all__ = ["EXPERIMENT", "measures"]


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of rollouts."""
    rollouts = _Rollouts(cells)
    times = [
        rollouts.measure(Metric(name, meaning, "ns", main=name == "last"), f"{name}{{}}_ns")
        for name, meaning in TIMES.items()
    ]
    rate = Metric("bytes_per_s", "bytes of the registry per second", "bytes_per_s", "higher", main=False)
    return [*times, rollouts.measure(rate, "bytes_per_s{}")]


class _Rollouts:
    def __init__(self, cells: Cells) -> None:
        self._together = Together(cells)

    @cached_property
    def _each(self) -> list[dict[str, Any]]:
        return rollout_rows(self._together)

    @cached_property
    def _rows(self) -> dict[tuple[str, str], Row]:
        return fleet_rows(cell_rows(self._together, self._each))

    def measure(self, metric: Metric, pattern: str) -> Measure:
        """The measure of one column of the rollouts."""

        def of(cell: Cell) -> Measured | None:
            row, column = row_of(self._together.cells, self._rows, cell), pattern.format("")
            if row is None or row[column] is None:
                return None
            each = [r for r in counted_of(self._each, cell) if r.get(column) is not None]
            values = {(EVERY_HOST, r["block"]): r[column] for r in each}
            return Measured(estimate_in(row, pattern), len(values), plain_blocks(values))

        return Measure(metric, of)
