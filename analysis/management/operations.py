"""Operations of the management experiment: what each verb took, and what users of instances noticed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.cells import Cell, Cells
from analysis.distributions import HARNESS_CAUSES
from analysis.scopes import FLEET, Scope
from analysis.statistics.blocks import BlockedSample, Floats, Ints, blocked_sample
from contract.trial import NOT_APPLICABLE
from contract.verbs import OPERATIONS, Verb


@dataclass(frozen=True)
class Done:
    """One verb of one cell, a value per attempt."""

    effect_ns: Floats
    """From the call to the effect; ``inf``: it failed, or the instance did not outlive it."""
    call_ns: Floats
    """Until the call returned; NaN where it did not."""
    memory_kept: Floats
    """1: what was restored had its memory, 0: its files only; NaN: nothing was restored."""
    host: Ints
    block: Ints

    @property
    def n(self) -> int:
        """Attempts."""
        return int(self.effect_ns.size)

    @property
    def seen(self) -> int:
        """Attempts that had their effect, and left an instance that answers."""
        return int(np.isfinite(self.effect_ns).sum())

    def effects(self) -> BlockedSample:
        """Times to the effect."""
        return blocked_sample(self.effect_ns, self.block, self.host)

    def by_block(self) -> tuple[Floats, Floats, Floats]:
        """Failures, attempts and host of each block."""
        width = int(self.block.max(initial=0)) + 1
        units, code = np.unique(self.host * width + self.block, return_inverse=True)
        failed = np.bincount(code, weights=np.isinf(self.effect_ns), minlength=units.size)
        sizes = np.bincount(code, minlength=units.size).astype(np.float64)
        return failed.astype(np.float64), sizes, (units // width).astype(np.float64)


@dataclass(frozen=True)
class Noticed:
    """What the probe saw of the operations of one cell, a value per operation."""

    interruption_ns: Floats
    """``inf``: the instance did not come back."""
    jitter_ns: Floats
    """The same just before; NaN: not known."""
    lost: Floats
    """NaN where the instance did not come back."""
    host: Ints
    block: Ints

    @property
    def n(self) -> int:
        """Operations."""
        return int(self.interruption_ns.size)

    def interruptions(self) -> BlockedSample:
        """Longest silences."""
        return blocked_sample(self.interruption_ns, self.block, self.host)

    def lost_requests(self) -> BlockedSample:
        """Lost probes of operations that ended well enough to count them."""
        known = ~np.isnan(self.lost)
        return blocked_sample(self.lost[known], self.block[known], self.host[known])


class AllOperations:
    """All operations of a dataset, by cell."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        causes = ", ".join(f"'{cause}'" for cause in HARNESS_CAUSES)
        experiment = {"experiment": cells.experiment}
        members = cells.table("timed", "failed")
        self._verbs = self._columns(_VERBS.format(causes=causes), experiment, members)
        self._noticed = self._columns(_NOTICED, experiment, members)
        every = cells.table("timed", "failed", "set aside")
        self._others = cells.dataset.rows(_OTHERS.format(causes=causes), experiment, members=every)

    def verb(self, cell: Cell, verb: Verb, scope: Scope = FLEET) -> Done:
        """Attempts at one of the verbs of a cell's operations."""
        place = verbs_of(cell).index(verb)
        column = self._verbs
        here = self._here(column, cell, scope) & (column["place"] % len(verbs_of(cell)) == place)
        floats = (column[name][here].astype(np.float64) for name in ("effect", "call", "kept"))
        ints = (column[name][here].astype(np.int64) for name in ("host", "block"))
        return Done(*floats, *ints)

    def noticed(self, cell: Cell, scope: Scope = FLEET) -> Noticed:
        """What the probe saw of a cell's operations."""
        column = self._noticed
        here = self._here(column, cell, scope)
        floats = (column[n][here].astype(np.float64) for n in ("interruption", "jitter", "lost"))
        ints = (column[name][here].astype(np.int64) for name in ("host", "block"))
        return Noticed(*floats, *ints)

    def others(self, cell: Cell, verb: Verb, scope: Scope = FLEET) -> dict[str, int]:
        """Planned verbs that are no attempts, and attempts in trials that are set aside."""
        place, width = verbs_of(cell).index(verb), len(verbs_of(cell))
        mine = [
            r
            for r in self._others
            if r["cell"] == cell.index and scope.has(r["host"]) and r["place"] % width == place
        ]
        aside = [r for r in mine if r["role"] == "set aside" or not self._counts(cell, scope, r["host"])]
        return {
            "not_tried": sum(r["not_tried"] for r in mine),
            "set_aside": sum(r["attempts"] for r in aside),
        }

    def _counts(self, cell: Cell, scope: Scope, host: int) -> bool:
        return self.cells.counts(cell.index, scope, host)

    def _here(self, column: dict[str, Any], cell: Cell, scope: Scope) -> Any:
        return (column["cell"] == cell.index) & self.cells.counting(cell.index, scope)[column["host"]]

    def _columns(self, sql: str, experiment: dict[str, str], members: Any) -> dict[str, Any]:
        found = self.cells.dataset.query(sql, experiment, members=members)
        return {name: found[name].to_numpy() for name in found.column_names}


