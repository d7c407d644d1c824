"""What is particular to libvirt's containers, on a real libvirt."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from simulation import remove_all

from contract.campaign import Limits
from contract.errors import EngineAbsent, EngineError, ImageError
from workers.agent import Agent
from workers.drivers.base import InstanceSpec
from workers.drivers.libvirt_lxc import Driver, LxcInstance, LxcSettings
from workers.images import tiny
from workers.ownership import Owner
from workers.settings import HostSettings

pytestmark = pytest.mark.libvirt
T = TypeVar("T")


@pytest.fixture
def host(host_settings: HostSettings, shared_state_dir: Path, libvirt_engine: str) -> HostSettings:
    uri = libvirt_engine.replace("qemu:///system", "lxc:///")
    return host_settings.model_copy(update={"state_dir": shared_state_dir, "libvirt_uri": uri})


def owner(host: HostSettings) -> Owner:
    return Owner(host.name, "lxc-test", (host.name[5:] * 4)[:32], 1, "boot")


def spec(host: HostSettings, image: str = "tiny", **more: Any) -> InstanceSpec:
    return InstanceSpec(0, owner(host).instance_name(0), image, "n0", Limits(), **more)


def run(host: HostSettings, work: Callable[[Driver], Awaitable[T]], **settings: Any) -> T:
    async def whole() -> T:
        driver = Driver(LxcSettings(**settings), host, owner(host))
        try:
            await driver.open()
            try:
                return await work(driver)
            finally:
                await remove_all(driver, host.name)
        finally:
            await driver.close()

    return asyncio.run(whole())


def test_a_container_writes_to_its_own_root_only(host: HostSettings) -> None:
    async def work(driver: Driver) -> None:
        instance = await driver.create(spec(host))
        assert isinstance(instance, LxcInstance)
        agent = Agent(await driver.attach(instance), "n0")
        await driver.start(instance)
        await agent.beacon(30)
        pid = await driver.pid(instance)
        assert pid is not None
        (Path(f"/proc/{pid}/root/work") / "mark").write_text("x")
        assert (instance.root / "work/mark").read_text() == "x"
        assert not (tiny.rootfs(host.state_dir) / "work/mark").exists()
        own, ours = (Path(f"/proc/{p}/ns/net").readlink() for p in (pid, "self"))
        assert own != ours  # without a network it has none, not the host's
        await driver.remove(instance)
        assert not instance.root.exists()

    run(host, work)


def test_a_users_root_file_system_runs_its_own_init(host: HostSettings, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(tiny.rootfs(host.state_dir), root, symlinks=True)
    (root / "sbin").mkdir()
    (root / "sbin/init").write_text("#!/bin/busybox sh\nexec /bin/busybox sh /agent.sh\n")
    (root / "sbin/init").chmod(0o755)

    async def work(driver: Driver) -> None:
        instance = await driver.create(spec(host, str(root)))
        agent = Agent(await driver.attach(instance), "n0")
        await driver.start(instance)
        await agent.beacon(30)

    run(host, work)
    with pytest.raises(ImageError, match="no root file system with /bin/nothing"):
        run(host, lambda driver: driver.prepare(str(root)), init="/bin/nothing")


def test_a_limit_that_cannot_be_set_is_never_passed_over(host: HostSettings) -> None:
    async def work(driver: Driver) -> None:
        with pytest.raises(EngineError, match="no limit of processes"):
            await driver.create(spec(host, pids=10))
        assert await driver.leftovers(host.name) == []

    run(host, work)


def test_a_copy_that_fails_leaves_nothing(host: HostSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: Path, root: Path) -> None:
        root.mkdir()
        raise EngineError("no space")

    monkeypatch.setattr("workers.drivers.libvirt_lxc._copy", fail)

    async def work(driver: Driver) -> None:
        with pytest.raises(EngineError, match="no space"):
            await driver.create(spec(host))
        assert await driver.leftovers(host.name) == []

    run(host, work)


def test_a_start_that_fails_says_why_and_can_be_removed(host: HostSettings) -> None:
    async def work(driver: Driver) -> None:
        instance = await driver.create(spec(host))
        assert isinstance(instance, LxcInstance)
        (instance.root / "bin/busybox").unlink()
        with pytest.raises(EngineError, match="libvirt refused 'start'"):
            await driver.start(instance)
        await driver.remove(instance)
        assert await driver.remains(instance) == []

    run(host, work)


def test_an_unreachable_daemon_says_what_is_needed(host: HostSettings) -> None:
    async def nothing(_: Driver) -> None: ...

    nowhere = host.model_copy(update={"libvirt_uri": "lxc:///?socket=/missing/socket"})
    with pytest.raises(EngineAbsent, match=r"cannot be reached.*libvirt-daemon-driver-lxc"):
        run(nowhere, nothing)
