"""A campaign as lines, one per change: for pipes, logs and terminals that cannot be drawn on."""

import time
from collections.abc import Iterator

from orchestrator.cli.progress import PLAIN_EVERY_S
from orchestrator.cli.terminal.facts import Facts
from orchestrator.cli.terminal.hosts import FINE, HostFacts, hosts_of
from orchestrator.cli.terminal.words import coordinator_in_words, headline
from orchestrator.cli.views.words import grouped, span

MOST_AT_ONCE = 10
"""Lines about hosts, or about reasons, at a time: of more only the number is said."""


class Changes:
    """Remembers what was said. How far it is, is said now and then; all else when it changes."""

    def __init__(self) -> None:
        self._headline = ""
        self._said_s = float("-inf")
        self._coordinator = ""
        self._reasons: set[str] = set()
        self._away: dict[str, str] = {}
        self._problem = ""

    def lines(self, facts: Facts) -> Iterator[str]:
        """What is new."""
        name = facts.standing.campaign
        said = headline(facts.standing)
        due = facts.over or time.monotonic() - self._said_s >= PLAIN_EVERY_S
        if said != self._headline and due:
            self._headline, self._said_s = said, time.monotonic()
            yield said if facts.left_s is None else f"{said}; about {span(facts.left_s)} left"
        for line in (*self._who(facts), *self._why(facts), *self._where(facts)):
            yield f"{name}: {line}"

    def _who(self, facts: Facts) -> Iterator[str]:
        said = coordinator_in_words(facts.coordinator) if facts.state != "done" else self._coordinator
        if said != self._coordinator:
            self._coordinator = said
            yield f"{facts.state}, {said}"

    def _why(self, facts: Facts) -> Iterator[str]:
        new = [(why, n) for why, n in grouped(facts.standing.reasons) if why not in self._reasons]
        self._reasons.update(why for why, _ in new)
        for why, count in new[:MOST_AT_ONCE]:
            yield f"not completed: {count} × {why}"
        if len(new) > MOST_AT_ONCE:
            yield f"not completed: {len(new) - MOST_AT_ONCE} reasons more"

    def _where(self, facts: Facts) -> Iterator[str]:
        if facts.fleet is None:
            return
        if facts.fleet.problem != self._problem:
            self._problem = facts.fleet.problem
            yield (
                f"hosts are not known: {self._problem}" if self._problem else "the broker answers again"
            )
        if self._problem:
            return
        found = {host.name: host for host in hosts_of(facts)}
        away = {name: host.state for name, host in found.items() if host.is_away}
        told = [self._change(host) for name, host in found.items() if self._is_new(name, away)]
        self._away = away
        yield from told[:MOST_AT_ONCE]
        if len(told) > MOST_AT_ONCE:
            yield f"{len(told) - MOST_AT_ONCE} hosts more have changed; {len(away)} are away now"

    def _is_new(self, name: str, away: dict[str, str]) -> bool:
        return self._away.get(name) != away.get(name)

    @staticmethod
    def _change(host: HostFacts) -> str:
        if host.state in FINE:
            return f"host {host.name} is back"
        return f"host {host.name} is {host.state}" + (f": {host.now}" if host.now else "")
