"""Injections of the recovery experiment: how long each took to come back, and what it cost meanwhile."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.cells import Cell, Cells
from analysis.distributions import HARNESS_CAUSES, Stage
from analysis.scopes import FLEET, Scope
from analysis.statistics.blocks import Floats, Ints
from analysis.statistics.survival import Bools, Lifetimes, lifetimes

DEADLINE_PARAM = "recovery_deadline_s"
"""Parameter of the experiment: what has not come back by then is censored."""

RECOVER = Stage(
    "recover",
    "from just before the fault to the first of several good replies in a row",
    "i.t_fault",
    "i.t_ready",
    unreached="i.t_fault IS NOT NULL AND i.t_ready IS NULL",
)
PHASES = (
    Stage("detect", "until the supervisor noticed", "i.t_fault", "i.t_detect"),
    Stage("act", "until the supervisor began to start it again", "i.t_detect", "i.t_act"),
    Stage("ready", "until the first of several good replies in a row", "i.t_act", "i.t_ready"),
)
DIE = Stage("die", "until the victim's process was dead", "i.t_fault", "i.t_exited")
STAGES = (RECOVER, Stage("recover", RECOVER.meaning, "i.t_fault", "i.t_ready"), *PHASES, DIE)


@dataclass(frozen=True)
class Injections:
    """What happened after the faults of one cell, a value per injection."""

    waited_ns: Floats
    """Until it had recovered, or until nobody watched any more."""
    recovered: Bools
    """Within the deadline."""
    cut_short: Bools
    """Not recovered, and not watched until the deadline."""
    failed: Bools
    """Not recovered, and ended by an error instead of by the deadline."""
    died: Bools
    """Whether the victim's process died."""
    outage_ns: Floats
    """Planned probes without a good reply, times their period; NaN where it was not said."""
    lost_requests: Floats
    host: Ints
    block: Ints

    @property
    def n(self) -> int:
        """How many there are."""
        return int(self.waited_ns.size)

    @property
    def unit(self) -> Ints:
        """One number for each block of each host: the unit of replication."""
        width = int(self.block.max()) + 1 if self.n else 1
        return np.asarray(self.host * width + self.block, dtype=np.int64)

    def lifetimes(self) -> Lifetimes:
        """As times until recovery, those that did not come known to be longer."""
        return lifetimes(self.waited_ns, self.recovered, self.unit, self.host)


class AllInjections:
    """All injections of a dataset, by cell."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        causes = ", ".join(f"'{cause}'" for cause in HARNESS_CAUSES)
        members = cells.table("timed", "failed")
        experiment = {"experiment": cells.experiment}
        sql = _ATTEMPTS.format(causes=causes)
        found = cells.dataset.query(sql, experiment, members=members)
        self._columns = {name: found[name].to_numpy() for name in found.column_names}
        every = cells.table("timed", "failed", "set aside")
        self._others = cells.dataset.rows(_OTHERS.format(causes=causes), experiment, members=every)

    def of(self, cell: Cell, scope: Scope = FLEET) -> Injections:
        """Attempted injections of a cell in a scope."""
        column = self._columns
        here = (column["cell"] == cell.index) & self.cells.counting(cell.index, scope)[column["host"]]
        deadline = deadline_ns(cell)
        ready, watched = (column[name][here].astype(np.float64) for name in ("ready_ns", "watched_ns"))
        censored = column["censored"][here].astype(bool)
        recovered = np.isfinite(ready) & (ready <= deadline)
        if np.isfinite(deadline):
            watched = np.where(censored | np.isnan(watched), deadline, np.minimum(watched, deadline))
        waited = np.where(recovered, ready, np.maximum(np.nan_to_num(watched), 0.0))
        return Injections(
            waited,
            recovered,
            ~recovered & (waited < deadline),
            ~recovered & ~censored,
            column["died"][here].astype(bool),
            column["outage_ns"][here].astype(np.float64),
            column["lost_requests"][here].astype(np.float64),
            column["host"][here].astype(np.int64),
            column["block"][here].astype(np.int64),
        )

    def others(self, cell: Cell, scope: Scope = FLEET) -> dict[str, int]:
        """Injections that are no attempts, and attempts in trials that are set aside."""
        mine = [r for r in self._others if r["cell"] == cell.index and scope.has(r["host"])]
        aside = sum(r["attempts"] for r in mine if self._aside(cell, scope, r))
        return {"not_injected": sum(r["not_injected"] for r in mine), "set_aside": aside}

    def _aside(self, cell: Cell, scope: Scope, row: dict[str, Any]) -> bool:
        return row["role"] == "set aside" or not self.cells.counts(cell.index, scope, row["host"])


def deadline_ns(cell: Cell) -> float:
    """Until when recovery was waited for, ns after the fault; infinite when nothing says."""
    found = cell.conditions.get(DEADLINE_PARAM)
    return found * 1e9 if isinstance(found, int | float) else float("inf")


_INJECTED = """
    i.experiment = $experiment AND i.victim IS NOT NULL AND NOT i.warm_up
"""
_ATTEMPT = "i.t_fault IS NOT NULL AND coalesce(i.error_class, '') NOT IN ({causes})"
_ATTEMPTS = f"""
    WITH costs AS (
        SELECT trial_id, instance,
            max(value) FILTER (WHERE metric = 'recovery.outage') AS outage_ns,
            max(value) FILTER (WHERE metric = 'recovery.lost_requests') AS lost_requests
        FROM samples
        WHERE experiment = $experiment AND metric IN ('recovery.outage', 'recovery.lost_requests')
        GROUP BY ALL
    )
    SELECT m.cell, m.host, m.block, i.outcome = 'censored' AS censored,
        coalesce((i.t_ready - i.t_fault)::DOUBLE, 'nan') AS ready_ns,
        coalesce((t.duration_ns - i.t_fault)::DOUBLE, 'nan') AS watched_ns,
        i.t_exited IS NOT NULL AS died, coalesce(c.outage_ns, 'nan') AS outage_ns,
        coalesce(c.lost_requests, 'nan') AS lost_requests
    FROM instances i JOIN members m USING (trial_id) JOIN trials t USING (trial_id)
        LEFT JOIN costs c USING (trial_id, instance)
    WHERE {_INJECTED} AND {_ATTEMPT}
    ORDER BY m.cell, m.host, m.block, i.trial_id, i.instance
"""  # noqa: S608 - built of this module's own text
_OTHERS = f"""
    SELECT m.cell, m.host, m.role, count(*) FILTER (WHERE {_ATTEMPT}) AS attempts,
        count(*) FILTER (WHERE NOT ({_ATTEMPT})) AS not_injected
    FROM instances i JOIN members m USING (trial_id)
    WHERE {_INJECTED}
    GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - built of this module's own text
