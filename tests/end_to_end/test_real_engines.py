"""The main job on real engines, small: every kind of instance, and each thing that goes wrong."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import engines
import pytest
from campaigns import left, run, write_campaign
from engines import DockerEngine, session

from workers.settings import HostSettings

LIMITS = {"cpus": 1, "memory_mib": 128}


@pytest.fixture
def here(host_settings: HostSettings, shared_state_dir: Path) -> list[str]:
    """Options of a host of this test's own, whose images are built once for all tests."""
    return [
        "--state-dir",
        str(shared_state_dir),
        "--run-dir",
        str(host_settings.run_dir),
    ]


@pytest.fixture
def docker(docker_engine: DockerEngine) -> list[str]:
    return ["--docker-socket", str(docker_engine.socket)]


@pytest.fixture
def own_docker() -> Iterator[DockerEngine]:
    """An engine that nobody else uses, so that a test may do to it what it likes."""
    yield from session("docker", engines.dockerd)


@pytest.mark.docker
@pytest.mark.libvirt
@pytest.mark.timeout(300)
def test_process_container_and_machine_in_one_campaign(
    tmp_path: Path, here: list[str], docker: list[str], libvirt_engine: str
) -> None:
    where = [*here, *docker, "--libvirt-uri", libvirt_engine]
    campaign = write_campaign(tmp_path, "trio", ["process", "docker", "libvirt"], limits=LIMITS)
    ran = run(campaign, "--local", "--name", "e2e-trio", *where, reported=True)

    assert ran.code == 0, ran.said
    assert ran.last_line.startswith("report: ")
    trials = ran.trials()
    assert {(t["driver"], t["outcome"]) for t in trials} == {
        ("process", "completed"),
        ("docker", "completed"),
        ("libvirt", "completed"),
    }
    rows = ran.instances()
    assert len(rows) == 6
    for row in rows:
        assert row["outcome"] == "ok", row
        up = [row[f"t_{step}"] for step in ("intent", "call", "created", "started", "beacon", "ready")]
        down = [row[f"t_{step}"] for step in ("stop_call", "gone", "reclaimed")]
        assert None not in up + down
        assert up == sorted(up)
        assert down == sorted(down)
        assert row["t_exited"] is not None
    machines = [t["trial_id"] for t in trials if t["driver"] == "libvirt"]
    assert all((r["guest_uptime_ns"] is not None) == (r["trial_id"] in machines) for r in rows)
    assert left("e2e-trio", *where) == "0 leftovers"


@pytest.mark.docker
def test_an_image_that_does_not_exist(tmp_path: Path, here: list[str], docker: list[str]) -> None:
    campaign = write_campaign(tmp_path, "no-image", ["docker"], image="tonnage-test/none:1")
    ran = run(campaign, "--local", "--name", "e2e-image", *here, *docker)

    assert ran.code == 3, ran.said
    (trial,) = ran.trials()
    assert (trial["outcome"], trial["error_class"]) == ("failed", "image")
    assert "tonnage-test/none:1" in trial["error_text"]
    assert [row["outcome"] for row in ran.instances()] == ["skipped", "skipped"]
    assert left("e2e-image", *here, *docker) == "0 leftovers"


def test_a_driver_that_is_absent(tmp_path: Path, here: list[str]) -> None:
    absent = ["--docker-socket", str(tmp_path / "nobody.sock")]
    campaign = write_campaign(tmp_path, "no-docker", ["docker", "process"])
    ran = run(campaign, "--local", "--name", "e2e-absent", *here, *absent)

    assert ran.code == 3, ran.said
    assert "nobody.sock" in ran.said
    outcomes = {trial["driver"]: trial["outcome"] for trial in ran.trials()}
    assert outcomes == {"docker": "skipped", "process": "completed"}


@pytest.mark.libvirt
def test_a_kernel_that_is_missing(tmp_path: Path, here: list[str], libvirt_engine: str) -> None:
    campaign = write_campaign(tmp_path, "no-kernel", ["libvirt"])
    where = [*here, "--libvirt-uri", libvirt_engine, "--kernel", str(tmp_path / "vmlinuz-none")]
    ran = run(campaign, "--local", "--name", "e2e-kernel", *where)

    assert ran.code == 3, ran.said
    assert "vmlinuz-none" in ran.said
    assert left("e2e-kernel", *here, "--libvirt-uri", libvirt_engine) == "0 leftovers"


def test_an_agent_that_never_speaks(tmp_path: Path, here: list[str]) -> None:
    silent = {"instances": 2, "ready_deadline_s": 1}
    campaign = write_campaign(tmp_path, "silent", ["process"], image="/bin/cat", params=silent)
    ran = run(campaign, "--local", "--name", "e2e-silent", *here)

    assert ran.code == 3, ran.said
    assert {(r["outcome"], r["error_class"]) for r in ran.instances()} == {("timeout", "agent_silent")}
    assert left("e2e-silent", *here) == "0 leftovers"


@pytest.mark.docker
@pytest.mark.timeout(200)
def test_an_engine_that_hangs(tmp_path: Path, here: list[str], own_docker: DockerEngine) -> None:
    """SIGSTOP leaves dockerd there but deaf: the deadline must end the wait, and say so."""
    assert own_docker.pid is not None
    socket = ["--docker-socket", str(own_docker.socket)]
    params = {"instances": 1, "ready_deadline_s": 5}
    campaign = write_campaign(tmp_path, "deaf", ["docker"], params=params)
    os.kill(own_docker.pid, signal.SIGSTOP)
    try:
        ran = run(campaign, "--local", "--name", "e2e-deaf", "--engine-deadline", "6", *here, *socket)
    finally:
        os.kill(own_docker.pid, signal.SIGCONT)

    assert ran.code == 3, ran.said
    assert "did not answer" in ran.said
    (trial,) = ran.trials()
    assert trial["outcome"] in ("failed", "skipped")
    assert left("e2e-deaf", *here, *socket) == "0 leftovers"
