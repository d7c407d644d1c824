"""How far a campaign is: its plan against the parts that are there. Reads files, changes none."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from contract.errors import PartError
from contract.parts import part_name, peek_record
from orchestrator.plan_file import PlannedTrial
from orchestrator.received import End, end_of
from orchestrator.results import Results

MOST_REASONS = 10


@dataclass(slots=True)
class HostStanding:
    """One host's share of a campaign."""

    planned: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def left(self) -> int:
        """Trials that nobody has measured: those without a part, and those of a coordinator's own."""
        measured = sum(self.outcomes.get(word, 0) for word in ("completed", "partial", "failed"))
        return self.planned - measured


@dataclass(slots=True)
class Standing:
    """A campaign at one moment."""

    campaign: str
    hosts: dict[str, HostStanding] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why trials did not complete, by driver and cause."""

    @property
    def planned(self) -> int:
        """Trials of the plan."""
        return sum(host.planned for host in self.hosts.values())

    @property
    def left(self) -> int:
        """Trials that are still to be measured."""
        return sum(host.left for host in self.hosts.values())

    @property
    def outcomes(self) -> Counter[str]:
        """How the trials that have ended ended."""
        found: Counter[str] = Counter()
        for host in self.hosts.values():
            found.update(host.outcomes)
        return found

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "campaign": self.campaign,
            "planned": self.planned,
            "left": self.left,
            "outcomes": dict(self.outcomes),
            "verdicts": dict(self.verdicts),
            "reasons": dict(self.reasons),
            "hosts": {
                name: {"planned": host.planned, "left": host.left, "outcomes": dict(host.outcomes)}
                for name, host in self.hosts.items()
            },
        }


class StandingReader:
    """Reads a results folder again and again: the plan when it has changed, each part at most once.

    A part is opened only where nothing was noted when it came in. Raises ResultsError without a plan.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self._outline: list[PlannedTrial] = []
        self._outline_is_of: object = None
        self._known: dict[str, End] | None = None

    def read(self) -> Standing:
        """The campaign as the folder has it now."""
        trials = self._planned()
        if self._known is None:
            self._known = self._results.ends()
        attempts = self._results.attempts()
        standing = Standing(trials[0].campaign if trials else self._results.folder.name)
        ended: list[End] = []
        for trial in trials:
            if (host := standing.hosts.get(trial.host)) is None:  # 100,000 trials, and fewer hosts
                host = standing.hosts[trial.host] = HostStanding()
            host.planned += 1
            had = attempts.get(trial.trial_id)
            end = self._end_of(self._known, part_name(trial.trial_id, had[-1])) if had else None
            if end is not None:
                host.outcomes[end.outcome] += 1
                ended.append(end)
                if end.outcome != "completed":
                    standing.reasons[f"{trial.driver}: {end.why}"] += 1
        standing.verdicts.update(end.verdict for end in ended)
        return standing

    def _planned(self) -> list[PlannedTrial]:
        now = self._results.plan_written()
        if now is None or now != self._outline_is_of:
            self._outline, self._outline_is_of = self._results.outline(), now
        return self._outline

    def _end_of(self, known: dict[str, End], name: str) -> End | None:
        """How a trial ended; None for a part that cannot be read."""
        if name not in known:
            try:
                known[name] = end_of(peek_record(self._results.parts / name))
            except PartError:
                return None
        return known[name]
