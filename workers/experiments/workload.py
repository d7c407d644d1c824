"""A light workload: every instance answers requests at a fixed rate for as long as it is held."""

import asyncio
from contextlib import suppress

from contract.errors import InstanceExited
from workers.bench import Bench
from workers.console import Console


class Requests:
    """Requests to one instance by open loop: sent when they are due, whatever the answers do.

    It is the only reader of the console, but for the time between ``pause`` and ``resume``.
    """

    def __init__(self, bench: Bench, console: Console, ticket: str, rate_per_s: float) -> None:
        self.sent = 0
        self.answered = 0
        self._bench = bench
        self._console = console
        self._ticket = ticket
        self._period_ns = round(1e9 / rate_per_s)
        self._tasks: list[asyncio.Task[None]] = []

    def resume(self) -> None:
        """Begin, or go on. A random phase keeps instances from being asked all at once."""
        begin_ns = self._bench.now() + round(self._bench.rng.random() * self._period_ns)
        self._tasks = [asyncio.create_task(self._send(begin_ns)), asyncio.create_task(self._read())]

    async def pause(self) -> None:
        """Send nothing more and leave the console to another reader."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _send(self, t_ns: int) -> None:
        with suppress(InstanceExited):
            while True:
                await self._bench.sleep_until(t_ns)
                self.sent += 1
                await self._console.send(f"{self._ticket} ping")
                # What a full pipe has held up is not made up for in one burst.
                t_ns += self._period_ns * max(1, (self._bench.now() - t_ns) // self._period_ns)

    async def _read(self) -> None:
        with suppress(InstanceExited):
            while True:
                line = await self._console.receive()
                self.answered += self._ticket in line
