"""The victim's answers in the three phases of every trial, as the tables of isolation need them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from analysis.cells import Cell, Cells
from analysis.isolation.returns import times_to_return
from analysis.portions import Columns, Portions
from analysis.scopes import FLEET, Scope
from analysis.statistics.blocks import BlockedSample, Floats, Ints
from analysis.tallies import Bools, Tallies, Tally, joined, keys_of, tallied

BINS_PER_PHASE = 20
"""Slices of time that each phase is cut into for its time line."""


@dataclass(frozen=True)
class Answers:
    """Some cell's requests. ``inf``: not answered in time."""

    latency: Tally
    """In nanoseconds."""
    step: Ints
    """Phase of each."""
    settled: Bools
    """Whether it was planned after the ramp of its phase."""
    trials: int
    """How many trials they are of."""
    returned: Tally
    """Time to return to normal, ns, of each trial that can tell; ``inf`` where it was not seen."""

    def sample(self, step: int) -> BlockedSample:
        """Latencies of one phase without its ramp."""
        return self._some((self.step == step) & self.settled).sample()

    def unanswered(self, step: int) -> tuple[Floats, Floats, Floats]:
        """Unanswered requests, all requests, and the host, for each block; ramps count too."""
        return self._some(self.step == step).shares()

    def asked_blocks(self, step: int) -> tuple[tuple[int, int], ...]:
        """Host and number of each block in which anything was asked in a phase."""
        some = self._some(self.step == step)
        return keys_of(some.host, some.block)

    def returns(self) -> BlockedSample:
        """Time to return to normal of each trial, ns; ``inf`` where the last phase did not see it."""
        return self.returned.sample()

    def _some(self, rows: Bools) -> Tally:
        whole = self.latency
        columns = {name: getattr(whole, name)[rows] for name in ("values", "counts", "host", "block")}
        return replace(whole, **columns)


@dataclass(frozen=True)
class Slice:
    """What was asked of a cell's victims in one slice of time, over all trials that count."""

    number: int
    """From the beginning of the first phase."""
    p50_ns: float
    requests: int
    unanswered: int


class AllAnswers:
    """All answers of a dataset, by cell."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        members, experiment = cells.table("timed"), {"experiment": cells.experiment}
        portions = _portions(cells)
        rounded = portions.rounded
        found = [_worked_out(cells, part, rounded=rounded) for part in portions.read(_ANSWERS)]
        answers, returns, slices = zip(*found, strict=True)
        self._answers = Tallies(cells, answers, rounded=rounded)
        self._returns = Tallies(cells, returns, rounded=False)
        self._slices = joined(slices)
        self._calms = cells.dataset.rows(_CALMS, experiment, members=members)

    def of(self, cell: Cell, scope: Scope = FLEET) -> Answers:
        """Of a cell in a scope."""
        counts = self.cells.counting(cell.index, scope)
        here = self._answers.here(cell.index, counts)
        columns = self._answers.columns
        return Answers(
            self._answers.tally(here),
            columns["step"][here].astype(np.int64),
            columns["settled"][here],
            int(np.unique(columns["trial"][here]).size),
            self._returns.tally(self._returns.here(cell.index, counts)),
        )

    def slices(self, cell: Cell) -> Iterator[Slice]:
        """The cell's time line, in slices of a twentieth of a phase."""
        here = self._slices["cell"] == cell.index
        place, value, count = (self._slices[name][here] for name in ("place", "value", "count"))
        for number in np.unique(place):
            own = place == number
            order = np.argsort(value[own], kind="stable")
            upto = np.cumsum(count[own][order], dtype=np.int64)
            middle = np.searchsorted(upto, (upto[-1] - 1) // 2 + 1)
            lost = count[own][np.isinf(value[own])].sum()
            yield Slice(int(number), float(value[own][order][middle]), int(upto[-1]), int(lost))

    def stressors(self, cell: Cell, scope: Scope = FLEET) -> Counter[str]:
        """How many were told to end (``told``), and how many of them did not report (``silent``)."""
        found: Counter[str] = Counter()
        for row in self._calms:
            if row["cell"] == cell.index and self.cells.counts(cell.index, scope, row["host"]):
                found.update(told=row["told"], silent=row["silent"])
        return found


def is_rounded(cells: Cells) -> bool:
    """Whether there are so many answers that they are rounded to steps of 0.1 %."""
    return _portions(cells).rounded


def _portions(cells: Cells) -> Portions:
    return Portions(cells, cells.table("timed"), _LATENCIES)


def _worked_out(cells: Cells, part: Columns, *, rounded: bool) -> tuple[Columns, Columns, Columns]:
    """Of some trials: answers by phase, times to return, and answers by slice of time."""
    cell = part["cell"]
    ramp_ns, phase_s = (
        np.array([float(c.conditions.get(name) or 0) for c in cells.cells])
        for name in ("ramp_s", "phase_s")
    )
    part["settled"] = part["since_ns"] >= ramp_ns[cell] * 1e9
    answers = tallied(part, "latency_ns", ("trial", "step", "settled"), rounded=rounded)
    shape = len(cells.cells), len(cells.hosts)
    fleet = np.array([cells.counting(c.index, FLEET) for c in cells.cells], dtype=bool).reshape(shape)
    drawn = fleet[cell, part["host"]] & (phase_s[cell] > 0)
    width_s = phase_s[cell] / BINS_PER_PHASE
    # The last phases are longer by what the stressors took to begin and end: part of the last slices.
    since = np.divide(part["since_ns"] / 1e9, width_s, where=drawn, out=np.zeros(cell.size))
    within = np.minimum(since.astype(np.int64), BINS_PER_PHASE - 1)
    timed = {
        "cell": cell,
        "place": part["step"] * BINS_PER_PHASE + within,
        "latency_ns": part["latency_ns"],
    }
    timed = {name: column[drawn] for name, column in timed.items()}
    slices = tallied(timed, "latency_ns", ("cell", "place"), rounded=rounded)
    returned = {name: part[name] for name in ("trial", "step", "settled", "since_ns", "latency_ns")}
    returns = tallied(times_to_return(returned), "return_ns", ("trial",), rounded=False)
    return answers, returns, slices


_LATENCIES = "samples WHERE experiment = $experiment AND metric = 'isolation.latency'"
_ANSWERS = """
    WITH phases AS (
        SELECT trial_id, step, min(t_ns) AS begin_ns FROM samples
        WHERE experiment = $experiment AND list_contains($hosts, host) AND metric = 'isolation.phase'
        GROUP BY ALL
    )
    SELECT m.cell, m.host, m.trial, s.step, (s.t_ns - p.begin_ns)::DOUBLE AS since_ns,
        coalesce(s.value, 'inf'::DOUBLE) AS latency_ns
    FROM samples s JOIN members m USING (trial_id) JOIN phases p USING (trial_id, step)
    WHERE s.experiment = $experiment AND list_contains($hosts, s.host)
        AND s.metric = 'isolation.latency'
    ORDER BY m.cell, m.host, m.block, m.trial, s.t_ns
"""
_CALMS = """
    SELECT m.cell, m.host, count(*) AS told, count(*) FILTER (WHERE s.value IS NULL) AS silent
    FROM samples s JOIN members m USING (trial_id)
    WHERE s.experiment = $experiment AND s.metric = 'isolation.calm'
    GROUP BY ALL ORDER BY ALL
"""