def operation_of(cell: Cell) -> str:
    """What is done in a cell, as campaigns name it."""
    return str(cell.conditions.get("verb"))


def verbs_of(cell: Cell) -> tuple[Verb, ...]:
    """The verbs that this consists of; none when it is not known here."""
    return OPERATIONS.get(operation_of(cell), ())


def probe_period_ns(cell: Cell) -> float:
    """The probe's period, which is how closely interruptions are known; 0 when nothing says."""
    rate = cell.conditions.get("probe_rate_per_s")
    return 1e9 / rate if isinstance(rate, int | float) and rate > 0 else 0.0


_ATTEMPT = "i.outcome IN ('ok', 'failed', 'timeout') AND coalesce(i.error_class, '') NOT IN ({causes})"
_PLACED = """
    placed AS (
        SELECT i.*, row_number() OVER (PARTITION BY i.trial_id ORDER BY i.instance) - 1 AS place
        FROM instances i
        WHERE i.experiment = $experiment AND NOT i.resident AND i.victim IS NOT NULL
    )
"""
_VERBS = f"""
    WITH {_PLACED}, noted AS (
        SELECT trial_id, instance,
            max(value) FILTER (WHERE metric = 'management.call') AS call,
            max(value) FILTER (WHERE metric = 'management.memory_kept') AS kept
        FROM samples WHERE experiment = $experiment GROUP BY ALL
    )
    SELECT m.cell, m.host, m.block, i.place,
        CASE WHEN i.outcome = 'ok' THEN (i.t_ready - i.t_call)::DOUBLE ELSE 'inf'::DOUBLE END AS effect,
        coalesce(n.call, 'nan') AS call, coalesce(n.kept, 'nan') AS kept
    FROM placed i JOIN members m USING (trial_id) LEFT JOIN noted n USING (trial_id, instance)
    WHERE {_ATTEMPT}
    ORDER BY m.cell, m.host, m.block, i.trial_id, i.instance
"""  # noqa: S608 - built of this module's own text
_NOTICED = """
    SELECT m.cell, m.host, m.block,
        coalesce(max(s.value) FILTER (WHERE s.metric = 'management.interruption'), 'inf')
            AS interruption,
        coalesce(max(s.value) FILTER (WHERE s.metric = 'management.jitter'), 'nan') AS jitter,
        coalesce(max(s.value) FILTER (WHERE s.metric = 'management.lost_requests'), 'nan') AS lost
    FROM samples s JOIN members m USING (trial_id)
    WHERE s.experiment = $experiment
    GROUP BY m.cell, m.host, m.block, s.trial_id, s.instance
    HAVING count(*) FILTER (WHERE s.metric = 'management.interruption') > 0
    ORDER BY m.cell, m.host, m.block, s.trial_id, s.instance
"""
_OTHERS = f"""
    WITH {_PLACED}
    SELECT m.cell, m.host, m.role, i.place, count(*) FILTER (WHERE {_ATTEMPT}) AS attempts,
        count(*) FILTER (WHERE NOT ({_ATTEMPT})
            AND coalesce(i.error_class, '') <> '{NOT_APPLICABLE}') AS not_tried
    FROM placed i JOIN members m USING (trial_id)
    GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - built of this module's own text
