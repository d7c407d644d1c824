"""What drivers say of verbs, what engines do, and that nothing which verbs make escapes a sweep."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from engines import DockerEngine
from simulation import remove_all

from contract.campaign import Limits
from contract.verbs import OPERATIONS, Verb
from workers.agent import Agent
from workers.clock import HostClock
from workers.console import Console
from workers.discover import build_catalog, find_driver
from workers.drivers.base import AnyDriver, Instance, InstanceSpec
from workers.engines import docker_containers, libvirt_verbs
from workers.ownership import Owner
from workers.settings import HostSettings

NAMES = sorted(build_catalog().drivers)
LIMITS = Limits(cpus=1, memory_mib=128)
BOOT_S = 60.0


def driver_of(name: str, host: HostSettings, **settings: Any) -> AnyDriver:
    kind = find_driver(name)
    owner = Owner(host.name, "verbs", (host.name[5:] * 4)[:32], 1, secrets.token_hex(4))
    return kind(kind.Settings(**settings), host, owner)


def spec_of(driver: AnyDriver, **changes: Any) -> InstanceSpec:
    given = {"image": "tiny", "nonce": "nonce0", "limits": LIMITS} | changes
    return InstanceSpec(0, driver.owner.instance_name(0), **given)


def run(driver: AnyDriver, work: Callable[[AnyDriver], Awaitable[None]]) -> None:
    """Run ``work`` on an open driver that has ``tiny``, and remove whatever it leaves."""

    async def whole() -> None:
        await driver.open()
        try:
            await driver.prepare("tiny")
            await work(driver)
        finally:
            await remove_all(driver, driver.host.name)
            await driver.close()

    HostClock().run(whole())


async def bring_up(driver: AnyDriver) -> tuple[Instance, Console, Agent]:
    instance = await driver.create(spec_of(driver))
    console = await driver.attach(instance)
    agent = Agent(console, "nonce0")
    await driver.start(instance)
    await agent.beacon(BOOT_S)
    return instance, console, agent


def test_every_verb_belongs_to_one_operation() -> None:
    assert sorted(verb for verbs in OPERATIONS.values() for verb in verbs) == sorted(Verb)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("limits", [Limits(), LIMITS])
def test_every_driver_says_of_every_verb_whether_and_how(
    name: str, limits: Limits, host_settings: HostSettings
) -> None:
    verbs = driver_of(name, host_settings).verbs()
    supports = asyncio.run(verbs.supports("tiny", limits))
    assert set(supports) == set(Verb)
    assert all(len(support.how) > 3 for support in supports.values())
    assert {support.kind for support in supports.values()} <= {"native", "emulated", "none"}
    assert supports[Verb.STOP].kind == "native"


def test_support_depends_on_what_was_asked_for(host_settings: HostSettings) -> None:
    def support(name: str, verb: Verb, limits: Limits = LIMITS, **settings: Any) -> str:
        verbs = driver_of(name, host_settings, **settings).verbs()
        return asyncio.run(verbs.supports("tiny", limits))[verb].kind

    assert support("process", Verb.CPU_LESS) == "native"
    assert support("process", Verb.CPU_LESS, Limits()) == "none"
    assert support("docker", Verb.LOGS) == "none"
    assert support("docker", Verb.LOGS, log_driver="json-file") == "native"
    assert support("libvirt", Verb.SNAPSHOT) == "none"
    assert support("libvirt", Verb.SNAPSHOT, boot="disk") == "native"


@pytest.mark.docker
def test_what_is_done_to_a_container(docker_engine: DockerEngine, host_settings: HostSettings) -> None:
    host = host_settings.model_copy(update={"docker_socket": docker_engine.socket})
    driver = driver_of("docker", host, log_driver="json-file")

    async def work(driver: AnyDriver) -> None:
        verbs = driver.verbs()
        instance, console, agent = await bring_up(driver)
        assert "hello7" in await verbs.exec(instance, "hello7")
        assert "nonce0" in await verbs.logs(instance)
        await verbs.pause(instance)
        await verbs.resume(instance)
        await agent.ask("ping", deadline_s=BOOT_S)
        assert await verbs.cpus(instance) == 1
        await verbs.limit_cpus(instance, 0.5)
        assert await verbs.cpus(instance) == 0.5
        await verbs.limit_memory(instance, 64)
        assert await verbs.memory_mib(instance) == 64
        await verbs.limit_memory(instance, 128)
        assert await verbs.memory_mib(instance) == 128
        assert await verbs.names() == [instance.spec.name]
        assert await docker_containers.has_update(driver.links)  # type: ignore[attr-defined]
        console.close()

    run(driver, work)


@pytest.mark.docker
def test_a_sweep_finds_what_was_renamed_and_committed(
    docker_engine: DockerEngine, host_settings: HostSettings
) -> None:
    host = host_settings.model_copy(update={"docker_socket": docker_engine.socket})
    driver = driver_of("docker", host)

    async def work(driver: AnyDriver) -> None:
        verbs = driver.verbs()
        instance = await driver.create(spec_of(driver))
        old, new = instance.spec.name, f"{instance.spec.name}-r1"
        await verbs.rename(instance, new)
        assert await verbs.knows(instance, new)
        assert not await verbs.knows(instance, old)
        await verbs.save(Verb.SNAPSHOT, instance, f"{new}-s1")
        assert f"{new}-s1" in await verbs.saved(Verb.SNAPSHOT, instance)
        await driver.start(instance)
        await verbs.pause(instance)
        # Another driver stands for the worker after one that was killed here.
        found = {(left.kind, left.name) for left in await driver.leftovers(host.name)}
        assert found == {("container", new), ("snapshot", f"tonnage/snapshot:{new}-s1")}
        assert {left.kind for left in await driver.leftovers(None)} >= {"container", "snapshot"}
        await remove_all(driver, host.name)
        assert await verbs.saved(Verb.SNAPSHOT, instance) == []
        assert await driver.remains(instance) == []

    run(driver, work)


@pytest.mark.libvirt
@pytest.mark.timeout(120)
def test_a_sweep_finds_a_domain_by_its_new_name(
    libvirt_engine: str, host_settings: HostSettings, shared_state_dir: Path
) -> None:
    update = {"libvirt_uri": libvirt_engine, "state_dir": shared_state_dir}
    driver: Any = driver_of("libvirt", host_settings.model_copy(update=update), accel="tcg")

    async def work(driver: Any) -> None:
        verbs = driver.verbs()
        instance = await driver.create(spec_of(driver))
        old, new = instance.spec.name, f"{instance.spec.name}-r1"
        await driver._ask(libvirt_verbs.rename, instance.uuid, new)
        assert await verbs.knows(instance, new)
        assert not await verbs.knows(instance, old)
        assert new in await verbs.names()
        (left,) = await driver.leftovers(driver.host.name)
        assert (left.kind, left.name) == ("domain", new)
        await driver.sweep(left)
        assert await driver.leftovers(driver.host.name) == []

    run(driver, work)


@pytest.mark.libvirt
@pytest.mark.timeout(240)
def test_what_is_done_to_a_machine(
    libvirt_engine: str, host_settings: HostSettings, shared_state_dir: Path
) -> None:
    update = {"libvirt_uri": libvirt_engine, "state_dir": shared_state_dir}
    host = host_settings.model_copy(update=update)
    driver = driver_of("libvirt", host, accel="tcg", boot="disk")

    async def work(driver: AnyDriver) -> None:
        verbs = driver.verbs()
        instance, console, agent = await bring_up(driver)
        await verbs.pause(instance)
        await verbs.resume(instance)
        await agent.ask("mark before", deadline_s=BOOT_S)
        await verbs.save(Verb.SNAPSHOT, instance, "s1")
        assert await verbs.saved(Verb.SNAPSHOT, instance) == ["s1"]
        await agent.ask("mark after", deadline_s=BOOT_S)
        console.close()
        renewed = await verbs.bring_back(Verb.SNAPSHOT, instance, "s1")
        assert renewed.console is not None
        agent = Agent(renewed.console, "nonce1")
        answer = await agent.ask("marked", deadline_s=BOOT_S)
        assert (answer["file"], answer["memory"]) == ("before", "before")
        if await verbs.cpus(instance) is not None:  # its control groups can be seen from here
            await verbs.limit_cpus(instance, 0.5)
            assert await verbs.cpus(instance) == 0.5
        await verbs.forget(Verb.SNAPSHOT, instance, "s1")
        assert await verbs.saved(Verb.SNAPSHOT, instance) == []
        renewed.console.close()
        await driver.remove(instance)
        assert await driver.leftovers(host.name) == []

    run(driver, work)
