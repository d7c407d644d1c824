"""Verbs on simulated instances, by the model of ``workers.engines.simulated_management``."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from contract.campaign import Limits
from contract.errors import EngineError
from workers.engines.simulated_machine import SimulatedInstance, machines
from workers.verbs.base import Renewed, Support, Verb, Verbs, emulated, native, none


class SimulatedVerbs(Verbs):
    """All verbs, done by timers."""

    def __init__(self, driver: Any, draw: Callable[[], float]) -> None:
        super().__init__(driver)
        self._truth = driver.settings
        self._draw = draw
        self._rng = random.Random(f"{driver.owner.trial}/{driver.owner.attempt}/verbs")
        self._saved: dict[str, dict[str, str]] = {}

    async def supports(self, image: str, limits: Limits) -> dict[Verb, Support]:
        """As the settings have it."""
        found = dict.fromkeys(Verb, native("a timer"))
        found |= dict.fromkeys(_verbs(self._truth.verbs_emulated), emulated("several timers"))
        return found | dict.fromkeys(_verbs(self._truth.verbs_none), none("the settings say so"))

    async def exec(self, instance: Any, word: str) -> str:
        """Says the word."""
        await self._answer()
        return word

    async def logs(self, instance: Any) -> str:
        """What the console has said last."""
        await self._answer()
        console = _own(instance).console
        return "\n".join(console.tail if console else ())

    async def pause(self, instance: Any) -> None:
        """It answers nothing."""
        await self._do(instance, lambda: _sleep(_own(instance)), freezes=False)

    async def resume(self, instance: Any) -> None:
        """It answers what it was asked meanwhile, and all that follows."""
        await self._do(instance, lambda: _wake(_own(instance)), freezes=False)

    async def restart(self, instance: Any, *, graceful: bool) -> None:
        """Its next life."""
        await self._do(instance, lambda: None, freezes=False)
        await self._driver.stop(instance, graceful=graceful)
        await self._driver.start(instance)

    async def save(self, verb: Verb, instance: Any, name: str) -> None:
        """Keeps the agent's word."""
        sim = _own(instance)
        kept = self._saved.setdefault(sim.spec.name, {})
        await self._do(instance, lambda: kept.update({name: sim.marker}))

    async def saved(self, verb: Verb, instance: Any) -> list[str]:
        """What was kept."""
        return list(self._saved.get(instance.spec.name, {}))

    async def bring_back(self, verb: Verb, instance: Any, name: str) -> Renewed:
        """Has the agent say that word again."""
        sim = _own(instance)
        word = self._saved[sim.spec.name][name]

        def revert() -> None:
            sim.marker = word

        await self._do(instance, revert)
        return Renewed(instance, None)

    async def forget(self, verb: Verb, instance: Any, name: str) -> None:
        """Keeps it no longer."""
        self._saved.get(instance.spec.name, {}).pop(name, None)

    async def limit_cpus(self, instance: Any, cpus: float) -> None:
        """Notes the limit."""
        sim = _own(instance)

        def limit() -> None:
            sim.cpus = cpus

        await self._do(instance, limit)

    async def cpus(self, instance: Any) -> float | None:
        """As it was noted."""
        return _own(instance).cpus

    async def limit_memory(self, instance: Any, memory_mib: int) -> None:
        """Notes the limit."""
        sim = _own(instance)

        def limit() -> None:
            sim.memory_mib = memory_mib

        await self._do(instance, limit)

    async def memory_mib(self, instance: Any) -> int | None:
        """As it was noted."""
        return _own(instance).memory_mib

    async def rename(self, instance: Any, name: str) -> Renewed:
        """Moves its record."""
        sim = _own(instance)
        there = machines[self._driver.host.name]

        def move() -> None:
            there[name] = there.pop(sim.spec.name)
            sim.spec = replace(sim.spec, name=name)

        await self._do(instance, move)
        return Renewed(instance, None)

    async def knows(self, instance: Any, name: str) -> bool:
        """Whether it lies there."""
        return machines[self._driver.host.name].get(name) is instance

    async def names(self) -> list[str]:
        """All that lie there."""
        await self._answer()
        return list(machines[self._driver.host.name])

    async def _answer(self) -> None:
        """What is told by a call has its effect when the call returns."""
        await asyncio.sleep(self._truth.verb_effect_ms * self._draw() / 1e3)
        if self._rng.random() < self._truth.verb_refused_share:
            raise EngineError("the simulated engine refused the verb")

    async def _do(self, instance: Any, act: Callable[[], None], *, freezes: bool = True) -> None:
        """Act when the effect is due, and return when the call does."""
        truth, factor, sim = self._truth, self._draw(), _own(instance)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        if self._rng.random() < truth.verb_refused_share:
            raise EngineError("the simulated engine refused the verb")
        if self._rng.random() < truth.verb_broken_share:
            sim.hangs = True
        if freezes and truth.verb_freeze_ms:
            _sleep(sim)
            loop.call_later(truth.verb_freeze_ms / 1e3, _wake, sim)
        if self._rng.random() >= truth.verb_lost_share:
            loop.call_later(truth.verb_effect_ms * factor / 1e3, act)
        await asyncio.sleep(truth.verb_call_ms * factor / 1e3)


def _verbs(text: str) -> list[Verb]:
    return [Verb(name) for name in text.split(",") if name]


def _sleep(sim: SimulatedInstance) -> None:
    sim.awake = False


def _wake(sim: SimulatedInstance) -> None:
    if not sim.death.is_set():
        sim.awake = True
        if sim.console is not None:
            sim.console.catch_up()


def _own(instance: Any) -> SimulatedInstance:
    assert isinstance(instance, SimulatedInstance)
    return instance
