"""Who watches a campaign: the loop tells, observers show, log or count."""

from collections.abc import Sequence
from typing import Literal

from contract.trial import Receipt, Trial
from orchestrator.dispatch import HostState

Event = Literal[
    "note",
    "host_away",
    "host_back",
    "host_given_up",
    "host_joined",
    "host_quarantined",
    "trial_resent",
    "broker_away",
]
"""What a note is about."""


class Observer:
    """Told by the loop, in its thread. Does nothing by itself: who watches overrides what it needs."""

    def planned(self, there: Sequence[Trial], missing: Sequence[Trial]) -> None:
        """Trials that this run is to have: measured before, and missing. Again when hosts join."""

    def begin(self, total: int, done: int) -> None:
        """The loop starts with ``done`` of ``total`` trials there already."""

    def received(self, trial: Trial, receipt: Receipt) -> None:
        """A trial has ended."""

    def hosts(self, states: dict[str, HostState]) -> None:
        """State of the hosts, every few seconds."""

    def backlog(self, records: int) -> None:
        """So many completion records wait to be taken, every few seconds."""

    def joined(self, total: int, done: int) -> None:
        """Hosts have joined, with so many trials more, ``done`` of them there already."""

    def lost(self, trial: Trial, *, again: bool) -> None:
        """An attempt at a trial was lost; whether it is sent again."""

    def note(self, text: str, event: Event = "note", host: str = "") -> None:
        """Something a person should read, and what it is about."""


class Observers(Observer):
    """Several of them, told one after another."""

    def __init__(self, *observers: Observer) -> None:
        self._all = observers

    def planned(self, there: Sequence[Trial], missing: Sequence[Trial]) -> None:
        """Tell all."""
        for each in self._all:
            each.planned(there, missing)

    def begin(self, total: int, done: int) -> None:
        """Tell all."""
        for each in self._all:
            each.begin(total, done)

    def received(self, trial: Trial, receipt: Receipt) -> None:
        """Tell all."""
        for each in self._all:
            each.received(trial, receipt)

    def hosts(self, states: dict[str, HostState]) -> None:
        """Tell all."""
        for each in self._all:
            each.hosts(states)

    def backlog(self, records: int) -> None:
        """Tell all."""
        for each in self._all:
            each.backlog(records)

    def joined(self, total: int, done: int) -> None:
        """Tell all."""
        for each in self._all:
            each.joined(total, done)

    def lost(self, trial: Trial, *, again: bool) -> None:
        """Tell all."""
        for each in self._all:
            each.lost(trial, again=again)

    def note(self, text: str, event: Event = "note", host: str = "") -> None:
        """Tell all."""
        for each in self._all:
            each.note(text, event, host)
