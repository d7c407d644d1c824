"""simulated: instances that exist only as timers, with a latency model whose truth is known.

``workers.engines.simulated_truth`` describes the model.
"""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from contract.catalog import Capability, Settings
from contract.errors import EngineError, EngineTimeout, ImageError
from workers.console import Console
from workers.drivers import base
from workers.drivers.base import Fault, Hear, Instance, InstanceSpec
from workers.engines.delivery import Delivery
from workers.engines.simulated_churn import LeakingDriver
from workers.engines.simulated_density import SimulatedHost
from workers.engines.simulated_deployment import SimulatedDelivery
from workers.engines.simulated_isolation import slowness
from workers.engines.simulated_machine import (
    ORDERS,
    WORKS,
    SimulatedConsole,
    SimulatedInstance,
    birthdays,
    boot,
    die,
    machines,
    normal_of,
    until_dead,
)
from workers.engines.simulated_management import remembered
from workers.engines.simulated_overhead import told_by_work
from workers.engines.simulated_recovery import Revival
from workers.engines.simulated_security import SimulatedTracer, seen_outside, told_inside
from workers.engines.simulated_truth import SimulatedSettings
from workers.gauge import Footprint, Gauge, HostPss
from workers.ownership import Leftover, Owner
from workers.settings import HostSettings
from workers.surface.outside import HostView
from workers.surface.system_calls import Tracer
from workers.verbs.base import Verbs
from workers.verbs.simulated import SimulatedVerbs


