"""How simulated engines and instances fail and come back: the truth of recovery experiments.

Under the engine's restart policy an instance that has ended is noticed after ``notice_ms``, started
again ``backoff_ms`` later, and then boots as ever. A share of all restarts, whoever asks for them, comes
to nothing: the agent never speaks. An engine that is restarted is away for ``engine_down_ms``; unless it
restores live, its instances end with it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from pydantic import Field

from contract.catalog import Settings
from contract.errors import EngineError
from workers.drivers.base import Hear
from workers.engines.simulated_machine import SimulatedInstance, die

_LOOK_S = 0.01


class RecoveryTruth(Settings):
    """What becomes of simulated instances that fail."""

    notice_ms: float = Field(5, ge=0, description="median until the engine notices an end")
    backoff_ms: float = Field(100, ge=0, description="from there until the engine starts it again")
    stuck_share: float = Field(0, ge=0, le=1, description="restarts whose agent never speaks")
    engine_down_ms: float = Field(500, ge=0, description="median time a restarted engine is away")
    live_restore: bool = Field(False, description="instances outlive a restart of their engine")


Restart = Callable[[SimulatedInstance], Awaitable[None]]
"""Starts an instance again that has ended."""


class Revival:
    """What a simulated engine does for instances under its restart policy, and what is done to it."""

    def __init__(self, truth: RecoveryTruth, draw: Callable[[], float], restart: Restart) -> None:
        self._truth, self._draw, self._restart = truth, draw, restart
        self._ears: dict[str, Hear] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._is_down = False

    def follow(self, sim: SimulatedInstance) -> None:
        """Start an instance again whenever it ends, until it is let go."""
        if sim.spec.revived and sim.spec.name not in self._lives:
            self._lives[sim.spec.name] = asyncio.create_task(self._revive(sim))

    def let_go(self, sim: SimulatedInstance) -> None:
        """It is stopped on purpose: the policy does not act."""
        task = self._lives.pop(sim.spec.name, None)
        if task is not None:
            task.cancel()

    def end(self) -> None:
        """Let all go."""
        for task in self._lives.values():
            task.cancel()
        self._lives.clear()

    def listen(self, sim: SimulatedInstance, hear: Hear) -> Callable[[], None]:
        """Tell ``hear`` what the engine notices."""
        self._ears[sim.spec.name] = hear
        return lambda: self._forget(sim.spec.name)

    async def restart_engine(self, instances: list[SimulatedInstance]) -> None:
        """The engine ends, with its instances unless it restores live, and is back some time later."""
        self._is_down = True
        for sim in [] if self._truth.live_restore else instances:
            die(sim)
        await asyncio.sleep(self._truth.engine_down_ms * self._draw() / 1e3)
        self._is_down = False

    def see_that_it_is_up(self) -> None:
        """Raises EngineError while the engine is away."""
        if self._is_down:
            raise EngineError("the simulated engine is being restarted")

    async def _revive(self, sim: SimulatedInstance) -> None:
        while True:
            await sim.death.wait()
            await asyncio.sleep(self._truth.notice_ms * self._draw() / 1e3)
            while self._is_down:
                await asyncio.sleep(_LOOK_S)
            self._say(sim, "ended")
            await asyncio.sleep(self._truth.backoff_ms / 1e3)
            self._say(sim, "started")
            await self._restart(sim)

    def _say(self, sim: SimulatedInstance, word: Literal["ended", "started"]) -> None:
        hear = self._ears.get(sim.spec.name)
        if hear is not None:
            hear(word)

    def _forget(self, name: str) -> None:
        self._ears.pop(name, None)
