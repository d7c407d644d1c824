"""Injections of the recovery experiment: how long each took to come back, and what it cost meanwhile."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.cells import Cell, Cells
from analysis.distributions import HARNESS_CAUSES, Stage
from analysis.portions import Columns, Portions
from analysis.scopes import FLEET, Scope
from analysis.statistics.blocks import Floats, Ints
from analysis.statistics.survival import Bools, Lifetimes, lifetimes
from analysis.tallies import Tallies, Tally, seen, shares_of, tallied

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
    """What happened after the faults of one cell. Injections that are alike share a row."""

    waited: Tally
    """Until it had recovered, or until nobody watched any more, ns."""
    recovered: Bools
    """Within the deadline."""
    cut_short: Bools
    """Not recovered, and not watched until the deadline."""
    failed: Bools
    """Not recovered, and ended by an error instead of by the deadline."""
    died: Bools
    """Whether the victim's process died."""
    outage: Tally
    """Planned probes without a good reply, times their period, ns, where it was said."""
    lost_requests: Tally

    @property
    def n(self) -> int:
        """How many injections there are."""
        return self.waited.n

    def number(self, some: Bools) -> int:
        """How many injections some rows stand for."""
        return int(self.waited.counts[some].sum())

    @property
    def longest_ns(self) -> float:
        """The longest time that anything was watched; 0 without injections."""
        return float(self.waited.values.max(initial=0.0))

    @property
    def unrecovered_share(self) -> float:
        """Share that did not recover within the deadline."""
        return self.number(~self.recovered) / self.n

    def unrecovered(self) -> tuple[Floats, Floats, Floats]:
        """How many did not recover, all of them, and the host, for each block."""
        own = self.waited
        return shares_of(~self.recovered, own.counts, own.host, own.block)

    @property
    def unit(self) -> Ints:
        """One number for each block of each host: the unit of replication."""
        width = int(self.waited.block.max(initial=0)) + 1
        return np.asarray(self.waited.host * width + self.waited.block, dtype=np.int64)

    def lifetimes(self) -> Lifetimes:
        """As times until recovery, those that did not come known to be longer."""
        own = self.waited
        life = lifetimes(own.values, self.recovered, self.unit, own.host, own.counts)
        return replace(life, grain=own.grain)


