"""security: facts are no numbers; what can be asked is how many instances could not be looked at."""

from analysis.cells import Cells
from analysis.distributions import Reduction
from analysis.metrics.base import Measure
from analysis.metrics.of_instances import Attempts
from analysis.tables.security import EXPERIMENT

__all__ = ["EXPERIMENT", "measures"]


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of security."""
    return [Attempts(Reduction(cells)).failed_share()]