class Driver(LeakingDriver, base.Driver[SimulatedSettings]):
    """Instances made of virtual time. Can stand for thousands of hosts."""

    name = "simulated"
    summary = "virtual time with a known truth: for tests, training and sizing, never for numbers"
    Settings: ClassVar[type[Settings]] = SimulatedSettings
    offers = frozenset(Capability) - {Capability.ADDRESS}  # nothing listens anywhere in virtual time

    def __init__(self, settings: SimulatedSettings, host: HostSettings, owner: Owner) -> None:
        super().__init__(settings, host, owner)
        self._rng = random.Random(f"{owner.trial}/{owner.attempt}")
        self._host_factor = math.exp(settings.host_sigma * normal_of(owner.host))
        self._trial_factor = math.exp(settings.block_sigma * self._rng.gauss(0, 1)) * self._host_factor
        self._slots = asyncio.Semaphore(settings.slots) if settings.slots else None
        self._tasks: set[asyncio.Task[None]] = set()
        noise = random.Random(f"{owner.trial}/{owner.attempt}/host")
        self._revival = Revival(settings, lambda: self._draw() / self._host_factor, self._restart)
        self._simulated_host = SimulatedHost(settings, noise, lambda: birthdays(host.name))
        self._delivery: SimulatedDelivery | None = None
        self._verbs = SimulatedVerbs(self, self._draw)

    @property
    def _machine(self) -> dict[str, SimulatedInstance]:
        return machines.setdefault(self.host.name, {})

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """End what still waits for its moment."""
        self._revival.end()
        for task in self._tasks:
            task.cancel()

    async def facts(self) -> dict[str, Any]:
        """The truth itself: a simulated result without it could be mistaken for a real one."""
        return {
            "emulated": False,
            "foreign_instances": 0,
            "cpu_model": "simulated",
            "cpu_count": self.settings.cpu_count,
            "mem_bytes": self.settings.mem_total_bytes,
            "truth": self.settings.model_dump(),
            "truth_host_factor": self._host_factor,
            "truth_mem_slope_mib": self._simulated_host.slope_mib,
            "simulated_version": "1",
        }

    async def prepare(self, image: str) -> None:
        """Any image is there, but for those whose name begins with 'missing'."""
        if image.startswith("missing"):
            raise ImageError(f"image '{image}' does not exist on this simulated host")

    async def drop_image(self, image: str) -> None:
        """No image takes any room."""

    async def create(self, spec: InstanceSpec) -> Instance:
        """Draw the instance's fate and wait its create time."""
        self._revival.see_that_it_is_up()
        if spec.image.startswith("missing"):
            raise ImageError(f"image '{spec.image}' does not exist on this simulated host")
        instance = SimulatedInstance(
            spec,
            up_factor=self._draw(),
            down_factor=self._draw(),
            fate=self._draw_fate(),
            owner=self.owner,
        )
        await self._serve(self.settings.create_ms * instance.up_factor)
        self._machine[spec.name] = instance
        return instance

    async def attach(self, instance: Instance) -> Console:
        """A console that answers by the model."""
        sim = _own(instance)
        reply_s: float = self.settings.reply_ms * sim.up_factor / 1e3
        work_s: float = self.settings.work_ms * self.settings.work_factor * self._trial_factor / 1e3

        def answer_s(request: str) -> float:
            if request in ORDERS:  # heard through any stress
                return reply_s
            harm = slowness(self.settings, sim, self._machine.values(), self._rng)
            if request in WORKS:
                return harm * work_s * math.exp(self.settings.work_sigma * self._rng.gauss(0, 1))
            return harm * reply_s * self._simulated_host.slowness

        def told(request: str) -> dict[str, Any]:
            inside = told_inside(self.settings, request) | remembered(sim, request)
            return inside | told_by_work(self.settings, request, self._rng.gauss)

        sim.console = SimulatedConsole(sim, answer_s, told)
        return sim.console

    async def address(self, instance: Instance) -> str:
        """One of those that are for documentation: nothing is ever sent there."""
        return "192.0.2.1"

    async def surface(self, instance: Instance) -> HostView:
        """As its settings have it."""
        return seen_outside(self.settings)

    async def tracer(self, instance: Instance) -> Tracer:
        """Counts what its settings say, without a process to trace."""
        return SimulatedTracer(self.settings)

    async def start(self, instance: Instance) -> None:
        """Wait the start time, then let the beacon come; or fail as fate has it."""
        self._revival.see_that_it_is_up()
        sim = _own(instance)
        if sim.death.is_set():  # it was stopped, or ended: this is its next life
            await self._restart(sim)
            return
        if sim.fate == "hang":
            await asyncio.sleep(self.host.engine_deadline_s)
            raise EngineTimeout(f"simulated did not answer 'start' in {self.host.engine_deadline_s:g} s")
        await self._serve(self.settings.start_ms * sim.up_factor)
        if sim.fate == "fail" or self._simulated_host.is_full:
            raise EngineError("the simulated engine refused to start the instance")
        sim.state = "running"
        sim.born_s = asyncio.get_running_loop().time()
        self._revival.follow(sim)
        if sim.fate != "silent":
            self._later(self.settings.boot_ms * sim.up_factor, lambda: boot(sim))

    async def reattach(self, instance: Instance) -> Console:
        """A new console, once the instance runs again."""
        self._revival.see_that_it_is_up()
        if _own(instance).death.is_set():
            raise EngineError(f"simulated: '{instance.spec.name}' does not run")
        return await self.attach(instance)

    async def listen(self, instance: Instance, hear: Hear) -> Callable[[], None]:
        """Hear what the simulated engine notices."""
        return self._revival.listen(_own(instance), hear)

    async def inject(self, instance: Instance, fault: Fault) -> None:
        """Done to the model: nothing is real."""
        sim = _own(instance)
        if fault is Fault.ENGINE_RESTART:
            await self._revival.restart_engine(list(self._machine.values()))
        elif fault is Fault.HANG:
            sim.hangs = True
        else:
            die(sim)

    async def pid(self, instance: Instance) -> int | None:
        """There is no process."""
        return None

    async def watch_exit(self, instance: Instance) -> asyncio.Future[None] | None:
        """Done when the simulated process is dead."""
        return asyncio.ensure_future(until_dead(_own(instance)))

    async def stop(self, instance: Instance, *, graceful: bool) -> None:
        """Wait the stop time; a graceful stop takes twice as long."""
        self._revival.see_that_it_is_up()
        sim = _own(instance)
        self._revival.let_go(sim)
        await self._serve(self.settings.stop_ms * sim.down_factor * (2 if graceful else 1))
        die(sim)

    async def remove(self, instance: Instance) -> None:
        """Wait the remove time; the record goes when the host has reclaimed everything."""
        sim = _own(instance)
        self._revival.let_go(sim)
        await self._serve(self.settings.remove_ms * sim.down_factor)
        die(sim)
        self._simulated_host.gone += sim.state == "running"
        sim.state = "removed"
        name = sim.spec.name
        self._later(self.settings.reclaim_ms * sim.down_factor, lambda: self._reclaim(name))

    async def remains(self, instance: Instance) -> list[str]:
        """The record, until it is reclaimed."""
        return [f"record {instance.spec.name}"] if instance.spec.name in self._machine else []

    async def gauge(self) -> Gauge:
        """The simulated host, by its truth."""
        return self._simulated_host.gauge()

    async def footprint(self, instances: Sequence[Instance]) -> Footprint:
        """What the truth says of so many."""
        return self._simulated_host.footprint(len(instances))

    async def host_pss(self) -> HostPss:
        """PSS of all simulated processes."""
        return self._simulated_host.pss()

    async def leftovers(self, host: str | None) -> list[Leftover]:
        """Everything that exists on the simulated hosts asked for."""
        return [
            Leftover(self.name, "instance", name, owner_host)
            for owner_host, machine in machines.items()
            if host in (None, owner_host)
            for name in machine
        ] + self._leaked(host)

    async def sweep(self, leftover: Leftover) -> None:
        """Forget it."""
        if leftover.kind == "mount":
            self._unmount(leftover)
            return
        sim = machines.get(leftover.host, {}).pop(leftover.name, None)
        if sim is not None:
            die(sim)

    def _draw(self) -> float:
        """What all stages of an instance's way up, or down, take more than their median."""
        return self._trial_factor * math.exp(self.settings.sigma * self._rng.gauss(0, 1))

    async def _restart(self, sim: SimulatedInstance) -> None:
        """A next life: with draws of its own, and stuck if chance will have it."""
        sim.death, sim.awake, sim.up_factor = asyncio.Event(), False, self._draw()
        sim.hangs = self._rng.random() < self.settings.stuck_share
        await self._serve(self.settings.start_ms * sim.up_factor)
        sim.state = "running"
        sim.born_s = asyncio.get_running_loop().time()
        self._revival.follow(sim)
        if not sim.hangs:
            self._later(self.settings.boot_ms * sim.up_factor, lambda: boot(sim))
        else:
            sim.console = None

    def verbs(self) -> Verbs:
        """By the model."""
        return self._verbs

    def delivery(self) -> Delivery:
        """Through a registry that is as simulated as the rest."""
        if self._delivery is None:
            self._delivery = SimulatedDelivery(self.settings, self._draw)
        return self._delivery

    def _draw_fate(self) -> str:
        draw = self._rng.random()
        shares = self.settings
        for fate, share in (
            ("fail", shares.failure_share),
            ("hang", shares.hang_share),
            ("silent", shares.silent_share),
            ("exit", shares.exit_share),
        ):
            if draw < share:
                return fate
            draw -= share
        return "well"

    async def _serve(self, ms: float) -> None:
        """One engine call, queued behind others when the engine has few slots."""
        if self._slots is None:
            await asyncio.sleep(ms / 1e3)
            return
        async with self._slots:
            await asyncio.sleep(ms / 1e3)

    def _later(self, ms: float, act: Any) -> None:
        async def wait() -> None:
            await asyncio.sleep(ms / 1e3)
            act()

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _own(instance: Instance) -> SimulatedInstance:
    assert isinstance(instance, SimulatedInstance)
    return instance
