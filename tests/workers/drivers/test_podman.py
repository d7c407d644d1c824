"""What is particular to Podman, on a real service."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from podman_service import PodmanService
from simulation import remove_all

from contract.campaign import Limits
from contract.errors import EngineAbsent, EngineError
from workers.agent import Agent
from workers.drivers import docker, podman
from workers.drivers.base import Fault, InstanceSpec
from workers.engines.cgroup import Cgroups
from workers.engines.docker_records import DockerSettings
from workers.engines.podman_records import PodmanSettings
from workers.ownership import Owner
from workers.settings import HostSettings

pytestmark = pytest.mark.podman
T = TypeVar("T")


@pytest.fixture
def host(podman_engine: PodmanService, host_settings: HostSettings) -> HostSettings:
    return host_settings.model_copy(update={"podman_socket": podman_engine.socket})


def owner(host: HostSettings) -> Owner:
    return Owner(host.name, "podman-test", (host.name[5:] * 4)[:32], 1, "boot")


def run(host: HostSettings, work: Callable[[podman.Driver], Awaitable[T]], **settings: Any) -> T:
    async def whole() -> T:
        driver = podman.Driver(PodmanSettings(**settings), host, owner(host))
        try:
            await driver.open()
            await driver.prepare("tiny")
            try:
                return await work(driver)
            finally:
                await remove_all(driver, host.name)
        finally:
            await driver.close()

    return asyncio.run(whole())


def status(pid: int, key: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{key}:"))


def limit(pid: int, version1: str, version2: str) -> str:
    cgroups = Cgroups()
    name = version1 if cgroups.version == 1 else version2
    return next((p / name).read_text() for p in cgroups.of_process(pid) if (p / name).exists()).strip()


def test_every_setting_and_limit_reaches_the_kernel(host: HostSettings) -> None:
    """Podman's API takes what it then passes over, so its own record is no witness."""

    async def work(driver: podman.Driver) -> None:
        limits = Limits(cpus=0.5, memory_mib=64)
        spec = InstanceSpec(0, owner(host).instance_name(0), "tiny", "n0", limits, pids=40)
        instance = await driver.create(spec)
        await driver.start(instance)
        pid = await driver.pid(instance)
        assert pid is not None
        assert status(pid, "NoNewPrivs") == "1"
        assert int(status(pid, "CapEff"), 16) == 0
        assert status(pid, "Seccomp") == "0"
        assert status(pid, "Uid").split()[0] == "1000"
        assert status(pid, "Cpus_allowed_list") == "0"
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"
        root = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()[0].split()
        assert root[4] == "/"
        assert "ro" in root[5].split(",")
        assert limit(pid, "pids.max", "pids.max") == "40"
        assert limit(pid, "memory.limit_in_bytes", "memory.max") == str(64 * 1024 * 1024)
        assert limit(pid, "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"

    settings = {"read_only": True, "no_new_privileges": True, "drop_capabilities": True}
    run(host, work, seccomp="unconfined", user="1000:1000", cpuset="0", pids_limit=50, **settings)


def test_a_runtime_that_the_service_does_not_use_is_refused(host: HostSettings) -> None:
    async def facts(driver: podman.Driver) -> dict[str, Any]:
        return await driver.facts()

    used = run(host, facts)["runtime"]
    other = "runc" if used == "crun" else "crun"
    with pytest.raises(EngineError, match=f"podman --runtime {other}"):
        run(host, facts, runtime=other)


@pytest.mark.parametrize("is_slow_to_die", [False, True])
def test_a_console_that_is_taken_too_early_does_not_stop_a_restart(
    host: HostSettings, is_slow_to_die: bool
) -> None:
    """Attaching to what has just died would make Podman set it up anew and never start it."""

    async def work(driver: podman.Driver) -> None:
        spec = InstanceSpec(0, owner(host).instance_name(0), "tiny", "n0", Limits(), revived=True)
        instance = await driver.create(spec)
        console = await driver.attach(instance)
        await driver.start(instance)
        await Agent(console, "n0").beacon(30)
        pid = await driver.pid(instance)
        with kept_from_running(pid if is_slow_to_die else None):
            await driver.inject(instance, Fault.KILL)
            with pytest.raises(EngineError, match="does not run"):
                await driver.reattach(instance)
        async with asyncio.timeout(30):
            while True:
                try:
                    again = await driver.reattach(instance)
                    break
                except EngineError:
                    await asyncio.sleep(0.02)
        await Agent(again, "n0").ask("ping", deadline_s=10)

    run(host, work)


def test_one_that_died_unseen_can_be_stopped(host: HostSettings) -> None:
    """While conmon has not written down that it ended, Podman cannot kill it and says that it runs."""

    async def work(driver: podman.Driver) -> None:
        instance = await driver.create(
            InstanceSpec(0, owner(host).instance_name(0), "tiny", "n0", Limits())
        )
        console = await driver.attach(instance)
        await driver.start(instance)
        await Agent(console, "n0").beacon(30)
        pid = await driver.pid(instance)
        assert pid is not None
        conmon = int(status(pid, "PPid"))
        os.kill(conmon, signal.SIGSTOP)
        try:
            os.kill(pid, signal.SIGKILL)
            stopping = asyncio.ensure_future(driver.stop(instance, graceful=False))
            await asyncio.wait({stopping}, timeout=1)
            assert not stopping.done()  # nobody can have seen the end yet
        finally:
            os.kill(conmon, signal.SIGCONT)
        await stopping
        console.close()
        again = await driver.attach(instance)
        await driver.start(instance)
        await Agent(again, "n0").beacon(30)

    run(host, work)


@contextmanager
def kept_from_running(pid: int | None) -> Iterator[None]:
    """Freeze a process, as a busy host does for a while: not even SIGKILL ends it in version 1."""
    groups = Cgroups().of_process(pid) if pid is not None else []
    freezer = next((place / "freezer.state" for place in groups if "freezer" in place.parts), None)
    if freezer is not None:
        freezer.write_text("FROZEN")
    try:
        yield
    finally:
        if freezer is not None:
            freezer.write_text("THAWED")


def test_podman_is_never_taken_for_docker(host: HostSettings) -> None:
    async def whole(driver: docker.Driver) -> None:
        try:
            await driver.open()
        finally:
            await driver.close()

    wrong = host.model_copy(update={"docker_socket": host.podman_socket})
    with pytest.raises(
        EngineAbsent, match="it is podman that answers: use driver 'podman' with --podman-"
    ):
        asyncio.run(whole(docker.Driver(DockerSettings(), wrong, owner(host))))


def test_a_service_that_is_not_there_says_how_to_start_it(host: HostSettings, tmp_path: Path) -> None:
    async def nothing(driver: podman.Driver) -> None: ...

    nowhere = host.model_copy(update={"podman_socket": tmp_path / "s"})
    with pytest.raises(
        EngineAbsent, match=r"podman: no engine listens.*podman system service.*--podman-"
    ):
        run(nowhere, nothing)
