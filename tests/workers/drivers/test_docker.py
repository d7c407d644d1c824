"""What is particular to containers, on a real engine."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import docker
import engines
import pytest
from engines import DockerEngine

from contract.campaign import Limits
from contract.errors import EngineAbsent, EngineError, EngineTimeout, ImageError, InstanceExited
from workers.agent import Agent
from workers.console import Console
from workers.drivers import podman
from workers.drivers.base import Instance, InstanceSpec
from workers.drivers.docker import DockerInstance, Driver
from workers.engines.docker_records import DockerSettings, reference
from workers.engines.podman_records import PodmanSettings
from workers.exit_watch import watch_process
from workers.images import tiny
from workers.ownership import Owner
from workers.settings import HostSettings

pytestmark = pytest.mark.docker
T = TypeVar("T")
Work = Callable[[Driver], Awaitable[T]]


@pytest.fixture
def api(docker_engine: DockerEngine) -> Iterator[docker.APIClient]:
    client = docker.APIClient(f"unix://{docker_engine.socket}", timeout=30)
    yield client
    client.close()


@pytest.fixture
def host(docker_engine: DockerEngine, host_settings: HostSettings) -> HostSettings:
    return host_settings.model_copy(update={"docker_socket": docker_engine.socket})


@pytest.fixture
def image(api: docker.APIClient) -> Iterator[Callable[[str], str]]:
    """Makes images that run a line of shell."""
    made: list[str] = []

    def make(script: str) -> str:
        name = f"tonnage-test/script:{len(made)}"
        changes = [f'ENTRYPOINT ["/bin/busybox", "sh", "-c", "{script}"]', "ENV PATH=/bin"]
        repository, _, tag = name.partition(":")
        archive = tiny.docker_archive()
        api.import_image_from_data(archive, repository=repository, tag=tag, changes=changes)
        made.append(name)
        return name

    yield make
    for name in made:
        api.remove_image(name, force=True)


def owner(host: HostSettings) -> Owner:
    return Owner(host.name, "docker-test", (host.name[5:] * 4)[:32], 1, "boot")


def spec(host: HostSettings, image: str = "tiny", limits: Limits | None = None) -> InstanceSpec:
    return InstanceSpec(0, owner(host).instance_name(0), image, "nonce", limits or Limits())


def run(host: HostSettings, work: Work[T], **settings: Any) -> T:
    async def whole() -> T:
        driver = Driver(DockerSettings(**settings), host, owner(host))
        await driver.open()
        try:
            await driver.prepare("tiny")
            return await work(driver)
        finally:
            for leftover in await driver.leftovers(host.name):
                await driver.sweep(leftover)
            await driver.close()

    return asyncio.run(whole())


async def bring_up(driver: Driver, host: HostSettings, **more: Any) -> tuple[Instance, Console]:
    instance = await driver.create(spec(host, **more))
    console = await driver.attach(instance)
    await driver.start(instance)
    return instance, console


async def hear_out(console: Console) -> list[str]:
    """Every line until the container has ended."""
    lines: list[str] = []
    async with asyncio.timeout(60):
        while True:
            try:
                lines.append(await console.receive())
            except InstanceExited:
                return lines


def test_a_container_that_is_not_ours_is_counted_and_left_alone(
    host: HostSettings, api: docker.APIClient
) -> None:
    run(host, lambda driver: driver.prepare("tiny"))
    body = {"Image": reference("tiny"), "OpenStdin": True}
    foreign = api.create_container_from_config(body)["Id"]
    try:
        api.start(foreign)

        async def work(driver: Driver) -> int:
            instance, console = await bring_up(driver, host)
            console.close()
            found = await driver.leftovers(None)
            assert foreign not in {leftover.name for leftover in found}
            assert spec(host).name in {leftover.name for leftover in found}
            await driver.remove(instance)
            return int((await driver.facts())["foreign_instances"])

        assert run(host, work) >= 1
        assert api.inspect_container(foreign)["State"]["Running"] is True
    finally:
        api.remove_container(foreign, v=True, force=True)


def test_an_unknown_runtime_names_those_that_there_are(host: HostSettings) -> None:
    with pytest.raises(EngineError, match=r"no runtime 'kata'; it has: .*runc"):
        run(host, lambda driver: driver.facts(), runtime="kata")


def test_facts_name_the_runtime_used(host: HostSettings) -> None:
    facts = run(host, lambda driver: driver.facts(), runtime="runc")
    assert facts["runtime"] == "runc"
    assert facts["engine_id"]
    assert facts["storage_driver"]


def test_settings_and_limits_reach_the_engine(host: HostSettings, api: docker.APIClient) -> None:
    async def work(driver: Driver) -> dict[str, Any]:
        limits = Limits(cpus=0.5, memory_mib=64)
        instance, console = await bring_up(driver, host, limits=limits)
        agent = Agent(console, "nonce")
        await agent.beacon(60)
        seen = await agent.ask("inspect", deadline_s=60)
        assert (await agent.ask("disk", 1, deadline_s=60))["ok"] is True
        console.close()
        assert isinstance(instance, DockerInstance)
        return seen | await driver.engine(api.inspect_container, instance.container)

    hardened = {"read_only": True, "no_new_privileges": True, "drop_capabilities": True}
    record = run(host, work, **hardened, pids_limit=64, cpuset="0")
    config = record["HostConfig"]
    assert (config["Memory"], config["MemorySwap"]) == (64 * 1024 * 1024, 64 * 1024 * 1024)
    assert config["NanoCpus"] == 500_000_000
    assert (config["PidsLimit"], config["CpusetCpus"]) == (64, "0")
    assert int(record["cap_eff"], 16) == 0
    assert record["no_new_privs"] == 1
    assert record["cpus"] == 1


def test_output_and_errors_of_a_users_image_arrive_whole(
    host: HostSettings, image: Callable[[str], str]
) -> None:
    """Its own entrypoint runs, and not one of many lines is lost between start and end."""
    script = "echo bad >&2; i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; printf end"

    async def work(driver: Driver) -> list[str]:
        _, console = await bring_up(driver, host, image=image(script))
        lines = await hear_out(console)
        console.close()
        return lines

    lines = run(host, work)
    assert "bad" in lines
    lines.remove("bad")
    assert lines == [f"line {number}" for number in range(20_000)] + ["end"]


def test_a_slow_listener_loses_nothing(host: HostSettings, image: Callable[[str], str]) -> None:
    script = (
        "i=0; while [ $i -lt 60000 ]; do echo line $i of many that fill every buffer; i=$((i+1)); done"
    )

    async def work(driver: Driver) -> list[str]:
        _, console = await bring_up(driver, host, image=image(script))
        await asyncio.sleep(1)
        lines = await hear_out(console)
        console.close()
        return lines

    assert len(run(host, work)) == 60_000


def test_an_image_that_does_not_listen_to_sigterm_is_killed(
    host: HostSettings, image: Callable[[str], str]
) -> None:
    async def work(driver: Driver) -> None:
        instance, console = await bring_up(
            driver, host, image=image("trap : TERM; echo up; while :; do sleep 1; done")
        )
        assert await console.receive() == "up"
        death = await driver.watch_exit(instance)
        assert death is not None
        await driver.stop(instance, graceful=True)
        await asyncio.wait_for(death, 10)
        console.close()

    # The deadline of a call does not count the grace: the engine may take all of it.
    run(host.model_copy(update={"engine_deadline_s": 8.0}), work)


def test_removals_at_once_all_end_in_gone(host: HostSettings, api: docker.APIClient) -> None:
    async def work(driver: Driver) -> None:
        instance, console = await bring_up(driver, host)
        await asyncio.gather(*(driver.remove(instance) for _ in range(4)))
        console.close()
        assert await driver.leftovers(host.name) == []
        assert api.volumes(filters={"dangling": True})["Volumes"] in (None, [])

    run(host, work)


def test_calls_one_after_the_other_share_one_connection(
    host: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is timed must not wait for sockets, nor for the client library."""
    opened: list[str] = []
    plain = asyncio.open_unix_connection

    async def note(path: str, **more: Any) -> Any:
        opened.append(path)
        return await plain(path, **more)

    async def work(driver: Driver) -> None:
        monkeypatch.setattr("workers.engines.docker_http.asyncio.open_unix_connection", note)
        monkeypatch.setattr("docker.APIClient.send", None)
        for _ in range(3):
            instance = await driver.create(spec(host))
            await driver.start(instance)
            await driver.pid(instance)
            await driver.stop(instance, graceful=False)
            await driver.remove(instance)
            await driver.remains(instance)
        monkeypatch.undo()

    run(host, work)
    assert len(opened) == 1


