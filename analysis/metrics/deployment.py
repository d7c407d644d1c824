"""deployment: times to deploy and to pull, their stages, failures, bytes."""

from collections import defaultdict

import numpy as np

from analysis.cells import Cell, Cells
from analysis.distributions import Reduction
from analysis.metrics.base import Measure, Measured, Metric, plain_blocks
from analysis.metrics.of_instances import Attempts, stage_measures
from analysis.statistics.comparison import BlockKey
from analysis.statistics.proportions import Estimate
from analysis.statistics.resampling import mean_of_blocks
from analysis.tables.deployment import DEPLOY, EXPERIMENT, PULL, STAGES

__all__ = ["EXPERIMENT", "measures"]

_BYTES = {
    "bytes_wire": ("deployment.bytes_wire", "bytes on the wire per deployment"),
    "bytes_disk": ("deployment.bytes_disk", "bytes on disk per deployment"),
}
_MEDIANS = """
    SELECT m.cell, m.host, m.block, median(s.value) AS value, count(*) AS n
    FROM samples s JOIN members m USING (trial_id)
        JOIN instances i ON i.trial_id = s.trial_id AND i.instance = s.instance
    WHERE s.experiment = $experiment AND i.experiment = $experiment AND NOT i.warm_up
        AND s.metric = $metric AND s.value IS NOT NULL
    GROUP BY ALL ORDER BY ALL
"""


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of delivery."""
    reduction = Reduction(cells)
    times = stage_measures(reduction, STAGES, (DEPLOY.name, PULL.name))
    return [*times, Attempts(reduction).failed_share(), *(_bytes(cells, name) for name in _BYTES)]


def _bytes(cells: Cells, name: str) -> Measure:
    recorded, meaning = _BYTES[name]
    given = {"experiment": cells.experiment, "metric": recorded}
    medians: dict[int, dict[BlockKey, float]] = defaultdict(dict)
    counted: dict[int, int] = defaultdict(int)
    for row in cells.dataset.rows(_MEDIANS, given, members=cells.table("timed")):
        if cells.in_fleet(row["cell"], row["host"]):
            medians[row["cell"]][row["host"], row["block"]] = row["value"]
            counted[row["cell"]] += row["n"]

    def of(cell: Cell) -> Measured | None:
        values = medians.get(cell.index)
        if not values:
            return None
        mean = mean_of_blocks(np.array(list(values.values()), dtype=np.float64))
        low = None if mean.low is None else max(0.0, mean.low)
        return Measured(Estimate(mean.value, low, mean.high), counted[cell.index], plain_blocks(values))

    return Measure(Metric(name, meaning, "bytes"), of)
