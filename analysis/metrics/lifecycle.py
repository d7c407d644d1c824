"""lifecycle: times to ready and to delete, their stages, failures, rate."""

from analysis.cells import Cells
from analysis.distributions import Reduction
from analysis.metrics.base import Measure
from analysis.metrics.of_instances import Attempts, stage_measures
from analysis.tables.lifecycle import DELETE, EXPERIMENT, READY, STAGES

__all__ = ["EXPERIMENT", "measures"]


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of creation and deletion."""
    reduction = Reduction(cells)
    attempts = Attempts(reduction)
    times = stage_measures(reduction, STAGES, (READY.name, DELETE.name))
    return [*times, attempts.failed_share(), attempts.rate()]
