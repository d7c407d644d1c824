"""Every fault that a fleet must survive, caused on real workers; ``docs/reliability.md`` lists them."""

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from engines import DockerEngine, dockerd, session
from fleet import alive, own_broker, wait_until
from real_fleet import BLOCKS, DRIVER, INSTANCES, LONG_S, Engines, RealFleet, real_fleet

from contract import wire
from contract.campaign import load_campaign
from orchestrator import dispatch_celery
from orchestrator.cli.execution import Execution
from orchestrator.dispatch import Order
from orchestrator.dispatch_celery import CeleryDispatcher
from orchestrator.plan import plan_cells
from workers.discover import build_catalog

pytestmark = [pytest.mark.long(minutes=5), pytest.mark.redis, pytest.mark.timeout(600)]

HOSTS = ("r1", "r2", "r3")


@pytest.fixture
def fleet(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RealFleet]:
    engines = Engines()
    if DRIVER == "docker":
        engines = Engines(request.getfixturevalue("docker_engine").socket)
    with own_broker() as broker, real_fleet(tmp_path, broker, dict.fromkeys(HOSTS, engines)) as made:
        yield made


def busy(fleet: RealFleet, host: str) -> bool:
    return bool(fleet.broker.client().exists(wire.activity_key(host)))


def wait_until_busy(fleet: RealFleet, host: str) -> None:
    wait_until(lambda: busy(fleet, host), f"{host} measures")


def test_a_worker_that_is_killed_in_the_middle_of_a_trial(fleet: RealFleet) -> None:
    coordinator = fleet.run()
    fleet.wait_for_parts(3)
    wait_until_busy(fleet, "r2")
    fleet.hosts["r2"].kill()
    fleet.hosts["r2"].start()
    fleet.finish(coordinator)
    trials = fleet.is_exact()
    assert {t["attempt"] for t in trials if t["host"] == "r2"} <= {1, 2}
    fleet.others_are_undisturbed("r2")
    fleet.measured_once()
    fleet.nothing_is_left()


def test_a_child_that_the_kernel_kills_for_memory(fleet: RealFleet) -> None:
    """The OOM killer sends SIGKILL to the one process: nothing tells it from this."""
    coordinator = fleet.run()
    fleet.wait_for_parts(3)
    wait_until_busy(fleet, "r1")
    fleet.hosts["r1"].pool_child().kill()
    fleet.finish(coordinator)
    fleet.is_exact()
    fleet.others_are_undisturbed("r1")
    fleet.measured_once()
    fleet.nothing_is_left()


def test_a_broker_that_dies_and_comes_back_empty(fleet: RealFleet) -> None:
    coordinator = fleet.run()
    fleet.wait_for_parts(3)
    fleet.broker.kill()
    time.sleep(1)
    fleet.broker.start()
    fleet.finish(coordinator)
    fleet.is_exact()
    fleet.measured_once()
    fleet.nothing_is_left()


def test_a_coordinator_that_is_killed_and_run_again(fleet: RealFleet) -> None:
    coordinator = fleet.run()
    fleet.wait_for_parts(3)
    coordinator.send(signal.SIGKILL)
    coordinator.wait()
    fleet.finish(fleet.run())
    fleet.is_exact()
    fleet.others_are_undisturbed()
    fleet.measured_once()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_coordinator_that_is_asked_to_stop(fleet: RealFleet, number: signal.Signals) -> None:
    coordinator = fleet.run()
    fleet.wait_for_parts(3)
    coordinator.send(number)
    said = fleet.finish(coordinator, 5)
    assert "run the same command again for the rest" in said
    fleet.finish(fleet.run())
    fleet.is_exact()
    fleet.others_are_undisturbed()
    fleet.measured_once()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_asked_to_stop_finishes_its_trial(
    fleet: RealFleet, number: signal.Signals
) -> None:
    coordinator = fleet.run()
    fleet.wait_for_parts(3)
    wait_until_busy(fleet, "r3")
    worker = fleet.hosts["r3"].worker
    assert worker is not None
    os.kill(worker.pid, number)
    assert worker.wait() == 0, worker.said()
    fleet.hosts["r3"].start()
    fleet.finish(coordinator)
    fleet.is_exact()
    fleet.others_are_undisturbed()
    fleet.measured_once()
    fleet.nothing_is_left()


