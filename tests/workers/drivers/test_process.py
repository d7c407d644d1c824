"""What is particular to bare processes."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from contract.campaign import Limits
from contract.errors import EngineError, ImageError, InstanceExited
from workers.agent import Agent
from workers.console import Console
from workers.drivers import process
from workers.drivers.base import OOM_SCORE_ADJ, Instance, InstanceSpec
from workers.drivers.process import Driver, ProcessInstance, ProcessSettings
from workers.engines.cgroup import Cgroups
from workers.engines.process_owners import kill_owned, owned_processes
from workers.ownership import Leftover, Owner
from workers.settings import HostSettings

T = TypeVar("T")
SHELL = shutil.which("sh")


def owner(host: HostSettings) -> Owner:
    return Owner(host.name, "process-test", (host.name[5:] * 4)[:32], 1, "boot")


def run(host: HostSettings, work: Callable[[Driver], Awaitable[T]]) -> T:
    async def whole() -> T:
        driver = Driver(ProcessSettings(), host, owner(host))
        await driver.open()
        try:
            return await work(driver)
        finally:
            for leftover in await driver.leftovers(host.name):
                await driver.sweep(leftover)
            await driver.close()

    return asyncio.run(whole())


def spec(host: HostSettings, image: str = "tiny", limits: Limits | None = None) -> InstanceSpec:
    return InstanceSpec(0, owner(host).instance_name(0), image, "nonce", limits or Limits())


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Makes programs out of a few lines of shell."""

    def make(script: str) -> str:
        path = tmp_path / "program"
        path.write_text(f"#!{SHELL}\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


async def bring_up(driver: Driver, what: InstanceSpec) -> tuple[Instance, Console]:
    await driver.prepare(what.image)
    instance = await driver.create(what)
    console = await driver.attach(instance)
    await driver.start(instance)
    return instance, console


async def process_of(driver: Driver, instance: Instance) -> psutil.Process:
    pid = await driver.pid(instance)
    assert pid is not None
    return psutil.Process(pid)


def test_knows_nothing_of_the_workers_environment(
    host_settings: HostSettings, program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "42")
    script = "echo $TONNAGE_NONCE $PWD; env | cut -d= -f1; echo over"

    async def work(driver: Driver) -> list[str]:
        _, console = await bring_up(driver, spec(host_settings, program(script)))
        lines = [await console.receive()]
        while lines[-1] != "over":
            lines.append(await console.receive())
        with pytest.raises(InstanceExited):
            await console.receive()
        console.close()
        return lines

    nonce_and_folder, *names = run(host_settings, work)
    assert nonce_and_folder == f"nonce {host_settings.state_dir}/process/{spec(host_settings).name}"
    assert "SECRET" not in names
    assert {"PATH", "TONNAGE_NONCE", "TONNAGE_OWNER_HOST"} <= set(names)


def test_volunteers_for_the_oom_killer(host_settings: HostSettings) -> None:
    async def work(driver: Driver) -> str:
        instance, console = await bring_up(driver, spec(host_settings))
        console.close()
        return Path(f"/proc/{await driver.pid(instance)}/oom_score_adj").read_text()

    assert int(run(host_settings, work)) == OOM_SCORE_ADJ


@pytest.mark.parametrize("image", ["debian:12", "./program", "relative", "tiny2"])
def test_an_image_is_tiny_or_a_path(host_settings: HostSettings, image: str) -> None:
    with pytest.raises(ImageError, match=f"of a program or an image's folder, not '{image}'"):
        run(host_settings, lambda driver: driver.prepare(image))


def test_a_program_must_be_there_and_executable(host_settings: HostSettings, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o644)
    for name, words in {"text": "may not be executed", "none": "no program", ".": "is no image"}.items():
        with pytest.raises(ImageError, match=words):
            run(host_settings, lambda driver, name=name: driver.prepare(str(tmp_path / name)))


def test_a_program_that_cannot_be_loaded_is_told(host_settings: HostSettings, tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"\0no program")
    (tmp_path / "garbage").chmod(0o755)
    with pytest.raises(EngineError, match="cannot run"):
        run(host_settings, lambda driver: bring_up(driver, spec(host_settings, f"{tmp_path}/garbage")))


def test_tiny_must_be_prepared(host_settings: HostSettings) -> None:
    with pytest.raises(ImageError, match="'tiny' is not on this host"):
        run(host_settings, lambda driver: driver.create(spec(host_settings)))


def test_takes_its_children_along(host_settings: HostSettings, program: Callable[[str], str]) -> None:
    async def work(driver: Driver) -> list[psutil.Process]:
        script = program("sleep 600 & sleep 600 & echo up; wait")
        instance, console = await bring_up(driver, spec(host_settings, script))
        assert await console.receive() == "up"
        family = (await process_of(driver, instance)).children()
        await driver.stop(instance, graceful=False)
        console.close()
        await driver.remove(instance)
        return family

    family = run(host_settings, work)
    assert len(family) == 2
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_what_does_not_listen_to_sigterm_is_killed(
    host_settings: HostSettings, program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_GRACE_S", 0.3)

    async def work(driver: Driver) -> None:
        script = program("trap 'echo heard' TERM; echo up; while :; do sleep 0.1; done")
        instance, console = await bring_up(driver, spec(host_settings, script))
        assert await console.receive() == "up"
        await driver.stop(instance, graceful=True)
        assert await console.receive() == "heard"
        with pytest.raises(InstanceExited):
            await console.receive()
        console.close()
        await driver.remove(instance)
        assert await driver.remains(instance) == []

    run(host_settings, work)


def test_one_that_ends_by_itself_is_removed_like_any_other(
    host_settings: HostSettings, program: Callable[[str], str]
) -> None:
    async def work(driver: Driver) -> None:
        instance, console = await bring_up(driver, spec(host_settings, program("exit 3")))
        with pytest.raises(InstanceExited):
            await console.receive()
        console.close()
        for graceful in (True, False):
            await driver.stop(instance, graceful=graceful)
        await driver.remove(instance)
        assert await driver.remains(instance) == []

    run(host_settings, work)


def test_a_start_that_comes_after_removal_runs_nothing(host_settings: HostSettings) -> None:
    async def work(driver: Driver) -> None:
        await driver.prepare("tiny")
        instance = await driver.create(spec(host_settings))
        await driver.remove(instance)
        with pytest.raises(EngineError, match="was removed before it started"):
            await driver.start(instance)
        assert await driver.pid(instance) is None

    run(host_settings, work)


def test_limits_that_cannot_be_set_are_never_passed_over(
    host_settings: HostSettings, tmp_path: Path
) -> None:
    async def work(driver: Driver) -> None:
        driver._cgroups = Cgroups(tmp_path / "no-cgroups")
        await driver.prepare("tiny")
        with pytest.raises(EngineError, match="limits cannot be set on this host: no cgroup"):
            await driver.create(spec(host_settings, limits=Limits(memory_mib=64)))
        assert await driver.leftovers(host_settings.name) == []
        assert "no cgroup" in (await driver.facts())["limits_obstacle"]
        await driver.remove(await driver.create(spec(host_settings)))  # without limits it can

    run(host_settings, work)


@pytest.mark.skipif(Cgroups().obstacle() is not None, reason="no cgroup can be made here")
def test_limits_hold_from_the_first_moment_and_for_all_children(
    host_settings: HostSettings, program: Callable[[str], str]
) -> None:
    async def work(driver: Driver) -> None:
        script = program("setsid sleep 600 & cat /proc/self/cgroup; echo up; wait")
        what = spec(host_settings, script, Limits(cpus=0.5, memory_mib=64))
        instance, console = await bring_up(driver, what)
        assert isinstance(instance, ProcessInstance)
        assert instance.group is not None
        lines = [await console.receive()]
        while lines[-1] != "up":
            lines.append(await console.receive())
        assert any(line.endswith(f"/tonnage/{host_settings.name}/{what.name}") for line in lines)
        # One that left the session, which killing the process group would miss.
        (escaped,) = [pid for pid in instance.group.pids() if pid != await driver.pid(instance)]
        await driver.stop(instance, graceful=False)
        console.close()
        assert not psutil.pid_exists(escaped) or psutil.Process(escaped).status() == "zombie"
        await driver.remove(instance)
        assert await driver.remains(instance) == []

    run(host_settings, work)


@pytest.mark.skipif(Cgroups().obstacle() is not None, reason="no cgroup can be made here")
def test_memory_beyond_the_limit_ends_the_process(
    host_settings: HostSettings, program: Callable[[str], str]
) -> None:
    async def work(driver: Driver) -> None:
        what = spec(host_settings, program("tail -c 200000000 /dev/zero"), Limits(memory_mib=16))
        instance, console = await bring_up(driver, what)
        death = await driver.watch_exit(instance)
        assert death is not None
        with pytest.raises(InstanceExited):
            await asyncio.wait_for(hear_out(console), 60)
        console.close()

    run(host_settings, work)


async def hear_out(console: Console) -> None:
    while True:
        await console.receive()


def test_sweep_finds_what_left_its_session(
    host_settings: HostSettings, program: Callable[[str], str]
) -> None:
    async def work(driver: Driver) -> None:
        script = program("setsid sleep 600 & echo up; wait")
        instance, console = await bring_up(driver, spec(host_settings, script))
        assert await console.receive() == "up"
        parent = await process_of(driver, instance)
        (child,) = parent.children()
        async with asyncio.timeout(10):
            while os.getsid(child.pid) == parent.pid:
                await asyncio.sleep(0.01)
        await driver.remove(instance)
        console.close()
        expected = Leftover("process", "process", str(child.pid), host_settings.name)
        assert await driver.leftovers(host_settings.name) == [expected]
        await driver.sweep(expected)
        assert await driver.leftovers(host_settings.name) == []

    run(host_settings, work)


def test_a_number_that_went_to_somebody_else_is_not_killed(host_settings: HostSettings) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        assert kill_owned(stranger.pid) is False
        assert stranger.pid not in {pid for pid, _ in owned_processes()}
        run(
            host_settings,
            lambda driver: driver.sweep(Leftover("process", "process", str(stranger.pid), "h")),
        )
        assert stranger.poll() is None
        stranger.kill()
    assert kill_owned(stranger.pid) is False


def test_a_folder_that_says_nothing_is_this_hosts(host_settings: HostSettings) -> None:
    async def work(driver: Driver) -> None:
        (host_settings.state_dir / "process/tonnage-half-made").mkdir(parents=True)
        foreign = host_settings.state_dir / "process/tonnage-foreign"
        foreign.mkdir()
        (foreign / "owner.json").write_text("{")
        found = await driver.leftovers(host_settings.name)
        assert {leftover.name for leftover in found} == {"tonnage-half-made", "tonnage-foreign"}
        outside = host_settings.state_dir / "images"
        outside.mkdir()
        await driver.sweep(Leftover("process", "folder", "../images", host_settings.name))
        assert outside.is_dir()

    run(host_settings, work)


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_cancelled_start_leaves_nothing(host_settings: HostSettings, turns: int) -> None:
    """Before it has begun, and when it is done: there is nothing between the two."""

    async def work(driver: Driver) -> None:
        await driver.prepare("tiny")
        instance = await driver.create(spec(host_settings))
        start = asyncio.create_task(driver.start(instance))
        for _ in range(turns):
            await asyncio.sleep(0)
        start.cancel()
        await asyncio.wait({start})
        assert (await driver.pid(instance) is None) is (turns == 0)
        await driver.remove(instance)
        assert await driver.remains(instance) == []
        assert await driver.leftovers(host_settings.name) == []

    run(host_settings, work)


def test_an_agent_whose_worker_dies_ends(host_settings: HostSettings) -> None:
    async def work(driver: Driver) -> None:
        other = Driver(ProcessSettings(), host_settings, owner(host_settings))
        await other.open()
        instance, console = await bring_up(other, spec(host_settings))
        await Agent(console, "nonce").beacon(60)
        death = await other.watch_exit(instance)
        assert death is not None
        console.close()
        await other.close()  # as the kernel does with a dead worker's pipes
        await asyncio.wait_for(death, 10)
        left = await driver.leftovers(host_settings.name)
        assert [leftover.kind for leftover in left] == ["folder"]

    run(host_settings, work)


def test_the_signal_reaches_only_the_agent_when_it_is_asked_to_end(
    host_settings: HostSettings, program: Callable[[str], str]
) -> None:
    async def work(driver: Driver) -> str:
        script = program(
            "(trap 'echo child heard' TERM; sleep 1; sleep 1) & trap 'exit' TERM; echo up; wait"
        )
        instance, console = await bring_up(driver, spec(host_settings, script))
        assert await console.receive() == "up"
        await driver.stop(instance, graceful=True)
        with pytest.raises(InstanceExited):
            await hear_out(console)
        console.close()
        return " ".join(console.tail)

    assert "child heard" not in run(host_settings, work)


def test_pipes_are_not_inherited_by_other_instances(host_settings: HostSettings) -> None:
    """Or the death of one would not be seen while the other lives."""

    async def work(driver: Driver) -> None:
        await driver.prepare("tiny")
        first, console = await bring_up(driver, spec(host_settings))
        other = InstanceSpec(1, owner(host_settings).instance_name(1), "tiny", "other", Limits())
        second, other_console = await bring_up(driver, other)
        pid = await driver.pid(first)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(InstanceExited):
            await asyncio.wait_for(hear_out(console), 10)
        console.close()
        other_console.close()
        await driver.remove(second)

    run(host_settings, work)
