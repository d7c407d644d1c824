"""Operations of the management experiment: what each verb took, and what users of instances noticed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from analysis.cells import Cell, Cells, Role
from analysis.distributions import HARNESS_CAUSES
from analysis.portions import Portions
from analysis.scopes import FLEET, Scope
from analysis.tallies import Tallies, Tally, seen, tallied
from contract.trial import NOT_APPLICABLE
from contract.verbs import OPERATIONS, Verb


@dataclass(frozen=True)
class Done:
    """What became of the attempts at one verb of one cell."""

    effect: Tally
    """From the call to the effect, ns; ``inf``: it failed, or the instance did not outlive it."""
    call: Tally
    """Until the call returned, ns, where it did."""
    memory_kept: Tally
    """1: what was restored had its memory, 0: its files only."""

    @property
    def n(self) -> int:
        """Attempts."""
        return self.effect.n

    @property
    def seen(self) -> int:
        """Attempts that had their effect, and left an instance that answers."""
        return self.effect.n - self.effect.infinite


@dataclass(frozen=True)
class Noticed:
    """What the probe saw of the operations of one cell."""

    interruption: Tally
    """In ns; ``inf``: the instance did not come back."""
    jitter: Tally
    """The same just before, where it is known."""
    lost: Tally
    """Lost probes of operations that ended well enough to count them."""

    @property
    def n(self) -> int:
        """Operations."""
        return self.interruption.n


class AllOperations:
    """All operations of a dataset, by cell."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        causes = ", ".join(f"'{cause}'" for cause in HARNESS_CAUSES)
        members = _with_verbs(cells, "timed", "failed")
        verbs = Portions(cells, members, _VERB_ROWS)
        operations = Portions(cells, members, _OPERATION_ROWS)
        self._verbs = _tallies(
            cells, verbs, _VERBS.format(causes=causes), (("effect", "call"), "kept"), ("trial", "place")
        )
        self._noticed = _tallies(
            cells, operations, _NOTICED, (("interruption", "jitter"), "lost"), ("trial",)
        )
        every = _with_verbs(cells, "timed", "failed", "set aside")
        planned = Portions(cells, every, _VERB_ROWS).read(_OTHERS.format(causes=causes))
        self._others = [
            dict(zip(part, row, strict=True))
            for part in planned
            for row in zip(*(column.tolist() for column in part.values()), strict=True)
        ]

    def verb(self, cell: Cell, verb: Verb, scope: Scope = FLEET) -> Done:
        """Attempts at one of the verbs of a cell's operations."""
        place = verbs_of(cell).index(verb)
        counts = self.cells.counting(cell.index, scope)
        return Done(
            *(
                every.tally(every.here(cell.index, counts) & (every.columns["place"] == place))
                for every in self._verbs
            )
        )

    def noticed(self, cell: Cell, scope: Scope = FLEET) -> Noticed:
        """What the probe saw of a cell's operations."""
        counts = self.cells.counting(cell.index, scope)
        return Noticed(*(every.tally(every.here(cell.index, counts)) for every in self._noticed))

    def others(self, cell: Cell, verb: Verb, scope: Scope = FLEET) -> dict[str, int]:
        """Planned verbs that are no attempts, and attempts in trials that are set aside."""
        place = verbs_of(cell).index(verb)
        mine = [
            r
            for r in self._others
            if r["cell"] == cell.index and scope.has(r["host"]) and r["place"] == place
        ]
        aside = [r for r in mine if r["role"] == "set aside" or not self._counts(cell, scope, r["host"])]
        return {
            "not_tried": sum(r["not_tried"] for r in mine),
            "set_aside": sum(r["attempts"] for r in aside),
        }

    def _counts(self, cell: Cell, scope: Scope, host: int) -> bool:
        return self.cells.counts(cell.index, scope, host)


def is_rounded(cells: Cells) -> bool:
    """Whether there are so many attempts that their times are rounded to steps of 0.1 %."""
    return Portions(cells, cells.table("timed", "failed"), _VERB_ROWS).rounded


