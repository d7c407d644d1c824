"""Who notices that an instance has failed and starts it again: nobody, the engine, or our watcher.

Equal levels on both sides: the watcher is the same code for processes, containers and virtual machines.
It sees a death by pidfd, and a hang by probes that stay unanswered.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

from contract.errors import TonnageError
from contract.rows import InstanceRow
from workers.bench import Bench
from workers.experiments.victim import Victim
from workers.prober import Prober

RETRY_S = 0.1
"""Between attempts to start it again while its engine refuses."""
REATTACH_S = 0.01
"""Between attempts to take the console anew."""


class Supervisor(ABC):
    """Beside one injection: stamps its row, and keeps its probe supplied with a console.

    ``begin`` before the fault; ``run`` beside it, until it is cancelled; ``end`` after.
    """

    def __init__(self, bench: Bench, victim: Victim, row: InstanceRow, prober: Prober) -> None:
        self.bench, self.victim, self.row, self.prober = bench, victim, row, prober
        self.obstacle = ""
        """Why the last attempt to start the instance, or to take its console, came to nothing."""
        self._lost = asyncio.Event()
        prober.on_loss = self._lost.set
        prober.on_beacon = self._heard_beacon

    @abstractmethod
    async def begin(self) -> None:
        """Be watchful from now on. Raises EngineError when the engine does not let us."""

    @abstractmethod
    async def run(self) -> None:
        """Notice and act."""

    @abstractmethod
    async def end(self) -> None:
        """Watch no more."""

    async def keep_console(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Whenever the console breaks, take it anew as soon as the engine lets us."""
        while True:
            await self._lost.wait()
            self._lost.clear()
            while wanted() and not self.prober.has_console:
                try:
                    console = await self.bench.driver.reattach(self.victim.instance)
                    self.victim.running.console = console
                    self.prober.use(console)
                except TonnageError as error:
                    self.obstacle = str(error)
                await asyncio.sleep(REATTACH_S)

    def _heard_beacon(self) -> None:
        if self.row.t_fault is not None and self.row.t_beacon is None:
            self.row.t_beacon = self.bench.now()


class Nobody(Supervisor):
    """Nobody acts. The console alone is taken anew: an engine's restart may have broken it."""

    async def begin(self) -> None:
        """Nothing to do."""

    async def run(self) -> None:
        """Keep the console."""
        await self.keep_console()

    async def end(self) -> None:
        """Nothing to do."""


class EnginePolicy(Supervisor):
    """The engine acts. Its own words are stamped as they reach us."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._stop_listening: Callable[[], None] | None = None

    async def begin(self) -> None:
        """Listen to the engine."""
        driver, instance = self.bench.driver, self.victim.instance
        self._stop_listening = await driver.listen(instance, self._hear)

    async def run(self) -> None:
        """Keep the console."""
        await self.keep_console()

    async def end(self) -> None:
        """Listen no more."""
        if self._stop_listening is not None:
            self._stop_listening()

    def _hear(self, word: Literal["ended", "started"]) -> None:
        if self.row.t_fault is None:
            return
        now_ns = self.bench.now()
        if word == "ended" and self.row.t_detect is None:
            self.row.t_detect = now_ns
        if word == "started" and self.row.t_detect is not None and self.row.t_act is None:
            self.row.t_act = now_ns


class Watcher(Supervisor):
    """We act: see the instance die or fall silent, and start it again."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._death: asyncio.Future[None] | None = None
        self._acting = False

    async def begin(self) -> None:
        """Watch its process."""
        self._death = await self.bench.driver.watch_exit(self.victim.instance)

    async def run(self) -> None:
        """Detect and act, again and again; and keep the console of one that lives."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.keep_console(lambda: not self._acting and not self._is_dead()))
            while True:
                await self._detect()
                if self.row.t_detect is None:
                    self.row.t_detect = self.bench.now()
                await self._act()
                await self._let_it_boot()

    async def end(self) -> None:
        """Watch no more."""
        if self._death is not None:
            self._death.cancel()

    async def _detect(self) -> None:
        """Until it is dead, or has not answered for so many probes in a row."""
        period_s = 1 / self.bench.params.probe_rate_per_s
        while not self._is_dead() and not self._is_silent():
            await self._pause(period_s)

    async def _act(self) -> None:
        """Start the same instance again, as often as it takes."""
        driver, instance = self.bench.driver, self.victim.instance
        self._acting = True
        self.row.t_started = self.row.t_beacon = None  # of a life that did not last
        if self.row.t_act is None:
            self.row.t_act = self.bench.now()
        while True:
            self.prober.use(None)
            try:
                await driver.stop(instance, graceful=False)
                console = await driver.attach(instance)
                self.victim.running.console = console
                await driver.start(instance)
                self.row.t_started = self.bench.now()
                self.prober.use(console)
                await self.end()
                self._death = await driver.watch_exit(instance)
                break
            except TonnageError as error:  # its engine may be on its way back
                self.obstacle = str(error)
                await asyncio.sleep(RETRY_S)
        self._acting = False

    async def _let_it_boot(self) -> None:
        """Until it has answered in this life, has died, or has had as long as a first start may take."""
        give_up_ns = self.bench.now() + round(self.bench.params.ready_deadline_s * 1e9)
        while not self._is_dead() and self.bench.now() < give_up_ns:
            if any(slot.t_answered is not None for slot in self._slots_of_this_life()):
                return
            await self._pause(1 / self.bench.params.probe_rate_per_s)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but for a death."""
        if self._death is None:
            await asyncio.sleep(seconds)
        else:
            await asyncio.wait({self._death}, timeout=seconds)

    def _is_dead(self) -> bool:
        return self._death is not None and self._death.done()

    def _is_silent(self) -> bool:
        """The latest probes over this console are unanswered, so many in a row, and nothing was heard.

        One that answers late, as after a boot during which requests have piled up, does not hang.
        """
        missed = self.bench.params.missed_probes
        latest = self._slots_of_this_life()[-missed:]
        if len(latest) < missed or any(slot.t_answered is not None for slot in latest):
            return False
        return self.prober.t_heard is None or self.prober.t_heard <= latest[0].t_due

    def _slots_of_this_life(self) -> list[Any]:
        return self.prober.slots[self.prober.attached_at :] if self.prober.has_console else []


KINDS: dict[str, type[Supervisor]] = {"none": Nobody, "engine": EnginePolicy, "watcher": Watcher}
