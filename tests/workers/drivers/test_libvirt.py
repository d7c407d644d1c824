"""What is special about virtual machines; what all drivers promise is in test_contract.py."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree as ET

import pytest
from pydantic import ValidationError
from simulation import remove_all

from contract.campaign import Limits
from contract.errors import EngineAbsent, EngineError, ImageError, InstanceExited
from workers.agent import Agent
from workers.drivers.base import InstanceSpec
from workers.drivers.libvirt import Driver
from workers.engines.libvirt_records import MIN_MEMORY_MIB, LibvirtInstance, LibvirtSettings
from workers.ownership import NAME_PREFIX, Leftover, Owner
from workers.settings import HostSettings

T = TypeVar("T")
Work = Callable[[Driver], Awaitable[T]]

BOOT_S = 60.0
BOOT_SECTOR = (
    # Sets up the first serial port by BIOS call, says a line on it, and halts.
    b"\x31\xc0\x8e\xd8\x31\xd2\xb8\xe3\x00\xcd\x14\xbe\x1c\x7c"
    b"\xac\x84\xc0\x74\x06\xb4\x01\xcd\x14\xeb\xf5\xf4\xeb\xfd"
    b"hello from the disk\n\0"
)

needs_libvirt = pytest.mark.libvirt
pytestmark = pytest.mark.timeout(300)


class Rig:
    """A host of its own, and a trial on it."""

    def __init__(self, host: HostSettings) -> None:
        self.host = host
        self.owner = Owner(host.name, "special", secrets.token_hex(16), 1, "boot")

    def spec(self, index: int = 0, image: str = "tiny", **limits: Any) -> InstanceSpec:
        name = self.owner.instance_name(index)
        return InstanceSpec(index, name, image, f"nonce{index}", Limits(**limits))

    def run(self, work: "Work[T]", **settings: Any) -> T:
        async def whole() -> T:
            driver = Driver(LibvirtSettings(**settings), self.host, self.owner)
            await driver.open()
            try:
                return await work(driver)
            finally:
                await remove_all(driver, self.host.name)
                await driver.close()

        return asyncio.run(whole())


@pytest.fixture
def rig(host_settings: HostSettings, shared_state_dir: Path, libvirt_engine: str) -> Rig:
    update = {"state_dir": shared_state_dir, "libvirt_uri": libvirt_engine}
    return Rig(host_settings.model_copy(update=update))


async def bring_up(driver: Driver, spec: InstanceSpec) -> tuple[LibvirtInstance, Agent]:
    instance = await driver.create(spec)
    assert isinstance(instance, LibvirtInstance)
    return instance, await boot(driver, instance)


async def boot(driver: Driver, instance: LibvirtInstance) -> Agent:
    agent = Agent(await driver.attach(instance), instance.spec.nonce)
    await driver.start(instance)
    await agent.beacon(BOOT_S)
    return agent


def test_settings_are_checked() -> None:
    for good in ({"network": "default"}, {"uri": "qemu:///session"}, {"memory_mib": MIN_MEMORY_MIB}):
        LibvirtSettings.model_validate(good)
    for bad in (
        {"network": "a b"},
        {"uri": "qemu+ssh://elsewhere/system"},
        {"uri": "qemu:///system\n"},
        {"uri": "lxc:///"},
        {"memory_mib": MIN_MEMORY_MIB - 1},
        {"machine": "microvm"},
        {"vcpus": 0},
    ):
        with pytest.raises(ValidationError):
            LibvirtSettings.model_validate(bad)


@needs_libvirt
def test_a_disk_guest_writes_to_its_overlay_only(rig: Rig) -> None:
    async def work(driver: Driver) -> None:
        await driver.prepare("tiny")
        bases = {path: path.read_bytes() for path in (rig.host.state_dir / "images").glob("disk-*")}
        assert len(bases) == 1
        instance, agent = await bring_up(driver, rig.spec())
        assert instance.overlay is not None
        before = instance.overlay.stat().st_size
        assert (await agent.ask("disk", 4, deadline_s=BOOT_S))["ok"] is True
        assert instance.overlay.stat().st_size > before
        assert {path: path.read_bytes() for path in bases} == bases
        await driver.remove(instance)
        assert not instance.overlay.exists()

    rig.run(work, boot="disk")


@needs_libvirt
def test_a_guest_has_what_was_asked_for_and_tells_its_own_uptime(rig: Rig) -> None:
    async def work(driver: Driver) -> None:
        instance, agent = await bring_up(driver, rig.spec(cpus=1.5, memory_mib=160))
        assert agent.uptime_ns is not None
        seen = await agent.ask("inspect", deadline_s=BOOT_S)
        assert seen["cpus"] == 2
        assert 100 * 1024 < seen["mem_total_kb"] <= 160 * 1024
        assert seen["hostname"] == "guest"
        assert seen["kernel"] == (await driver.facts())["guest_kernel_version"]
        pid = await driver.pid(instance)
        assert pid is not None
        assert Path(f"/proc/{pid}/comm").read_text().startswith("qemu")
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"
        assert instance.cgroups
        await driver.remove(instance)
        assert not any(path.exists() for path in instance.cgroups)
        assert await driver.pid(instance) is None

    rig.run(work)


@needs_libvirt
def test_q35_and_facts_that_shape_numbers(rig: Rig) -> None:
    async def work(driver: Driver) -> dict[str, Any]:
        await driver.prepare("tiny")
        await bring_up(driver, rig.spec())
        return await driver.facts()

    facts = rig.run(work, machine="q35", accel="tcg")
    assert "q35" in facts["machine"]
    assert (facts["accelerator"], facts["emulated"]) == ("tcg", True)
    assert facts["daemon_limits"]["max_client_requests"] > 0


@needs_libvirt
def test_a_stopped_guest_starts_again(rig: Rig) -> None:
    async def work(driver: Driver) -> None:
        instance, first = await bring_up(driver, rig.spec())
        await driver.stop(instance, graceful=False)
        with pytest.raises(InstanceExited):
            await first.ask("ping")
        again = await boot(driver, instance)
        assert (await again.ask("ping"))["ok"] is True

    rig.run(work)


@needs_libvirt
def test_the_agent_s_end_is_the_guest_s(rig: Rig) -> None:
    async def work(driver: Driver) -> None:
        instance, agent = await bring_up(driver, rig.spec())
        death = await driver.watch_exit(instance)
        assert death is not None
        await agent.ask("quit")
        await asyncio.wait_for(death, 30)

    rig.run(work)


@needs_libvirt
def test_a_users_disk_boots_by_firmware(rig: Rig) -> None:
    image = rig.host.state_dir / "users.raw"
    image.write_bytes(BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa" + bytes(2**20))
    content = image.read_bytes()

    async def work(driver: Driver) -> None:
        instance = await driver.create(rig.spec(image=str(image)))
        console = await driver.attach(instance)
        await driver.start(instance)
        async with asyncio.timeout(BOOT_S):
            while "hello from the disk" not in await console.receive():
                pass
        await driver.remove(instance)

    rig.run(work)
    assert image.read_bytes() == content
    image.unlink()


@needs_libvirt
def test_what_cannot_be_is_refused_and_leaves_nothing(rig: Rig) -> None:
    async def work(driver: Driver) -> None:
        with pytest.raises(EngineError, match=f"{MIN_MEMORY_MIB} MiB at least"):
            await driver.create(rig.spec(memory_mib=64))
        with pytest.raises(ImageError, match="no disk image"):
            await driver.create(rig.spec(image="/missing.qcow2"))
        hostile = InstanceSpec(0, rig.owner.instance_name(0), "tiny", "a init=/bin/sh", Limits())
        with pytest.raises(EngineError, match="nonce"):
            await driver.create(hostile)
        assert await driver.leftovers(rig.host.name) == []

    rig.run(work)


@needs_libvirt
def test_a_start_that_fails_says_why_and_can_be_removed(rig: Rig) -> None:
    async def work(driver: Driver) -> None:
        instance = await driver.create(rig.spec())
        with pytest.raises(EngineError, match="no-such-network"):
            await driver.start(instance)
        await driver.remove(instance)
        assert await driver.remains(instance) == []
        assert await driver.leftovers(rig.host.name) == []

    rig.run(work, network="no-such-network")


@needs_libvirt
def test_a_disk_that_cannot_be_made_takes_the_record_with_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ImageError("no room")

    async def work(driver: Driver) -> None:
        with pytest.raises(ImageError, match="no room"):
            await driver.create(rig.spec())
        assert await driver.leftovers(rig.host.name) == []

    monkeypatch.setattr("workers.drivers.libvirt.make_overlay", fail)
    rig.run(work, boot="disk")


@needs_libvirt
def test_no_log_is_left(rig: Rig) -> None:
    async def work(driver: Driver) -> None:
        instance, _ = await bring_up(driver, rig.spec())
        await driver.remove(instance)

    rig.run(work)
    if rig.host.libvirt_uri == "qemu:///system":
        assert list(Path("/var/log/libvirt/qemu").glob(f"{rig.owner.instance_name(0)}*")) == []


@needs_libvirt
def test_foreign_domains_are_counted_and_left_alone(rig: Rig, libvirt_engine: str) -> None:
    import libvirt

    name = f"{NAME_PREFIX}foreign-{secrets.token_hex(4)}"
    xml = f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>
      <os><type arch='x86_64'>hvm</type></os></domain>"""
    connection = libvirt.open(libvirt_engine)
    foreign = connection.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)

    async def work(driver: Driver) -> None:
        assert (await driver.facts())["foreign_instances"] >= 1
        assert name not in {leftover.name for leftover in await driver.leftovers(None)}
        for owner in (rig.host.name, ""):
            await driver.sweep(Leftover("libvirt", "domain", name, owner))
        assert foreign.isActive()

    try:
        rig.run(work)
    finally:
        foreign.destroy()
        connection.close()
        with contextlib.suppress(OSError):
            Path(f"/var/log/libvirt/qemu/{name}.log").unlink()


