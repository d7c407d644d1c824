"""What every driver promises, tested on all drivers that there are: a new file is found by itself."""

import asyncio
import ipaddress
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from contract_rig import (
    BOOT_S,
    NAMES,
    WITH_ADDRESS,
    Rig,
    bring_up,
    hear_out,
    is_alive,
    nothing_remains,
)
from pydantic import ValidationError

from contract.campaign import Limits
from contract.catalog import Capability
from contract.errors import EngineError, ImageError, InstanceExited
from contract.trial import canonical_json
from workers.discover import find_driver
from workers.drivers.base import AnyDriver
from workers.ownership import NAME_PREFIX, Owner

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", NAMES)
def test_declares_what_planning_and_docs_need(name: str) -> None:
    kind = find_driver(name)
    assert kind.name == name
    assert kind.summary
    assert "\n" not in kind.summary
    assert kind.offers <= set(Capability)
    for text, field in kind.Settings.model_fields.items():
        assert field.description, f"{name}.{text} says nothing"
    with pytest.raises(ValidationError):
        kind.Settings.model_validate({"no_such_setting": 1})


def test_facts_can_be_recorded(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> dict[str, Any]:
        return await driver.facts()

    facts = rig.run(work)
    canonical_json(facts)
    assert isinstance(facts["emulated"], bool)
    assert facts["foreign_instances"] >= 0
    assert any(key.endswith("version") for key in facts)


def test_whole_life(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> None:
        instance, console, agent = await bring_up(driver, rig.spec())
        assert (await agent.ask("ping", deadline_s=BOOT_S))["ok"] is True
        console.close()
        await driver.stop(instance, graceful=False)
        await driver.remove(instance)
        await nothing_remains(driver, instance)
        assert await driver.leftovers(rig.host.name) == []

    rig.run(work)


def test_graceful_stop(rig: Rig) -> None:
    rig.needs(Capability.GRACEFUL_STOP)

    async def work(driver: AnyDriver) -> None:
        instance, console, _ = await bring_up(driver, rig.spec())
        death = await driver.watch_exit(instance)
        await driver.stop(instance, graceful=True)
        if death is not None:
            await asyncio.wait_for(death, 10)
        with pytest.raises(InstanceExited):
            await hear_out(console)
        console.close()
        await driver.remove(instance)
        await nothing_remains(driver, instance)

    rig.run(work)


def test_the_first_lines_are_not_lost(rig: Rig) -> None:
    rig.needs(Capability.CONSOLE)

    async def work(driver: AnyDriver) -> list[str]:
        instance = await driver.create(rig.spec())
        console = await driver.attach(instance)
        await driver.start(instance)
        await asyncio.sleep(1)  # long enough for a container to have spoken before anybody listens
        line = await asyncio.wait_for(console.receive(), BOOT_S)
        lines = [line]
        while "beacon" not in line:
            lines.append(line := await asyncio.wait_for(console.receive(), BOOT_S))
        console.close()
        await driver.remove(instance)
        return lines

    assert '"nonce0"' in rig.run(work)[-1]


def test_letting_go_of_the_console_ends_nothing(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> bool:
        instance, console, _ = await bring_up(driver, rig.spec())
        console.close()
        return await is_alive(driver, instance)

    assert rig.run(work) is True


def test_runs_without_anybody_listening(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> bool:
        instance = await driver.create(rig.spec())
        await driver.start(instance)
        return await is_alive(driver, instance)

    assert rig.run(work) is True


def test_death_of_the_process_is_seen_on_console_and_watch(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> None:
        instance, console, _ = await bring_up(driver, rig.spec())
        pid = await driver.pid(instance)
        if pid is None:
            pytest.skip(f"{rig.kind.name} has no process to kill")
        death = await driver.watch_exit(instance)
        assert death is not None
        os.kill(pid, signal.SIGKILL)
        await asyncio.wait_for(death, 10)
        with pytest.raises(InstanceExited):
            await hear_out(console)
        console.close()
        await driver.stop(instance, graceful=True)
        await driver.remove(instance)
        await nothing_remains(driver, instance)

    rig.run(work)


def test_remove_takes_what_never_started_and_what_still_runs(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> None:
        created = await driver.create(rig.spec(0))
        attached = await driver.create(rig.spec(1))
        console = await driver.attach(attached)
        running, other_console, _ = await bring_up(driver, rig.spec(2))
        for instance in (created, attached, running):
            await driver.remove(instance)
            await nothing_remains(driver, instance)
        console.close()
        other_console.close()
        assert await driver.leftovers(rig.host.name) == []

    rig.run(work)


def test_what_is_gone_already_is_no_error(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> None:
        instance, console, _ = await bring_up(driver, rig.spec())
        console.close()
        for graceful in (False, True, False):
            await driver.stop(instance, graceful=graceful)
        for _ in range(2):
            await driver.remove(instance)
        for graceful in (True, False):
            await driver.stop(instance, graceful=graceful)
        await nothing_remains(driver, instance)

    rig.run(work)


def test_missing_image_is_told_by_prepare_and_create(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> None:
        with pytest.raises(ImageError, match="missing"):
            await driver.prepare(rig.missing_image)
        with pytest.raises(ImageError, match="missing"):
            await driver.create(rig.spec(image=rig.missing_image))
        assert await driver.leftovers(rig.host.name) == []

    rig.run(work)


def test_dropped_image_can_be_brought_again(rig: Rig) -> None:
    rig.needs(Capability.COLD_IMAGE)

    async def work(driver: AnyDriver) -> None:
        for _ in range(2):
            await driver.drop_image("tiny")
        await driver.prepare("tiny")
        instance, console, _ = await bring_up(driver, rig.spec())
        console.close()
        await driver.remove(instance)

    rig.run(work)


def test_limits_hold(rig: Rig) -> None:
    rig.needs(Capability.LIMITS)
    memory_mib = 128

    async def work(driver: AnyDriver) -> tuple[int | None, dict[str, Any]]:
        if (why := (await driver.facts()).get("limits_obstacle")) is not None:
            pytest.skip(why)
        limits = Limits(cpus=0.5, memory_mib=memory_mib)
        instance, console, agent = await bring_up(driver, rig.spec(limits=limits))
        seen = await agent.ask("inspect", deadline_s=BOOT_S) if rig.is_real else {}
        pid = await driver.pid(instance)
        limit = None if pid is None else memory_limit_bytes(pid)
        console.close()
        await driver.remove(instance)
        return limit, seen

    limit, seen = rig.run(work)
    if rig.is_real:  # the kernel's limit on a process, or the size of a guest
        guest_bytes = seen["mem_total_kb"] * 1024
        assert limit == memory_mib * 1024 * 1024 or guest_bytes <= memory_mib * 1024 * 1024


def memory_limit_bytes(pid: int) -> int | None:
    """The limit of the process's own cgroup, version 1 or 2."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for file in (
            Path(f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"),
            Path(f"/sys/fs/cgroup{path}/memory.max"),
        ):
            if controllers in ("memory", "") and file.exists():
                text = file.read_text().strip()
                return None if text == "max" else int(text)
    return None


def test_address(rig: Rig, request: pytest.FixtureRequest) -> None:
    rig.needs(Capability.ADDRESS)
    if not request.getfixturevalue(f"{rig.kind.name}_engine").has_bridge:
        pytest.skip("this engine has no bridge")

    async def work(driver: AnyDriver) -> str:
        instance, console, _ = await bring_up(driver, rig.spec())
        console.close()
        address = await driver.address(instance)
        await driver.remove(instance)
        await nothing_remains(driver, instance)
        return address

    ipaddress.ip_address(rig.run(work, **WITH_ADDRESS.get(rig.kind.name, {})))


def test_leftovers_are_what_was_made_and_sweep_takes_it(rig: Rig) -> None:
    async def make(driver: AnyDriver) -> None:
        await driver.create(rig.spec(0))
        _, console, _ = await bring_up(driver, rig.spec(1))
        console.close()

    async def work(ours: AnyDriver) -> None:
        assert await ours.leftovers(rig.host.name) == []
        dead = rig.driver()  # the driver of a worker that died
        await dead.open()
        await dead.prepare("tiny")
        await make(dead)
        await dead.close()
        found = await ours.leftovers(rig.host.name)
        for listed in (found, await ours.leftovers(None)):
            for spec in (rig.spec(0), rig.spec(1)):
                assert any(spec.name in leftover.name for leftover in listed), listed
        assert {(leftover.driver, leftover.host) for leftover in found} == {
            (rig.kind.name, rig.host.name)
        }
        assert await ours.leftovers(f"{rig.host.name}-other") == []
        for _ in range(2):  # the second time it is gone already
            for leftover in found:
                await ours.sweep(leftover)
        assert await ours.leftovers(rig.host.name) == []

    rig.run(work)


def test_several_at_once(rig: Rig) -> None:
    async def one(driver: AnyDriver, index: int) -> None:
        instance, console, agent = await bring_up(driver, rig.spec(index))
        await agent.ask("ping", deadline_s=BOOT_S)
        console.close()
        await driver.stop(instance, graceful=False)
        await driver.remove(instance)
        await nothing_remains(driver, instance)

    async def work(driver: AnyDriver) -> None:
        async with asyncio.TaskGroup() as group:
            for index in range(4):
                group.create_task(one(driver, index))

    rig.run(work)


def test_a_name_is_given_once(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> None:
        instance = await driver.create(rig.spec())
        with pytest.raises(EngineError):
            await driver.create(rig.spec())
        await driver.remove(instance)

    if rig.is_real:
        rig.run(work)


def test_instance_names_differ_and_say_whose_they_are() -> None:
    owner = Owner("h", "c", "0123456789abcdef" * 2, 1, "boot")
    others = [owner, replace(owner, attempt=2), replace(owner, trial="f" * 32)]
    names = {other.instance_name(index) for other in others for index in (0, 1)}
    assert len(names) == 6
    assert all(name.startswith(NAME_PREFIX) for name in names)


def test_keeps_no_handles_and_no_zombies(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> None:
        instance, console, _ = await bring_up(driver, rig.spec())
        console.close()
        await driver.stop(instance, graceful=False)
        await driver.remove(instance)

    rig.run(work)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        rig.run(work)
    # One more may belong to the client library as a whole; one per instance would be two.
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert zombies() == []


def zombies() -> list[int]:
    """Our children that nobody reaps."""
    children = psutil.Process().children()
    return [child.pid for child in children if child.status() == psutil.STATUS_ZOMBIE]
