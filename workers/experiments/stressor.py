"""A bad neighbour: an instance that is stressed from inside until it is told to end, or is killed."""

import asyncio
import math
from contextlib import suppress

from contract.campaign import Limits
from contract.errors import EngineError, InstanceExited, TonnageError
from contract.rows import InstanceRow, Sample
from workers.bench import Bench
from workers.console import Console
from workers.experiments.stages import Running, bring_up, take_down

HEARD_BYTES_PER_S = 8 * 1024 * 1024
"""What is read of all stressors' consoles together: a flood must not drown the worker that measures."""
BUFFER_MIB = 16
"""What one loop of `mem` fills: the agent's own figure."""
_TICK_S = 0.01
_OVERTIME_S = 60
"""After its phase a stress whose worker has died goes on for so long at most."""


class Stressor:
    """One bad neighbour over its life. Failures are its row's, or say that it did not report."""

    def __init__(self, bench: Bench, row: InstanceRow) -> None:
        params, limits = bench.params, bench.trial.limits
        own_limits = limits if params.limited else Limits()
        self.row = row
        self.pids: int = params.pids if params.limited else params.pids_guard
        self.failure: str | None = None
        """Why it could not be made to begin."""
        self._bench = bench
        self._bound_mib = own_limits.memory_mib
        self._running = Running(row, limits=own_limits, pids=self.pids)
        self._listening: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it came up."""
        return self.row.outcome == "ok"

    @property
    def memory_mib(self) -> int:
        """What its stress `alloc` can come to hold: its limit, or what the campaign says."""
        return self._bench.params.alloc_mib if self._bound_mib is None else self._bound_mib

    async def bring_up(self) -> None:
        """Create and start it, at rest."""
        self.row.t_intent = self._bench.now()
        await bring_up(self._bench, self._running, self._bench.params.ready_deadline_s)

    async def begin(self) -> None:
        """Let it be bad, and read what it says from then on."""
        params, agent = self._bench.params, self._running.agent
        assert agent is not None
        seconds = math.ceil(params.phase_s) + _OVERTIME_S
        try:
            await agent.ask(
                "stress", params.stress, seconds, self._amount, deadline_s=params.calm_deadline_s
            )
        except TonnageError as error:
            self.failure = str(error)
            return
        assert self._running.console is not None
        share = HEARD_BYTES_PER_S / params.stressors
        self._listening = asyncio.create_task(_listen(self._running.console, share * _TICK_S))

    async def end(self) -> None:
        """Tell it to end; kill it where it does not say that it has. Notes how long that took."""
        await self._stop_listening()
        assert self._running.agent is not None
        told_ns, took_ns = self._bench.now(), None
        try:
            await self._running.agent.ask("calm", deadline_s=self._bench.params.calm_deadline_s)
            took_ns = self._bench.now() - told_ns
        except TonnageError:
            await self._kill()
        self._bench.recorder.sample(
            Sample(told_ns, "isolation.calm", took_ns, "ns", instance=self.row.instance)
        )

    async def take_down(self) -> None:
        """Its end, whatever it still does."""
        await self._stop_listening()
        await take_down(self._bench, self._running, graceful=False)
        self._bench.recorder.finish(self.row)

    @property
    def _amount(self) -> int:
        """The N of the agent's request."""
        params = self._bench.params
        if params.stress == "alloc":  # beyond a limit, and up to what there is without one
            return self.memory_mib if self._bound_mib is None else 2 * self._bound_mib
        return int(params.streams) if params.stress in ("cpu", "mem", "disk") else 1

    async def _kill(self) -> None:
        assert self._running.instance is not None
        try:
            await self._bench.driver.stop(self._running.instance, graceful=False)
        except EngineError as error:
            self._bench.void(f"a stressor could not be ended: {error}")

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
            self._listening = None


async def _listen(console: Console, bytes_per_tick: float) -> None:
    """Read and throw away, no faster than so. A console that nobody reads would halt its guest."""
    with suppress(InstanceExited):
        while True:
            heard = 0
            while heard < bytes_per_tick:
                heard += len(await console.receive()) + 1
            await asyncio.sleep(_TICK_S)
