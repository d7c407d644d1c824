"""How simulated engines and instances fail and come back: the truth of recovery experiments.

Under the engine's restart policy an instance that has ended is noticed after ``notice_ms``, started again
``backoff_ms`` later, and then boots as ever. A share of all restarts, whoever asks for them, comes to
nothing: the agent stays silent. An engine that is restarted is away for ``engine_down_ms``; unless it
restores live, its instances end with it.
"""

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import Field

from contract.catalog import Settings
from contract.errors import EngineError
from workers.drivers.base import Fault, Hear
from workers.engines.simulated_machine import SimulatedInstance, boot, die


class RecoveryTruth(Settings):
    """What becomes of simulated instances that fail."""

    notice_ms: float = Field(5, ge=0, description="median until the engine notices an end")
    backoff_ms: float = Field(100, ge=0, description="from there until the engine starts it again")
    stuck_share: float = Field(0, ge=0, le=1, description="restarts whose agent never speaks")
    engine_down_ms: float = Field(500, ge=0, description="median time a restarted engine is away")
    live_restore: bool = Field(False, description="instances outlive a restart of their engine")


class Revival:
    """What one simulated driver does to its instances, and for those under its restart policy."""

    def __init__(self, truth: RecoveryTruth, draw: Callable[[], float], start: "Start") -> None:
        self._truth, self._draw, self._start = truth, draw, start
        self._ears: dict[str, Hear] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self.is_down = False
        """The engine is being restarted."""

    def follow(self, sim: SimulatedInstance) -> None:
        """Revive an instance whenever it ends, until it is let go."""
        name = sim.spec.name
        if sim.spec.revived and name not in self._lives:
            self._lives[name] = asyncio.create_task(self._revive(sim))

    def let_go(self, sim: SimulatedInstance) -> None:
        """It is stopped on purpose: the policy does not act."""
        task = self._lives.pop(sim.spec.name, None)
        if task is not None:
            task.cancel()

    def listen(self, sim: SimulatedInstance, hear: Hear) -> Callable[[], None]:
        """Tell ``hear`` what the engine notices."""
        self._ears[sim.spec.name] = hear
        return lambda: self._forget(sim.spec.name)

    async def inject(
        self, sim: SimulatedInstance, fault: Fault, all_of_host: list[SimulatedInstance]
    ) -> None:
        """Do this to a simulated instance, or to its engine."""
        if fault is Fault.HANG:
            sim.hangs = True
        elif fault is Fault.ENGINE_RESTART:
            self.is_down = True
            if not self._truth.live_restore:
                for each in all_of_host:
                    die(each)
            await asyncio.sleep(self._truth.engine_down_ms * self._draw() / 1e3)
            self.is_down = False
        else:
            die(sim)

    def see_that_it_is_up(self) -> None:
        """Raises EngineError while the engine is away."""
        if self.is_down:
            raise EngineError("the simulated engine is being restarted")

    def begin_again(self, sim: SimulatedInstance) -> None:
        """Make an instance that has ended as good as new; or stuck, as chance has it."""
        sim.death = asyncio.Event()
        sim.hangs = False
        sim.fate = "well"

    async def _revive(self, sim: SimulatedInstance) -> None:
        while True:
            await sim.death.wait()
            await asyncio.sleep(self._truth.notice_ms * self._draw() / 1e3)
            while self.is_down:
                await asyncio.sleep(0.01)
            self._say(sim, "ended")
            await asyncio.sleep(self._truth.backoff_ms / 1e3)
            await self._start(sim)
            self._say(sim, "started")

    def _say(self, sim: SimulatedInstance, word: str) -> None:
        hear = self._ears.get(sim.spec.name)
        if hear is not None:
            hear(word)  # type: ignore[arg-type]  # one of two constants above

    def _forget(self, name: str) -> None:
        self._ears.pop(name, None)


Start = Callable[[SimulatedInstance], Awaitable[None]]
"""Starts an instance that has ended."""

__all__ = ["RecoveryTruth", "Revival", "Start", "boot"]