def test_no_address_without_a_network(host: HostSettings) -> None:
    async def work(driver: Driver) -> None:
        instance, console = await bring_up(driver, host)
        console.close()
        with pytest.raises(EngineError, match="'network: bridge'"):
            await driver.address(instance)

    run(host, work)


def test_a_pull_that_fails_names_image_and_reason(host: HostSettings) -> None:
    async def work(driver: Driver) -> None:
        with pytest.raises(ImageError, match=r"127\.0\.0\.1:1/none.*could not be pulled: .*refused"):
            await driver.prepare("127.0.0.1:1/none:7")
        for name in ("-x", "a b", "", "x" * 600, "UPPER/case"):
            with pytest.raises(ImageError, match="is no "):
                await driver.prepare(name)

    run(host, work)


def test_a_dropped_image_is_missed_by_create(host: HostSettings) -> None:
    async def work(driver: Driver) -> None:
        await driver.drop_image("tiny")
        with pytest.raises(ImageError, match="tonnage/tiny"):
            await driver.create(spec(host))
        await asyncio.gather(*(driver.prepare("tiny") for _ in range(4)))
        await driver.remove(await driver.create(spec(host)))

    run(host, work)


def test_two_workers_import_tiny_once(host: HostSettings, api: docker.APIClient) -> None:
    async def work(driver: Driver) -> None:
        await driver.drop_image("tiny")
        other = Driver(DockerSettings(), host, owner(host))
        await other.open()
        await asyncio.gather(driver.prepare("tiny"), other.prepare("tiny"))
        await other.close()

    before = len(api.images(filters={"dangling": True}))
    run(host, work)
    assert len(api.images(filters={"dangling": True})) == before


