"""Instances that had to return after a host was lost: how long each took, and what was left."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.cells import Cell
from analysis.distributions import Stage
from analysis.statistics.blocks import Floats, Ints
from analysis.statistics.survival import Bools, Lifetimes, lifetimes
from analysis.together import Together

DEADLINE_PARAM = "recovery_deadline_s"
"""Parameter of the experiment: what has not returned by then is censored."""

RETURN = Stage(
    "return",
    "from the planned moment of the loss to the first correct reply elsewhere",
    "i.t_fault",
    "i.t_ready",
    unreached="i.t_fault IS NOT NULL AND i.t_ready IS NULL",
)
PHASES = (
    Stage("detect", "until the host that takes it had noticed the loss", "i.t_fault", "i.t_detect"),
    Stage("place", "until that host began with this instance", "i.t_detect", "i.t_act"),
    Stage("ready", "created, started, first correct reply", "i.t_act", "i.t_ready"),
)

_ROWS = """
    SELECT p.m, i.outcome, i.error_class, (i.t_ready - i.t_fault)::DOUBLE AS back_ns,
        (i.t_detect - i.t_fault)::DOUBLE AS detect_ns
    FROM instances i JOIN parts p USING (trial_id)
    WHERE i.experiment = $experiment AND i.victim IS NOT NULL AND i.t_fault IS NOT NULL
    ORDER BY p.m, i.victim, i.trial_id
"""
_COSTS = """
    SELECT p.m, sum(value) FILTER (WHERE metric = 'failover.capacity_left') AS capacity_left,
        max(value) FILTER (WHERE metric = 'failover.loss') AS loss_ns,
        max(value) FILTER (WHERE metric = 'failover.clock_error') AS clock_error_ns,
        sum(value) FILTER (WHERE metric = 'failover.false_alarms') AS false_alarms
    FROM samples s JOIN parts p USING (trial_id)
    WHERE s.experiment = $experiment GROUP BY p.m ORDER BY p.m
"""


@dataclass(frozen=True)
class Returns:
    """What had to return in the counted measurements of one cell, a value per instance."""

    waited_ns: Floats
    """Until it was back, or the deadline."""
    back: Bools
    unplaced: Bools
    """It found no place on any survivor."""
    block: Ints

    @property
    def n(self) -> int:
        """How many there are."""
        return int(self.waited_ns.size)

    def lifetimes(self) -> Lifetimes:
        """As times until return, those that did not come known to be longer."""
        return lifetimes(self.waited_ns, self.back, self.block)


class Losses:
    """Everything that the measurements of the experiment say."""

    def __init__(self, together: Together) -> None:
        self.together = together
        self.rows = together.rows(_ROWS)
        self.costs = {m: rows[0] for m, rows in together.rows(_COSTS).items()}

    def of(self, cell: Cell) -> Returns:
        """Returns in the measurements of a cell that count."""
        deadline = float(cell.conditions[DEADLINE_PARAM]) * 1e9
        found = [
            (row, one.block)
            for one in self.together.counted(cell)
            for row in self.rows.get(self.together.number(one), [])
        ]
        back = np.array([is_back(row, deadline) for row, _ in found], dtype=bool)
        # A start that failed is not tried again: like what found no place, it is not back in time.
        waited = [row["back_ns"] if is_back(row, deadline) else deadline for row, _ in found]
        return Returns(
            np.array(waited, dtype=np.float64),
            back,
            np.array([row["error_class"] == "capacity" for row, _ in found], dtype=bool),
            np.array([block for _, block in found], dtype=np.int64),
        )


def is_back(row: dict[str, Any], deadline_ns: float) -> bool:
    """Whether an instance answered before nobody waited any longer."""
    return row["outcome"] == "ok" and row["back_ns"] is not None and row["back_ns"] <= deadline_ns
