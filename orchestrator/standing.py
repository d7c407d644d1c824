"""How far a campaign is: its plan against the parts that are there. Reads files, changes none."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from contract.errors import PartError
from orchestrator.outline import Outline
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
        self._outline = Outline([], [])
        self._outline_is_of: object = None
        self._known: dict[str, End] | None = None

    def read(self) -> Standing:
        """The campaign as the folder has it now."""
        plan = self._planned()
        standing = Standing(plan.campaign or self._results.folder.name)
        hosts, cells = [line.host for line in plan.lines], [line.cell for line in plan.lines]
        for (name, cell, end), count in Counter(
            zip(hosts, cells, self._ends(plan), strict=True)
        ).items():
            if (host := standing.hosts.get(name)) is None:
                host = standing.hosts[name] = HostStanding()
            host.planned += count
            if end is not None:
                host.outcomes[end.outcome] += count
                standing.verdicts[end.verdict] += count
                if end.outcome != "completed":
                    standing.reasons[f"{plan.cells[cell].driver}: {end.why}"] += count
        return standing

    def _ends(self, plan: Outline) -> list[End | None]:
        """How each trial ended, by its last attempt; None for one that has not."""
        if self._known is None:
            self._known = self._results.ends()
        last, known = self._results.last_parts(), self._known
        for name in last.values():
            if name not in known:
                self._look_into(known, name)
        return [known.get(last.get(line.trial_id, "")) for line in plan.lines]

    def _planned(self) -> Outline:
        now = self._results.plan_written()
        if now is None or now != self._outline_is_of:
            self._outline, self._outline_is_of = self._results.outline(), now
        return self._outline

    def _look_into(self, known: dict[str, End], name: str) -> None:
        """Learn how a trial ended. A part that cannot be read is as if it were not there."""
        from contract.parts import peek_record

        with suppress(PartError):
            known[name] = end_of(peek_record(self._results.parts / name))