def test_an_engine_that_stands_still_ends_in_a_timeout(
    host: HostSettings, docker_engine: DockerEngine
) -> None:
    pid = own_pid(docker_engine)

    async def work(patient: Driver) -> None:
        hasty = host.model_copy(update={"engine_deadline_s": 2.0})
        driver = Driver(DockerSettings(), hasty, owner(host))
        await driver.open()
        instance = await driver.create(spec(host))
        os.kill(pid, signal.SIGSTOP)
        try:
            for call in (
                driver.start(instance),
                driver.create(spec(host)),
                driver.pid(instance),
                driver.remains(instance),
                driver.leftovers(None),
                driver.attach(instance),
                driver.stop(instance, graceful=False),
                driver.remove(instance),
            ):
                with pytest.raises(EngineTimeout, match="docker did not"):
                    await call
        finally:
            os.kill(pid, signal.SIGCONT)
            await driver.close()
        await patient.remove(instance)

    run(host, work)


# The client library drops its socket when it cannot connect, and leaves closing it to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(300)
def test_an_engine_that_is_killed_ends_every_call_in_our_errors(host_settings: HostSettings) -> None:
    try:
        with engines.dockerd() as engine:
            assert engine.pid is not None
            host = host_settings.model_copy(update={"docker_socket": engine.socket})
            asyncio.run(outlive(host, engine.pid))
            for thread in threading.enumerate():
                if thread.name.startswith("docker-"):
                    thread.join(10)
            gc.collect()
    except engines.Absent as absence:
        pytest.skip(str(absence))


async def outlive(host: HostSettings, engine_pid: int) -> None:
    driver = Driver(DockerSettings(), host, owner(host))
    await driver.open()
    await driver.prepare("tiny")
    instance, console = await bring_up(driver, host)
    await Agent(console, "nonce").beacon(60)
    # The agent would end when asked to, so it is held: the call is under way when the engine dies.
    container_pid = await driver.pid(instance)
    assert container_pid is not None
    os.kill(container_pid, signal.SIGSTOP)
    under_way = asyncio.create_task(driver.stop(instance, graceful=True))
    await asyncio.sleep(1)
    death = watch_process(engine_pid)
    os.kill(engine_pid, signal.SIGKILL)
    with pytest.raises(EngineError, match="docker"):
        await under_way
    await asyncio.wait_for(death, 30)  # a dying engine's socket still takes calls, and drops them
    with pytest.raises(InstanceExited):
        await console.receive()
    console.close()
    for call in (
        driver.start(instance),
        driver.create(spec(host)),
        driver.facts(),
        driver.attach(instance),
        driver.remove(instance),
        driver.remains(instance),
        driver.leftovers(None),
        driver.prepare("tiny"),
    ):
        with pytest.raises(EngineError, match="docker: no engine listens"):
            await call
    await driver.close()


def own_pid(engine: DockerEngine) -> int:
    if engine.pid is None:
        pytest.skip("the engine is not ours to stop")
    return engine.pid


def test_docker_is_never_taken_for_podman(host: HostSettings) -> None:
    async def whole(driver: podman.Driver) -> None:
        try:
            await driver.open()
        finally:
            await driver.close()

    wrong = host.model_copy(update={"podman_socket": host.docker_socket})
    with pytest.raises(
        EngineAbsent, match=r"podman: at .* it is docker that answers: use driver 'docker'"
    ):
        asyncio.run(whole(podman.Driver(PodmanSettings(), wrong, owner(host))))
