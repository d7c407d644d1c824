"""How far a campaign is: its plan against the parts that are there. Reads files, changes none."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from contract.errors import PartError
from contract.parts import part_name, peek_record
from orchestrator.ends import End, end_of
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
        measured = sum(self.outcomes[word] for word in ("completed", "partial", "failed"))
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
        return sum((host.outcomes for host in self.hosts.values()), Counter())

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
    """Reads a results folder again and again, each part once at most.

    Raises ResultsError without a plan.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self._known: dict[str, End] = {}

    def read(self) -> Standing:
        """The campaign as the folder has it now."""
        outline, attempts = self._results.outline(), self._results.attempts()
        self._known |= self._results.ends()
        standing = Standing(outline.campaign)
        for name, of_host in outline.trials.items():
            host = standing.hosts[name] = HostStanding()
            for driver, trials in of_host.items():
                host.planned += len(trials)
                for trial_id in trials:
                    if had := attempts.get(trial_id):
                        self._count(standing, host, driver, part_name(trial_id, had[-1]))
        return standing

    def _count(self, standing: Standing, host: HostStanding, driver: str, part: str) -> None:
        if (ended := self._end_of(part)) is None:
            return
        outcome, verdict, why = ended
        host.outcomes[outcome] += 1
        standing.verdicts[verdict] += 1
        if outcome != "completed":
            standing.reasons[f"{driver}: {why}"] += 1

    def _end_of(self, part: str) -> End | None:
        """Outcome, verdict and cause; None for a part that cannot be read."""
        if part not in self._known:
            try:
                self._known[part] = end_of(peek_record(self._results.parts / part))
            except PartError:
                return None
        return self._known[part]