def _with_verbs(cells: Cells, *roles: Role) -> pa.Table:
    """Trials of some roles, each with how many verbs its operations consist of."""
    members = cells.table(*roles)
    width = np.array([max(1, len(verbs_of(cell))) for cell in cells.cells], dtype=np.int32)
    return members.append_column("width", pa.array(width[members["cell"].to_numpy()], pa.int32()))


def _tallies(
    cells: Cells, portions: Portions, sql: str, values: tuple[tuple[str, str], str], keys: Sequence[str]
) -> list[Tallies]:
    """Of two times, which are rounded where there are many, and of a number that is not."""
    times, number = values
    rounded = portions.rounded
    found = [
        [*(tallied(part, time, keys, rounded=rounded) for time in times), seen(part, number, keys)]
        for part in portions.read(sql)
    ]
    each = zip(*found, strict=True)
    return [
        Tallies(cells, parts, rounded=rounded and place < len(times)) for place, parts in enumerate(each)
    ]


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
_VERB_ROWS = """
    instances i WHERE i.experiment = $experiment AND NOT i.resident AND i.victim IS NOT NULL
"""
_OPERATION_ROWS = "samples WHERE experiment = $experiment AND metric = 'management.interruption'"
_PLACED = """
    placed AS (
        SELECT m.*, i.instance, i.outcome, i.error_class, i.t_call, i.t_ready,
            (row_number() OVER (PARTITION BY i.trial_id ORDER BY i.instance) - 1) % m.width AS place
        FROM instances i JOIN members m USING (trial_id)
        WHERE i.experiment = $experiment AND list_contains($hosts, i.host)
            AND NOT i.resident AND i.victim IS NOT NULL
    )
"""
_VERBS = f"""
    WITH {_PLACED}, noted AS (
        SELECT trial_id, instance,
            max(value) FILTER (WHERE metric = 'management.call') AS call,
            max(value) FILTER (WHERE metric = 'management.memory_kept') AS kept
        FROM samples
        WHERE experiment = $experiment AND list_contains($hosts, host)
            AND metric IN ('management.call', 'management.memory_kept')
            AND trial_id IN (SELECT trial_id FROM members)
        GROUP BY ALL
    )
    SELECT i.trial, i.place,
        CASE WHEN i.outcome = 'ok' THEN (i.t_ready - i.t_call)::DOUBLE ELSE 'inf'::DOUBLE END AS effect,
        coalesce(n.call, 'nan') AS call, coalesce(n.kept, 'nan') AS kept
    FROM placed i LEFT JOIN noted n USING (trial_id, instance)
    WHERE {_ATTEMPT}
    ORDER BY i.cell, i.host, i.block, i.trial_id, i.instance
"""  # noqa: S608 - built of this module's own text
_NOTICED = """
    SELECT m.trial,
        coalesce(max(s.value) FILTER (WHERE s.metric = 'management.interruption'), 'inf')
            AS interruption,
        coalesce(max(s.value) FILTER (WHERE s.metric = 'management.jitter'), 'nan') AS jitter,
        coalesce(max(s.value) FILTER (WHERE s.metric = 'management.lost_requests'), 'nan') AS lost
    FROM samples s JOIN members m USING (trial_id)
    WHERE s.experiment = $experiment AND list_contains($hosts, s.host)
        AND s.metric IN ('management.interruption', 'management.jitter', 'management.lost_requests')
    GROUP BY m.cell, m.host, m.block, m.trial, s.trial_id, s.instance
    HAVING count(*) FILTER (WHERE s.metric = 'management.interruption') > 0
    ORDER BY m.cell, m.host, m.block, s.trial_id, s.instance
"""
_OTHERS = f"""
    WITH {_PLACED}
    SELECT i.cell, i.host, i.role, i.place, count(*) FILTER (WHERE {_ATTEMPT}) AS attempts,
        count(*) FILTER (WHERE NOT ({_ATTEMPT})
            AND coalesce(i.error_class, '') <> '{NOT_APPLICABLE}') AS not_tried
    FROM placed i
    GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - built of this module's own text
