"""Hosts that measure together: how an experiment meets the others, and what it knows of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contract.errors import RendezvousError
from workers.clock import Clock

BEAT_S = 0.1
"""How often a host shows the others that it lives, and looks for their signs."""


@dataclass(frozen=True, slots=True)
class Release:
    """The moment at which all go on together."""

    at_ns: int
    """By this host's own monotonic clock."""
    error_ns: int
    """Bound of what the other hosts' moments may differ from the common one, on each side."""
    late_ns: int
    """How much later than that this host heard of it; 0 when it was in time."""


class Meeting(ABC):
    """One host's view of a group that measures one trial together."""

    def __init__(self, me: str, group: Sequence[str]) -> None:
        self.me = me
        self.group = tuple(sorted(group))

    @abstractmethod
    async def assemble(self, deadline_s: float) -> None:
        """Wait for all hosts of the group to come. From here on they watch each other.

        Raises RendezvousError that names those who did not, BrokerError without a broker.
        """

    @abstractmethod
    async def arrive(self, stage: str, deadline_s: float, among: Sequence[str] | None = None) -> Release:
        """Wait until all (or those ``among`` them) have arrived at a stage, and when to go on.

        Raises RendezvousError at the deadline, or as soon as one of them has left or fallen silent.
        """

    @abstractmethod
    async def say(self, topic: str, content: Any) -> None:
        """Leave a small JSON value for the others."""

    @abstractmethod
    async def hear(self, topic: str) -> dict[str, Any]:
        """What each host has said on the topic so far."""

    @abstractmethod
    def silent_ns(self, host: str) -> int:
        """Since when nothing was heard of a host, while the broker could be asked."""

    @abstractmethod
    def see_that_all_are_there(self, among: Sequence[str]) -> None:
        """Raises RendezvousError when one of these hosts has left. Costs nothing."""

    @abstractmethod
    def fall_silent(self) -> None:
        """Show no sign of life any more, as a host that is lost."""

    @abstractmethod
    def end(self, failure: str | None) -> None:
        """Leave. With a failure nobody waits any longer, and all hear of it. Blocks for a moment."""

    @abstractmethod
    def imagine_loss(self, host: str, at_ns: int) -> None:
        """Where the other hosts are imagined: let this one be lost at a moment. Else nothing."""


class Alone(Meeting):
    """No other host is really there: in a group of one, or in virtual time, where none is real.

    Virtual clocks have no moment in common, so simulated hosts never wait for each other: each measures
    its own part, and imagines that all others arrive when it does.
    """

    def __init__(self, me: str, group: Sequence[str], clock: Clock) -> None:
        super().__init__(me, group)
        self._clock = clock
        self._said: dict[str, dict[str, Any]] = {}
        self._lost_at: dict[str, int] = {}

    async def assemble(self, deadline_s: float) -> None:
        """Nobody is to be waited for."""

    async def arrive(
        self,
        stage: str,  # noqa: ARG002 - nobody is to be waited for
        deadline_s: float,  # noqa: ARG002
        among: Sequence[str] | None = None,  # noqa: ARG002
    ) -> Release:
        """At once."""
        return Release(self._clock.now_ns(), 0, 0)

    async def say(self, topic: str, content: Any) -> None:
        """To oneself."""
        self._said.setdefault(topic, {})[self.me] = content

    async def hear(self, topic: str) -> dict[str, Any]:
        """What was said by oneself."""
        return dict(self._said.get(topic, {}))

    def silent_ns(self, host: str) -> int:
        """Imagined hosts are heard every ``BEAT_S`` until they are lost."""
        now = self._clock.now_ns()
        beat_ns = round(BEAT_S * 1e9)
        last = min(now, self._lost_at.get(host, now))
        return now - last // beat_ns * beat_ns

    def see_that_all_are_there(self, among: Sequence[str]) -> None:
        """Imagined hosts are."""

    def fall_silent(self) -> None:
        """Nobody would notice."""

    def end(self, failure: str | None) -> None:
        """Nobody is left behind."""

    def imagine_loss(self, host: str, at_ns: int) -> None:
        """The last sign of it came before ``at_ns``."""
        self._lost_at[host] = at_ns


class Unmet(Alone):
    """Several hosts were to measure together, and there is no broker through which they could meet."""

    async def assemble(self, deadline_s: float) -> None:  # noqa: ARG002 - nobody can come
        """Raises RendezvousError."""
        raise RendezvousError(
            f"{', '.join(self.group)} were to measure together, but there is no broker to meet through"
        )