class AllInjections:
    """All injections of a dataset, by cell."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        causes = ", ".join(f"'{cause}'" for cause in HARNESS_CAUSES)
        members = cells.table("timed", "failed")
        experiment = {"experiment": cells.experiment}
        portions = Portions(cells, members, _ROWS)
        rounded = portions.rounded
        found = [
            _worked_out(cells, part, rounded=rounded)
            for part in portions.read(_ATTEMPTS.format(causes=causes))
        ]
        waited, outages, lost = zip(*found, strict=True)
        self._waited = Tallies(cells, waited, rounded=rounded)
        self._outages = Tallies(cells, outages, rounded=rounded)
        self._lost = Tallies(cells, lost, rounded=False)
        every = cells.table("timed", "failed", "set aside")
        self._others = cells.dataset.rows(_OTHERS.format(causes=causes), experiment, members=every)

    def of(self, cell: Cell, scope: Scope = FLEET) -> Injections:
        """Attempted injections of a cell in a scope."""
        counts = self.cells.counting(cell.index, scope)
        here = self._waited.here(cell.index, counts)
        waited, flags = self._waited.tally(here), [self._waited.columns[name][here] for name in _FLAGS]
        outage, lost = (
            every.tally(every.here(cell.index, counts)) for every in (self._outages, self._lost)
        )
        recovered, cut_short, failed, died = flags
        return Injections(waited, recovered, cut_short, failed, died, outage, lost)

    def others(self, cell: Cell, scope: Scope = FLEET) -> dict[str, int]:
        """Injections that are no attempts, and attempts in trials that are set aside."""
        mine = [r for r in self._others if r["cell"] == cell.index and scope.has(r["host"])]
        aside = sum(r["attempts"] for r in mine if self._aside(cell, scope, r))
        return {"not_injected": sum(r["not_injected"] for r in mine), "set_aside": aside}

    def _aside(self, cell: Cell, scope: Scope, row: dict[str, Any]) -> bool:
        return row["role"] == "set aside" or not self.cells.counts(cell.index, scope, row["host"])


def _worked_out(cells: Cells, part: Columns, *, rounded: bool) -> tuple[Columns, Columns, Columns]:
    """Of some trials: times until recovery, outages, lost requests."""
    deadline = np.array([deadline_ns(cell) for cell in cells.cells])[part["cell"]]
    ready, watched, censored = part["ready_ns"], part["watched_ns"], part["censored"]
    recovered = np.isfinite(ready) & (ready <= deadline)
    until = np.where(censored | np.isnan(watched), deadline, np.minimum(watched, deadline))
    watched = np.where(np.isfinite(deadline), until, watched)
    waited = np.where(recovered, ready, np.maximum(np.nan_to_num(watched), 0.0))
    part["waited_ns"] = waited
    part["recovered"] = recovered
    part["cut_short"] = ~recovered & (waited < deadline)
    part["failed"] = ~recovered & ~censored
    found = tallied(part, "waited_ns", ("trial", *_FLAGS), rounded=rounded)
    return (
        found | {"value": _within(found, cells)},
        tallied(part, "outage_ns", ("trial",), rounded=rounded),
        seen(part, "lost_requests", ("trial",)),
    )


def _within(found: Columns, cells: Cells) -> Floats:
    """Times, none of which a bucket has moved over its deadline: what was cut off there, was there."""
    cell = np.array([m.cell for m in cells.memberships], dtype=np.int64)[found["trial"]]
    deadline = np.array([deadline_ns(cell) for cell in cells.cells])[cell]
    cut_off = ~found["recovered"] & ~found["cut_short"]
    most = np.where(found["cut_short"], np.nextafter(deadline, 0.0), deadline)
    return np.where(cut_off, deadline, np.minimum(found["value"], most))


def deadline_ns(cell: Cell) -> float:
    """Until when recovery was waited for, ns after the fault; infinite when nothing says."""
    found = cell.conditions.get(DEADLINE_PARAM)
    return found * 1e9 if isinstance(found, int | float) else float("inf")


_FLAGS = ("recovered", "cut_short", "failed", "died")
_INJECTED = """
    i.experiment = $experiment AND i.victim IS NOT NULL AND NOT i.warm_up
"""
_ROWS = "instances i WHERE i.experiment = $experiment AND i.victim IS NOT NULL AND NOT i.warm_up"
_ATTEMPT = "i.t_fault IS NOT NULL AND coalesce(i.error_class, '') NOT IN ({causes})"
_ATTEMPTS = f"""
    WITH costs AS (
        SELECT trial_id, instance,
            max(value) FILTER (WHERE metric = 'recovery.outage') AS outage_ns,
            max(value) FILTER (WHERE metric = 'recovery.lost_requests') AS lost_requests
        FROM samples
        WHERE experiment = $experiment AND list_contains($hosts, host)
            AND metric IN ('recovery.outage', 'recovery.lost_requests')
            AND trial_id IN (SELECT trial_id FROM members)
        GROUP BY ALL
    )
    SELECT m.cell, m.trial, i.outcome = 'censored' AS censored,
        coalesce((i.t_ready - i.t_fault)::DOUBLE, 'nan') AS ready_ns,
        coalesce((t.duration_ns - i.t_fault)::DOUBLE, 'nan') AS watched_ns,
        i.t_exited IS NOT NULL AS died, coalesce(c.outage_ns, 'nan') AS outage_ns,
        coalesce(c.lost_requests, 'nan') AS lost_requests
    FROM instances i JOIN members m USING (trial_id) JOIN trials t USING (trial_id)
        LEFT JOIN costs c USING (trial_id, instance)
    WHERE {_INJECTED} AND {_ATTEMPT} AND list_contains($hosts, i.host)
    ORDER BY m.cell, m.host, m.block, i.trial_id, i.instance
"""  # noqa: S608 - built of this module's own text
_OTHERS = f"""
    SELECT m.cell, m.host, m.role, count(*) FILTER (WHERE {_ATTEMPT}) AS attempts,
        count(*) FILTER (WHERE NOT ({_ATTEMPT})) AS not_injected
    FROM instances i JOIN members m USING (trial_id)
    WHERE {_INJECTED}
    GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - built of this module's own text
