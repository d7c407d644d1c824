"""One results folder, read again and again: what has come in since, not everything anew.

Ends of trials come from the lines that are noted as parts come in (``orchestrator.received``), as far as
the parts are there in the size that was noted; a part without such a line is looked into.
"""

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from heapq import nlargest
from pathlib import Path
from threading import RLock

from contract.errors import PartError
from contract.parts import is_part_name, peek_record
from orchestrator.outline import PlannedTrial
from orchestrator.received import End, end_of
from orchestrator.results import Results
from orchestrator.standing import HostStanding, Standing

MOST_LOOKED_INTO = 200
"""Parts without a line that one reading opens; the next reading takes the next ones."""
RATE_OVER = 300
"""Ends of trials, the last ones, that the rate is taken from."""


@dataclass(slots=True)
class Ended:
    """How one trial ended, and when its part came in."""

    attempt: int
    end: End
    at_s: float


@dataclass(slots=True)
class Share:
    """What an experiment on one variant was to measure, and how that ended."""

    planned: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)


class CampaignReader:
    """A results folder as it stands. Its lock is held by whoever reads or shows it."""

    def __init__(self, folder: Path) -> None:
        self.results = Results(folder)
        self.lock = RLock()
        self.trials: dict[str, PlannedTrial] = {}
        self.ended: dict[str, Ended] = {}
        self.standing = Standing(folder.name)
        self.shares: dict[tuple[str, str, str], Share] = {}
        self._plan: object = None
        self._forget()

    def _forget(self) -> None:
        self.ended.clear()
        self._names: set[str] = set()
        self._tail = 0
        self._noted: dict[str, tuple[int, End]] = {}
        self.behind = False

    def read(self) -> bool:
        """Take in what is new; whether there was anything. Raises ResultsError without a plan."""
        with self.lock:
            changed = self._read_plan()
            self._read_lines()
            return self._read_parts() or changed

    def recent(self, most: int) -> list[tuple[PlannedTrial, Ended]]:
        """The trials that ended last, the latest first."""
        with self.lock:
            last = nlargest(most, self.ended.items(), key=lambda item: item[1].at_s)
            return [(self.trials[trial_id], ended) for trial_id, ended in last]

    def left_s(self) -> float | None:
        """Time until every trial has ended, at the rate of those that ended last; None: not known."""
        since = self._plan_written_s()
        with self.lock:
            open_trials = len(self.trials) - len(self.ended)
            times = nlargest(RATE_OVER, (e.at_s for e in self.ended.values() if e.at_s >= since))[::-1]
        if len(times) < 2 or not open_trials:
            return None
        each_s = (max(time.time(), times[-1]) - times[0]) / (len(times) - 1)
        return each_s * open_trials

    def _plan_written_s(self) -> float:
        """When this execution began: earlier ones, and the pause between, say nothing of its rate."""
        return self._plan[1] / 1e9 if isinstance(self._plan, tuple) else 0.0

    def _read_plan(self) -> bool:
        now = self.results.plan_written()
        if now is not None and now == self._plan:
            return False
        outline = self.results.outline().planned()
        self._plan, self.trials = now, {trial.trial_id: trial for trial in outline}
        name = outline[0].campaign if outline else self.results.folder.name
        self.standing, self.shares = Standing(name), {}
        for trial in outline:
            self.standing.hosts.setdefault(trial.host, HostStanding()).planned += 1
            self._share(trial).planned += 1
        self._forget()
        return True

    def _share(self, trial: PlannedTrial) -> Share:
        return self.shares.setdefault((trial.experiment, trial.driver, trial.profile), Share())

    def _read_lines(self) -> None:
        """Lines of ``received.jsonl`` that were added. One that has become shorter is read anew."""
        try:
            with self.results.received.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size < self._tail:
                    self._tail = 0
                stream.seek(self._tail)
                whole, newline, _ = stream.read().rpartition(b"\n")
        except OSError:
            return
        self._tail += len(whole) + len(newline)
        for line in whole.splitlines():
            try:
                name, size, outcome, verdict, why = json.loads(line)
            except (ValueError, TypeError):  # cut short: its part is looked into
                continue
            self._noted[str(name)] = size, End(outcome, verdict, why)

    def _read_parts(self) -> bool:
        """One listing; only parts that are new are looked at. Whether there were any."""
        try:
            entries = {entry.name: entry for entry in os.scandir(self.results.parts)}
        except OSError:
            entries = {}
        if self._names - set(entries):  # set aside as damaged
            self._count_anew()
        new, looks = set(entries) - self._names, MOST_LOOKED_INTO
        for name in new:
            noted = self._noted.get(name)
            try:
                status = entries[name].stat()
            except OSError:
                continue
            known = noted is not None and noted[0] == status.st_size
            if (named := is_part_name(name)) and named[0] in self.trials and not known:
                looks -= 1
                if looks < 0:
                    continue
            self._take(name, noted[1] if noted and known else None, status.st_mtime)
        self.behind = looks < 0
        return bool(new)

    def _take(self, name: str, end: End | None, at_s: float) -> None:
        """Count a part once; one that is not of this plan only counts as seen."""
        self._names.add(name)
        self._noted.pop(name, None)
        named = is_part_name(name)
        if named is not None and named[0] in self.trials:
            end = end or self._look_into(name)
            if end is not None:
                self._count(named[0], Ended(named[1], end, at_s))

    def _look_into(self, name: str) -> End | None:
        try:
            return end_of(peek_record(self.results.parts / name))
        except PartError:
            return None

    def _count_anew(self) -> None:
        self._plan = None
        self._read_plan()
        self._read_lines()

    def _count(self, trial_id: str, ended: Ended) -> None:
        before = self.ended.get(trial_id)
        if before is not None and before.attempt > ended.attempt:
            return
        if before is not None:
            self._add(trial_id, before.end, -1)
        self.ended[trial_id] = ended
        self._add(trial_id, ended.end, 1)

    def _add(self, trial_id: str, end: End, by: int) -> None:
        trial = self.trials[trial_id]
        share, host = self._share(trial), self.standing.hosts[trial.host]
        for counter in (share.outcomes, host.outcomes):
            _add(counter, end.outcome, by)
        for counter in (share.verdicts, self.standing.verdicts):
            _add(counter, end.verdict, by)
        if end.outcome != "completed":
            _add(self.standing.reasons, f"{trial.driver}: {end.why}", by)


def _add(counter: Counter[str], word: str, by: int) -> None:
    """Count, and leave no word that counts nothing."""
    counter[word] += by
    if not counter[word]:
        del counter[word]
