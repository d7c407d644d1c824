"""What every driver promises when instances end, hang, panic or lose their engine."""

import asyncio

import pytest
from contract_rig import (
    BOOT_S,
    Rig,
    answers,
    bring_up,
    hear_all,
)

from contract.catalog import Capability
from contract.errors import AgentSilent, InstanceExited, NotAllowed
from workers.agent import Agent
from workers.drivers.base import AnyDriver, Fault

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


def test_an_instance_that_was_stopped_starts_again(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> None:
        instance, console, agent = await bring_up(driver, rig.spec())
        for _ in range(2):
            await driver.stop(instance, graceful=False)
            console.close()
            console = await driver.attach(instance)
            await driver.start(instance)
            agent = Agent(console, rig.spec().nonce)
            await agent.beacon(BOOT_S)
            await agent.ask("ping", deadline_s=BOOT_S)
        console.close()
        await driver.remove(instance)

    rig.run(work)


def test_one_that_is_killed_from_outside_is_seen_and_starts_again(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> None:
        instance, console, _ = await bring_up(driver, rig.spec())
        death = await driver.watch_exit(instance)
        assert death is not None
        await driver.inject(instance, Fault.KILL)
        await asyncio.wait_for(death, BOOT_S)
        console.close()
        await driver.stop(instance, graceful=False)
        console = await driver.attach(instance)
        await driver.start(instance)
        await Agent(console, rig.spec().nonce).beacon(BOOT_S)
        console.close()

    rig.run(work)


def test_one_that_hangs_lives_and_says_nothing(rig: Rig) -> None:
    async def work(driver: AnyDriver) -> None:
        instance, console, agent = await bring_up(driver, rig.spec())
        death = await driver.watch_exit(instance)
        assert death is not None
        await driver.inject(instance, Fault.HANG)
        with pytest.raises(AgentSilent):
            await agent.ask("ping", deadline_s=1)
        assert not death.done()
        death.cancel()
        console.close()
        await driver.remove(instance)

    rig.run(work)


def test_a_guest_panics(rig: Rig) -> None:
    rig.needs(Capability.GUEST_KERNEL)

    async def work(driver: AnyDriver) -> None:
        instance, console, _ = await bring_up(driver, rig.spec())
        death = await driver.watch_exit(instance)
        assert death is not None
        await driver.inject(instance, Fault.PANIC)
        await asyncio.wait_for(death, BOOT_S)
        with pytest.raises(InstanceExited, match="panic" if rig.is_real else "closed"):
            await asyncio.wait_for(hear_all(console), BOOT_S)

    rig.run(work)


def test_the_engine_starts_again_what_is_under_its_policy(rig: Rig) -> None:
    """A guest's panic is what libvirt's policy covers, a death of PID 1 what Docker's does."""
    rig.needs(Capability.RESTART_POLICY)
    fault = Fault.PANIC if rig.kind.name == "libvirt" else Fault.KILL

    async def work(driver: AnyDriver) -> list[str]:
        spec = rig.spec(revived=True)
        instance, console, _ = await bring_up(driver, spec)
        heard: list[str] = []
        stop_listening = await driver.listen(instance, heard.append)
        await asyncio.sleep(0.2)
        await driver.inject(instance, fault)
        if rig.kind.name == "libvirt":  # QEMU stays, and its console with it
            await Agent(console, spec.nonce).beacon(BOOT_S)
        else:
            (await answers(driver, instance, spec.nonce)).close()
        await asyncio.sleep(0.5)
        stop_listening()
        console.close()
        await driver.stop(instance, graceful=False)  # on purpose: the policy does not act
        await asyncio.sleep(0.5)
        assert await driver.pid(instance) is None
        return heard

    assert rig.run(work)[:2] == ["ended", "started"]


def test_an_engine_is_restarted_with_permission_only(rig: Rig) -> None:
    rig.needs(Capability.ENGINE_RESTART)
    if not rig.is_real:
        pytest.skip("a simulated engine is restarted for nobody's harm")

    async def work(driver: AnyDriver) -> None:
        instance, console, _ = await bring_up(driver, rig.spec())
        console.close()
        with pytest.raises(NotAllowed, match="--may-restart-engines"):
            await driver.inject(instance, Fault.ENGINE_RESTART)

    rig.run(work)
