"""The victim's answers in the three phases of every trial, as the tables of isolation need them."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from analysis.cells import Cell, Cells
from analysis.scopes import FLEET, Scope
from analysis.statistics.blocks import BlockedSample, Floats, Ints, blocked_sample

OFF, ON, AFTER = 0, 1, 2
"""Phases: before, under and after stress."""
GOOD_IN_A_ROW = 5
"""Answers as good as before that tell of a return to normal."""
NORMAL_P, NORMAL_SLACK = 0.95, 1.05
"""As good as before: within the 95th percentile of the first phase, and 5 % more."""


@dataclass(frozen=True)
class Answers:
    """Some cell's requests in time order within each trial. ``inf``: not answered in time."""

    latency_ns: Floats
    since_ns: Floats
    """Planned moment, counted from the beginning of its phase."""
    step: Ints
    trial: Ints
    host: Ints
    block: Ints
    ramp_ns: float

    def sample(self, step: int) -> BlockedSample:
        """Latencies of one phase without its ramp."""
        here = self._settled(step)
        return blocked_sample(self.latency_ns[here], self.block[here], self.host[here])

    def unanswered(self, step: int) -> tuple[Floats, Floats, Floats]:
        """Unanswered requests, all requests, and the host, for each block; ramps count too."""
        here = self.step == step
        width = int(self.block.max(initial=0)) + 1
        units, code = np.unique(self.host[here] * width + self.block[here], return_inverse=True)
        lost = np.bincount(code, weights=np.isinf(self.latency_ns[here]), minlength=units.size)
        sizes = np.bincount(code, minlength=units.size).astype(np.float64)
        return lost.astype(np.float64), sizes, (units // width).astype(np.float64)

    def returns(self) -> BlockedSample:
        """Time to return to normal of each trial, ns; ``inf`` where the last phase did not see it."""
        found: list[tuple[float, int, int]] = []
        for trial in np.unique(self.trial):
            own = self.trial == trial
            time = self._return_of(own)
            if time is not None:
                found.append((time, int(self.block[own][0]), int(self.host[own][0])))
        values, blocks, hosts = zip(*found, strict=True) if found else ((), (), ())
        codes = np.array(blocks, dtype=np.int64), np.array(hosts, dtype=np.int64)
        return blocked_sample(values, *codes)

    def _return_of(self, own: np.ndarray) -> float | None:
        """When the first of several good answers in a row was asked for; None: nothing to judge by."""
        before = np.sort(self.latency_ns[own & self._settled(OFF)])
        later = own & (self.step == AFTER)
        latency, since = self.latency_ns[later], self.since_ns[later]
        if not before.size or latency.size < GOOD_IN_A_ROW:
            return None
        bound = before[int(np.ceil(NORMAL_P * before.size)) - 1] * NORMAL_SLACK
        if np.isinf(bound):
            return None
        good = np.convolve(latency <= bound, np.ones(GOOD_IN_A_ROW, dtype=np.int64), "valid")
        places = np.flatnonzero(good == GOOD_IN_A_ROW)
        return float(since[places[0]]) if places.size else float("inf")

    def _settled(self, step: int) -> np.ndarray:
        return np.asarray((self.step == step) & (self.since_ns >= self.ramp_ns))


class AllAnswers:
    """All answers of a dataset, by cell."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        members, experiment = cells.table("timed"), {"experiment": cells.experiment}
        found = cells.dataset.query(_ANSWERS, experiment, members=members)
        self._columns = {name: found[name].to_numpy() for name in found.column_names}
        self._calms = cells.dataset.rows(_CALMS, experiment, members=members)

    def of(self, cell: Cell, scope: Scope = FLEET) -> Answers:
        """Of a cell in a scope."""
        column = self._columns
        here = (column["cell"] == cell.index) & self.cells.counting(cell.index, scope)[column["host"]]
        ints = {name: column[name][here].astype(np.int64) for name in ("step", "trial", "host", "block")}
        return Answers(
            column["latency_ns"][here].astype(np.float64),
            column["since_ns"][here].astype(np.float64),
            ramp_ns=float(cell.conditions.get("ramp_s") or 0) * 1e9,
            **ints,
        )

    def stressors(self, cell: Cell, scope: Scope = FLEET) -> Counter[str]:
        """How many were told to end (``told``), and how many of them did not report (``silent``)."""
        found: Counter[str] = Counter()
        for row in self._calms:
            if row["cell"] == cell.index and self.cells.counts(cell.index, scope, row["host"]):
                found.update(told=row["told"], silent=row["silent"])
        return found


_ANSWERS = """
    WITH phases AS (
        SELECT trial_id, step, min(t_ns) AS begin_ns FROM samples
        WHERE experiment = $experiment AND metric = 'isolation.phase' GROUP BY ALL
    )
    SELECT m.cell, m.host, m.block, s.step, dense_rank() OVER (ORDER BY s.trial_id) AS trial,
        (s.t_ns - p.begin_ns)::DOUBLE AS since_ns, coalesce(s.value, 'inf'::DOUBLE) AS latency_ns
    FROM samples s JOIN members m USING (trial_id) JOIN phases p USING (trial_id, step)
    WHERE s.experiment = $experiment AND s.metric = 'isolation.latency'
    ORDER BY m.cell, m.host, m.block, s.trial_id, s.t_ns
"""
_CALMS = """
    SELECT m.cell, m.host, count(*) AS told, count(*) FILTER (WHERE s.value IS NULL) AS silent
    FROM samples s JOIN members m USING (trial_id)
    WHERE s.experiment = $experiment AND s.metric = 'isolation.calm'
    GROUP BY ALL ORDER BY ALL
"""
