"""How far a campaign is: its plan against the parts that are there. Reads files, changes none."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from contract.errors import PartError
from contract.parts import part_name, peek_record
from orchestrator.plan_file import PlannedTrial
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
    """Reads a results folder again and again, each part once. Raises ResultsError without a plan."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._known: dict[str, tuple[str, str, str]] = {}

    def read(self) -> Standing:
        """The campaign as the folder has it now."""
        trials = self._results.outline()
        attempts = self._results.attempts()
        standing = Standing(trials[0].campaign if trials else self._results.folder.name)
        for trial in trials:
            host = standing.hosts.setdefault(trial.host, HostStanding())
            host.planned += 1
            had = attempts.get(trial.trial_id)
            ended = self._end_of(trial, had[-1]) if had else None
            if ended is not None:
                outcome, verdict, why = ended
                host.outcomes[outcome] += 1
                standing.verdicts[verdict] += 1
                if outcome != "completed":
                    standing.reasons[f"{trial.driver}: {why}"] += 1
        return standing

    def _end_of(self, trial: PlannedTrial, attempt: int) -> tuple[str, str, str] | None:
        """Outcome, verdict and cause; None for a part that cannot be read."""
        name = part_name(trial.trial_id, attempt)
        if name not in self._known:
            try:
                record = peek_record(self._results.parts / name)
            except PartError:
                return None
            why = record.error_text or "; ".join(record.reasons) or record.outcome
            self._known[name] = (record.outcome, record.verdict, why)
        return self._known[name]