def test_a_host_that_is_cut_off_for_a_while(fleet: RealFleet) -> None:
    coordinator = fleet.run()
    fleet.wait_for_parts(3)
    wait_until_busy(fleet, "r2")
    fleet.hosts["r2"].link.cut()
    time.sleep(20)
    fleet.hosts["r2"].link.join()
    said = fleet.finish(coordinator)
    assert "host r2 has no heartbeat; waiting 60 s for it" in said
    fleet.is_exact()
    fleet.others_are_undisturbed("r2")
    fleet.measured_once()
    fleet.nothing_is_left()


def test_a_host_that_is_cut_off_for_ever(fleet: RealFleet) -> None:
    fleet.patience_s = 5
    coordinator = fleet.run()
    fleet.wait_for_parts(3)
    fleet.hosts["r2"].link.cut()
    said = fleet.finish(coordinator, 3)
    assert "host r2 is given up" in said
    ended = Counter((t["host"], t["outcome"]) for t in fleet.rows("trials"))
    lost = ended["r2", "lost"]
    assert 0 < lost <= BLOCKS
    fleet.is_exact({"completed": fleet.planned - lost, "lost": lost})
    fleet.others_are_undisturbed("r2")
    fleet.hosts["r2"].link.join()
    wait_until(fleet.hosts["r2"].is_alive, "r2 is back")
    fleet.finish(fleet.run())
    fleet.is_exact()
    fleet.measured_once()
    fleet.nothing_is_left()


def test_parts_that_are_damaged_come_again_from_the_spool(fleet: RealFleet) -> None:
    fleet.finish(fleet.run())
    paths = sorted((fleet.results / "parts").glob("*.part"))[:3]
    whole = [path.read_bytes() for path in paths]
    truncated, corrupted, removed = paths
    truncated.write_bytes(whole[0][:-50])
    corrupted.write_bytes(whole[1][:100] + b"?" + whole[1][101:])
    removed.unlink()
    said = fleet.finish(fleet.run(), 3)
    assert "its part was damaged and set aside" in said
    aside = {path.name for path in (fleet.results / "damaged").iterdir()}
    assert aside == {truncated.name, corrupted.name}
    fleet.finish(fleet.run())
    assert [path.read_bytes() for path in paths] == whole
    fleet.is_exact()
    fleet.measured_once()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds 100 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=100k", "tiny"]
    made = shutil.which("mount") and os.geteuid() == 0
    if not made or subprocess.run(["mount", *options, folder], timeout=10).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("no small disk: mounting one takes root")
        pytest.skip("no small disk: mounting one takes root")
    yield folder
    subprocess.run(["umount", "-l", folder], timeout=10, check=True)


def test_results_on_a_disk_that_is_full(fleet: RealFleet, tiny_disk: Path) -> None:
    whole, fleet.results = fleet.results, tiny_disk / "results"
    said = fleet.finish(fleet.run(), 1)
    assert "a part cannot be written: No space left on device" in said
    assert "Traceback" not in said
    fleet.results = whole
    fleet.finish(fleet.run())
    fleet.is_exact()
    fleet.measured_once()


def test_a_spool_on_a_disk_that_is_full(fleet: RealFleet, tiny_disk: Path) -> None:
    host = fleet.hosts["r1"]
    spool = host.state / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    spool.symlink_to(tiny_disk)
    (tiny_disk / "full").write_bytes(b"x" * 4096 * 24)
    fleet.finish(fleet.run())
    fleet.is_exact()
    fleet.others_are_undisturbed()
    assert host.worker is not None
    assert "No space left on device; the part is delivered without it" in host.worker.said()


def test_a_host_that_fails_every_trial(fleet: RealFleet) -> None:
    if DRIVER == "docker":
        pytest.skip("the hosts share an engine: it cannot fail on one of them")
    folder = fleet.hosts["r3"].state / "process"
    folder.rmdir()
    folder.write_text("a file where the work folders should be")
    said = fleet.finish(fleet.run(), 3)
    trials = fleet.rows("trials")
    ended = Counter(t["outcome"] for t in trials if t["host"] == "r3")
    assert ended["failed"] + ended["skipped"] == BLOCKS
    assert ended["failed"] >= min(5, BLOCKS)
    if BLOCKS > 6:
        assert "host r3 is in quarantine: 5 trials in a row failed" in said
    fleet.others_are_undisturbed("r3")
    assert f"{ended['failed']} × process: process: state_dir cannot be used" in said
    assert len(trials) == BLOCKS * len(HOSTS)