@needs_libvirt
def test_sweep_stays_inside_our_folders(rig: Rig) -> None:
    outside = rig.host.run_dir / "outside"

    async def work(driver: Driver) -> None:
        outside.touch()
        for kind in ("disk", "socket"):
            for name, host in (
                ("../../outside", rig.host.name),
                (str(outside), rig.host.name),
                ("outside", "../.."),
            ):
                await driver.sweep(Leftover("libvirt", kind, name, host))

    rig.run(work)
    assert outside.exists()


@needs_libvirt
def test_the_owner_is_in_the_engine(rig: Rig, libvirt_engine: str) -> None:
    import libvirt

    async def work(driver: Driver) -> str:
        instance = await driver.create(rig.spec())
        connection = libvirt.open(libvirt_engine)
        text = connection.lookupByName(instance.spec.name).XMLDesc()
        connection.close()
        return str(text)

    owner = ET.fromstring(rig.run(work)).find("metadata/{urn:tonnage:owner}owner")  # noqa: S314
    assert owner is not None
    assert owner.attrib == rig.owner.labels()


@needs_libvirt
def test_an_unreachable_daemon_is_absent(rig: Rig) -> None:
    async def work(_: Driver) -> None:
        raise AssertionError("opened")

    with pytest.raises(EngineAbsent, match="cannot be reached"):
        rig.run(work, uri="qemu:///system?socket=/missing/socket")


@needs_libvirt
def test_a_libvirt_without_qemu_is_absent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.drivers.libvirt_base.uri_for", lambda *_: "test:///default")

    async def work(_: Driver) -> None:
        raise AssertionError("opened")

    with pytest.raises(EngineAbsent, match="qemu-system-x86"):
        rig.run(work)
