"""overhead: time for the same work, and the share of it that was not done."""

from analysis.cells import Cells
from analysis.distributions import Reduction
from analysis.metrics.base import Measure
from analysis.metrics.of_instances import Attempts, stage_measures
from analysis.tables.overhead import EXPERIMENT, WORK

__all__ = ["EXPERIMENT", "measures"]


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of overhead."""
    reduction = Reduction(cells)
    times = stage_measures(reduction, (WORK,), (WORK.name,))
    return [*times, Attempts(reduction).failed_share()]
