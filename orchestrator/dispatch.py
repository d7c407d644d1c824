"""Handing trials to hosts and taking their parts back: one interface for every way of doing it."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from contract.parts import PackedPart
from contract.trial import Receipt, Trial


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt at one trial, as the coordinator asks for it."""

    trial: Trial
    attempt: int
    newer_than: int = 0
    """A part that the host's spool holds is good enough if its attempt is above this."""
    deaths: int = 0
    """How often a worker has begun the trial in this run and was lost with it."""


@dataclass(frozen=True, slots=True)
class Loss:
    """An order that no worker has or will have any more."""

    order: Order
    begun: bool
    """Whether a worker had begun it; else only its message was lost."""
    refused: str = ""
    """Why its host did not take it, in words; empty where it did not say so."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A part that came in."""

    receipt: Receipt
    data: bytes
    ticket: str = ""
    """What ``confirm`` needs to let the sender forget it."""


@dataclass(frozen=True, slots=True)
class HostState:
    """What is known of a host right now."""

    alive: bool
    activity: str = ""


class Dispatcher(ABC):
    """Sends orders, collects deliveries. One coordinator thread calls it."""

    window: int
    """Orders that a host may have before its first delivery."""

    def tell(self, note: Callable[[str], None]) -> None:  # noqa: B027 - most have nothing to tell
        """Whom to tell of what a person should read; by default there is nothing."""

    @abstractmethod
    def send(self, order: Order) -> None:
        """Hand an order to its host's queue."""

    @abstractmethod
    def receive(self, wait_s: float) -> list[Delivery]:
        """Deliveries since the last call; waits at most ``wait_s`` when there are none."""

    @abstractmethod
    def confirm(self, deliveries: list[Delivery]) -> None:
        """They are stored durably: they need not be kept anywhere else."""

    @abstractmethod
    def hosts(self) -> dict[str, HostState]:
        """State of every host that takes part."""

    @abstractmethod
    def lost(self, orders: list[Order]) -> list[Loss]:
        """Those of the sent orders that no worker has or will have any more."""

    def backlog(self) -> int:
        """Completion records that wait to be received."""
        return 0

    @abstractmethod
    def attend(self) -> bool:
        """Whether somebody has cancelled the coordinator's campaign."""

    @abstractmethod
    def quarantine(self, host: str, why: str) -> None:
        """Let other campaigns know that a host is sick."""

    @abstractmethod
    def cancel(self) -> None:
        """Take back what was sent and not begun."""


class InlineDispatcher(Dispatcher):
    """Runs trials in this process, one at a time: no broker, and a debugger works.

    ``run`` returns None for a trial that was cancelled: it leaves nothing.
    """

    window = 1

    def __init__(self, host: str, run: Callable[[Order], PackedPart | None]) -> None:
        self._host = host
        self._run = run
        self._waiting: deque[Order] = deque()

    def send(self, order: Order) -> None:
        """Queue it for the next ``receive``."""
        self._waiting.append(order)

    def receive(self, wait_s: float) -> list[Delivery]:  # noqa: ARG002 - nothing to wait for
        """Run one trial to its end."""
        if not self._waiting:
            return []
        packed = self._run(self._waiting.popleft())
        return [Delivery(packed.receipt, packed.data)] if packed else []

    def confirm(self, deliveries: list[Delivery]) -> None:
        """Nothing else holds them."""

    def hosts(self) -> dict[str, HostState]:
        """This one."""
        return {self._host: HostState(alive=True, activity="measuring here")}

    def lost(self, orders: list[Order]) -> list[Loss]:  # noqa: ARG002 - no order can be lost
        """None."""
        return []

    def attend(self) -> bool:
        """Nobody else sees it, so nobody can cancel it."""
        return False

    def quarantine(self, host: str, why: str) -> None:
        """There is no other host that it could be sick beside."""

    def cancel(self) -> None:
        """Forget what was queued."""
        self._waiting.clear()
