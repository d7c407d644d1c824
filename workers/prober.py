"""An open-loop probe of one instance: requests go out when they are planned, whatever the answers do.

So an instance that hangs does not silence its own probe (coordinated omission), and every planned
moment has a result: answered, or not.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from contract.errors import InstanceExited
from workers.agent import parse_line
from workers.bench import Bench
from workers.console import Console


@dataclass(slots=True)
class Slot:
    """One planned request. Stamps are ns since the trial began."""

    t_due: int
    t_answered: int | None = None

    @property
    def latency_ns(self) -> int | None:
        """From the planned moment to the correct answer; None while there is none."""
        return None if self.t_answered is None else self.t_answered - self.t_due


class Prober:
    """Context manager: while it is open, a request goes to the instance ``rate_per_s`` times a second.

    It is the only reader of the console meanwhile. The console may be changed, or taken away, at any
    moment: slots that fall into a time without one stay unanswered.
    """

    def __init__(self, bench: Bench, nonce: str, rate_per_s: float, request: str = "ping") -> None:
        self.slots: list[Slot] = []
        """All slots that were due so far, in order."""
        self.on_answer: Callable[[Slot], None] = lambda _: None
        """Called for every answer as it arrives."""
        self.on_beacon: Callable[[], None] = lambda: None
        """Called when an agent says its first words: the instance has been started again."""
        self.on_loss: Callable[[], None] = lambda: None
        """Called when the console breaks."""
        self.attached_at = 0
        """Number of slots that were due when the present console was taken."""
        self.t_heard: int | None = None
        """When the last answer came, to whichever slot."""
        self._bench = bench
        self._nonce = nonce
        self._request = request
        self._period_ns = round(1e9 / rate_per_s)
        self._console: Console | None = None
        self._reading: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._clock: asyncio.Task[None] | None = None

    def use(self, console: Console | None) -> None:
        """Probe over this console from now on; None: there is nobody to ask for the time being."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        self._console = console
        self.attached_at = len(self.slots)
        if console is not None and self._clock is not None:
            self._reading = asyncio.create_task(self._read(console))

    @property
    def has_console(self) -> bool:
        """Whether there is somebody to ask."""
        return self._console is not None

    async def __aenter__(self) -> Self:
        # A random phase, or all probes of a fleet of instances would knock at the same moment.
        begin_ns = self._bench.now() + round(self._bench.rng.random() * self._period_ns)
        self._clock = asyncio.create_task(self._send_all(begin_ns))
        self.use(self._console)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [task for task in (self._clock, self._reading, self._sending) if task is not None]
        self._clock = self._reading = self._sending = None
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _send_all(self, t_ns: int) -> None:
        while True:
            await self._bench.sleep_until(t_ns)
            self.slots.append(Slot(t_ns))
            # One send at a time: where the last one still waits for a full pipe, this slot stays mute.
            if self._console is not None and (self._sending is None or self._sending.done()):
                ticket = f"{self._nonce}-p{len(self.slots) - 1}"
                self._sending = asyncio.create_task(_send(self._console, f"{ticket} {self._request}"))
            t_ns += self._period_ns

    async def _read(self, console: Console) -> None:
        try:
            while True:
                self._hear(parse_line(await console.receive()))
        except InstanceExited:
            self._console = None
            self.on_loss()

    def _hear(self, spoken: dict[str, Any] | None) -> None:
        if spoken is None:
            return
        if "beacon" in spoken:
            self.on_beacon()
        elif spoken.get("ok") is True:
            self._note(str(spoken.get("re")))

    def _note(self, ticket: str) -> None:
        nonce, _, number = ticket.rpartition("-p")
        if nonce != self._nonce or not number.isdigit() or int(number) >= len(self.slots):
            return
        slot = self.slots[int(number)]
        if slot.t_answered is None:
            slot.t_answered = self.t_heard = self._bench.now()
            self.on_answer(slot)


async def _send(console: Console, line: str) -> None:
    with suppress(InstanceExited):
        await console.send(line)