@pytest.mark.docker
def test_an_engine_that_is_killed_in_the_middle_of_a_trial(
    tmp_path: Path, docker_engine: DockerEngine
) -> None:
    """Containers on all hosts; the second one has an engine of its own, which dies and stays away."""
    with ExitStack() as stack:
        victim = next(own := session("docker", dockerd))
        stack.callback(own.close)
        broker = stack.enter_context(own_broker())
        engines = dict.fromkeys(HOSTS, Engines(docker_engine.socket))
        engines["r2"] = Engines(victim.socket)
        fleet = stack.enter_context(real_fleet(tmp_path, broker, engines))
        fleet.ask_for("docker")
        coordinator = fleet.run()
        wait_until(lambda: any(fleet.hosts["r2"].spooled()), "r2 has measured something", LONG_S)
        wait_until_busy(fleet, "r2")
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        said = fleet.finish(coordinator, 3)
        ended = Counter(t["outcome"] for t in fleet.rows("trials") if t["host"] == "r2")
        assert ended["completed"] >= 1
        assert ended["failed"] + ended["partial"] >= 1
        assert ended.total() == BLOCKS
        assert "docker" in said
        assert len(fleet.rows("instances")) == fleet.planned * INSTANCES
        fleet.others_are_undisturbed("r2")
        fleet.measured_once()
        for name in ("r1", "r3"):
            assert fleet.hosts[name].leftovers() == "nothing"


def test_every_message_comes_twice(fleet: RealFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The coordinator runs in this process, with a dispatcher that sends all that it sends again."""
    sent: list[Order] = []

    class Doubling(CeleryDispatcher):
        def send(self, order: Order) -> None:
            sent.append(order)
            super().send(order)
            super().send(order)

    monkeypatch.setattr(dispatch_celery, "CeleryDispatcher", Doubling)
    campaign, source = load_campaign(fleet.file)
    Execution(
        campaign=campaign,
        text=fleet.file.read_text(),
        cells=plan_cells(campaign, source, build_catalog()),
        folder=fleet.results,
        rerun="",
        reported=False,
    ).run_on_fleet(fleet.broker.url)
    assert len(sent) == fleet.planned
    fleet.is_exact()
    fleet.others_are_undisturbed()
    fleet.measured_once()
    fleet.nothing_is_left()


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """A library that shifts the wall clock of whoever loads it first."""
    compiler, library = shutil.which("cc") or shutil.which("gcc"), tmp_path / "shifted_clock.so"
    if compiler is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no C compiler")
        pytest.skip("no C compiler")
    source = Path(__file__).parents[1] / "shifted_clock.c"
    command = [compiler, "-shared", "-fPIC", "-O2", source, "-o", library, "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return library


def test_a_clock_that_is_set_back(fleet: RealFleet, clock: Path, tmp_path: Path) -> None:
    host, shift = fleet.hosts["r2"], tmp_path / "shift"
    shift.write_text("0")
    host.kill()
    wait_until(lambda: "r2" not in alive(fleet.broker.url), "r2 has gone")
    host.env = {"LD_PRELOAD": str(clock), "SHIFTED_CLOCK": str(shift)}
    host.start()
    wait_until(host.is_alive, "r2 is back")
    coordinator = fleet.run()
    fleet.wait_for_parts(3)
    wait_until_busy(fleet, "r2")
    shift.write_text("-3600")
    fleet.finish(coordinator)
    trials = [trial for trial in fleet.is_exact() if trial["host"] == "r2"]
    fleet.others_are_undisturbed()
    fleet.measured_once()
    jumped = [t for t in trials if any("the wall clock jumped" in reason for reason in t["reasons"])]
    assert len(jumped) <= 1  # none when it was set between two measured sections
    assert all(trial["verdict"] == "invalid" for trial in jumped)
    assert all(0 < trial["duration_ns"] < 60e9 for trial in trials)
    offsets = sorted(round(trial["clock_offset_ns"] / 1e9) for trial in trials)
    assert (offsets[0], offsets[-1]) == (0, 3600)
