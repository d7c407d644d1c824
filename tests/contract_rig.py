"""What tests of all drivers share: a driver with its engine, and what is done with an instance."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
from simulation import remove_all

from contract.campaign import Limits
from contract.catalog import Capability
from contract.errors import AgentSilent, EngineError, InstanceExited
from workers.agent import Agent
from workers.clock import HostClock, VirtualClock
from workers.console import Console
from workers.discover import build_catalog, find_driver
from workers.drivers.base import AnyDriver, Instance, InstanceSpec
from workers.drivers.libvirt_machines import MachineDriver
from workers.ownership import Owner
from workers.settings import HostSettings

T = TypeVar("T")

NAMES = sorted(build_catalog().drivers)
ENGINES = {
    "docker": pytest.mark.docker,
    "podman": pytest.mark.podman,
    "libvirt": pytest.mark.libvirt,
    "libvirt_lxc": pytest.mark.libvirt,
}
MISSING_IMAGE = {
    "docker": "127.0.0.1:1/missing",
    "podman": "127.0.0.1:1/missing",
    "process": "/missing/program",
}
"""An image that cannot be, where its name has rules; a pull must fail at once."""
WITH_ADDRESS: dict[str, dict[str, Any]] = {
    "docker": {"network": "bridge"},
    "podman": {"network": "bridge"},
}
"""Settings that give instances an address, where the defaults do not."""
BOOT_S = 60.0


@dataclass(frozen=True)
class Rig:
    """One kind of driver, its engine, and a host name that nobody else has."""

    kind: type[AnyDriver]
    host: HostSettings

    @property
    def owner(self) -> Owner:
        # The trial names the instances, which must be unique on the machine.
        return Owner(self.host.name, "contract", (self.host.name[5:] * 4)[:32], 1, "boot")

    @property
    def missing_image(self) -> str:
        return MISSING_IMAGE.get(self.kind.name, "missing-image")

    @property
    def is_real(self) -> bool:
        return Capability.VIRTUAL_TIME not in self.kind.offers

    def needs(self, *capabilities: Capability) -> None:
        for capability in capabilities:
            if capability not in self.kind.offers:
                pytest.skip(f"{self.kind.name} does not offer {capability}")

    def driver(self, **settings: Any) -> AnyDriver:
        return self.kind(self.kind.Settings(**settings), self.host, self.owner)

    def spec(self, index: int = 0, **changes: Any) -> InstanceSpec:
        name = self.owner.instance_name(index)
        return replace(InstanceSpec(index, name, "tiny", f"nonce{index}", Limits()), **changes)

    def run(self, work: Callable[[AnyDriver], Awaitable[T]], **settings: Any) -> T:
        """Run ``work`` on an open driver that has ``tiny``, and remove whatever it leaves."""

        async def whole() -> T:
            driver = self.driver(**settings)
            await driver.open()
            try:
                await driver.prepare("tiny")
                return await work(driver)
            finally:
                await remove_all(driver, self.host.name)
                await driver.close()

        return self.loop(whole())

    def loop(self, work: Coroutine[Any, Any, T]) -> T:
        return (HostClock() if self.is_real else VirtualClock()).run(work)


RUNNABLE = [name for name in NAMES if not issubclass(find_driver(name), MachineDriver)]
"""Those whose engines a test machine can have; of the others see test_libvirt_machines.py."""


def of_driver(name: str) -> Any:
    """Tests of one driver share its engine, and run beside those of the others."""
    together = pytest.mark.xdist_group(f"contract {name}")
    return pytest.param(name, marks=[together, ENGINES[name]] if name in ENGINES else together)


async def bring_up(driver: AnyDriver, spec: InstanceSpec) -> tuple[Instance, Console, Agent]:
    instance = await driver.create(spec)
    console = await driver.attach(instance)
    await driver.start(instance)
    agent = Agent(console, spec.nonce)
    await agent.beacon(BOOT_S)
    return instance, console, agent


async def hear_out(console: Console) -> None:
    async with asyncio.timeout(10):
        while True:
            await console.receive()


async def nothing_remains(driver: AnyDriver, instance: Instance) -> None:
    for _ in range(500):
        left = await driver.remains(instance)
        if not left:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"still there: {left}")


async def is_alive(driver: AnyDriver, instance: Instance) -> bool:
    death = await driver.watch_exit(instance)
    if death is None:
        return False
    done, _ = await asyncio.wait({death}, timeout=0.3)
    death.cancel()
    return not done


async def answers(driver: AnyDriver, instance: Instance, nonce: str) -> Console:
    """Wait, bounded, until an instance that was started again by its engine answers."""
    async with asyncio.timeout(BOOT_S):
        while True:
            try:
                console = await driver.reattach(instance)
                await Agent(console, nonce).ask("ping", deadline_s=5)
            except AgentSilent:
                console.close()
            except InstanceExited:
                console.close()
            except EngineError:
                await asyncio.sleep(0.05)
            else:
                return console


async def hear_all(console: Console) -> None:
    """Receive until the console closes."""
    while True:
        await console.receive()
