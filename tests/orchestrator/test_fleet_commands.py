"""hosts, status, watch, cancel and late hosts, on a broker of our own with simulated workers."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import command
import pytest
from fleet import Broker, Process, alive, own_broker, running, wait_until

from contract import wire
from contract.parts import list_parts
from orchestrator.fleet import quarantine_host

pytestmark = [
    pytest.mark.long(minutes=4),
    pytest.mark.xdist_group("hosts h1, h2, h3"),
    pytest.mark.redis,
    pytest.mark.timeout(200),
]

SLOW = """\
campaign: slow
hosts: {hosts}
blocks: 40
experiments:
  - experiment: lifecycle
    drivers: [process]
    params: {{instances: 3, ready: started, hold_s: 0.3}}
"""
QUICK = """\
campaign: quick
hosts: {hosts}
blocks: 5
experiments:
  - experiment: lifecycle
    drivers: [simulated]
    params: {{instances: 3}}
"""


class Bed:
    """A broker, a folder, and commands that know both."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder, self.broker = folder, broker
        self.results = folder / "results"

    def call(self, *words: str) -> tuple[int, str]:
        done = command.tonnage(*words, "--broker", self.broker.url, cwd=self.folder)
        return done.returncode, done.stderr + done.stdout

    def run(self, text: str, *options: str) -> Process:
        file = self.folder / "c.yaml"
        file.write_text(text)
        where = ("--broker", self.broker.url, "--results", str(self.results))
        return Process(self.folder / "run.log", "run", str(file), "--no-report", *where, *options)

    def worker(self, *options: str) -> Process:
        return Process(self.folder / "worker.log", "worker", "--broker", self.broker.url, *options)

    def simulate(self, count: int) -> Process:
        state = str(self.folder / "sim")
        process = self.worker("--simulate", str(count), "--state-dir", state)
        wait_until(lambda: len(alive(self.broker.url)) >= count, "simulated hosts are alive")
        return process


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with own_broker() as broker:
        yield Bed(tmp_path, broker)


@pytest.fixture
def real(bed: Bed) -> Iterator[Process]:
    """A worker of one real host that has bare processes only."""
    folders = ["--state-dir", str(bed.folder / "state"), "--run-dir", str(bed.folder / "run")]
    none = ["--docker-socket", "/nowhere/docker.sock", "--libvirt-uri", "qemu:///system?socket=/nowhere"]
    options = ["worker", "--broker", bed.broker.url, "--name", "h1", *folders, *none]
    with running(bed.folder / "worker.log", *options) as worker:
        wait_until(lambda: alive(bed.broker.url) == {"h1"} or not worker.running, "the host is alive")
        assert worker.running, worker.said()
        yield worker


@pytest.mark.parametrize("how", [[], ["--now"]])
def test_a_campaign_is_cancelled_from_beside_it(bed: Bed, real: Process, how: list[str]) -> None:
    coordinator = bed.run(SLOW.format(hosts="all"))
    wait_until(lambda: len(list_parts(bed.results / "parts")) >= 1, "a part has come in")
    code, said = bed.call("cancel", "slow", *how)
    assert code == 0, said
    assert "running trials are ended" in said if how else "running trials are finished" in said
    assert coordinator.wait() == 5, coordinator.said()
    assert "cancelled: " in coordinator.said()
    client = bed.broker.client()
    wait_until(lambda: not client.exists(wire.activity_key("h1")), "the host is idle")
    assert real.running
    code, said = bed.call("cancel", "slow")
    assert (code, "no coordinator runs campaign 'slow'" in said) == (1, True)


def test_two_coordinators_of_one_name_do_not_mix(bed: Bed, real: Process) -> None:
    assert real.running
    first = bed.run(SLOW.format(hosts="all"))
    try:
        wait_until(lambda: len(list_parts(bed.results / "parts")) >= 1, "a part has come in")
        file, other = str(bed.folder / "c.yaml"), str(bed.folder / "other")
        code, said = bed.call("run", file, "--results", other)
        assert code == 1
        assert "another coordinator runs campaign 'slow' on this broker" in said
        code, said = bed.call("status", str(bed.results), "--json")
        at_work = json.loads(said)["coordinator"]
        assert (at_work["machine"], at_work["alive"]) == (socket.gethostname(), True)
    finally:
        first.send(signal.SIGINT)
        assert first.wait() == 5
    code, said = bed.call("status", str(bed.results))
    assert "no coordinator is at work" in said


def test_status_and_watch_tell_what_the_files_hold(bed: Bed) -> None:
    worker = bed.simulate(3)
    try:
        assert bed.run(QUICK.format(hosts="all"), "--only", "host=sim-0002").wait() == 0
        code, said = bed.call("status", str(bed.results))
        assert code == 0
        assert said.startswith("quick: 5 of 15 trials measured; 5 completed; verdicts: 5 valid")
        assert "sim-0001  idle" in said
        code, said = bed.call("status", str(bed.results), "--json")
        standing = json.loads(said)
        assert (standing["left"], standing["hosts"]["sim-0002"]["left"]) == (10, 0)
        assert standing["states"] == {"sim-0001": "idle", "sim-0002": "idle", "sim-0003": "idle"}
        assert bed.run(QUICK.format(hosts="all")).wait() == 0
        code, said = bed.call("watch", str(bed.results))
        assert (code, said) == (0, "quick: 15 of 15 trials measured; 15 completed; verdicts: 15 valid\n")
    finally:
        worker.kill()


def test_a_late_host_joins_a_campaign_that_runs(bed: Bed, real: Process) -> None:
    assert real.running
    text = SLOW.format(hosts="all").replace("[process]", "[process, simulated]")
    coordinator = bed.run(text)
    wait_until(lambda: len(list_parts(bed.results / "parts")) >= 1, "a part has come in")
    worker = bed.simulate(2)
    try:
        wait_until(lambda: "joined: sim-000" in coordinator.said(), "the late ones are seen")

        def measured() -> int:
            hosts = json.loads(bed.call("status", str(bed.results), "--json")[1])["hosts"]
            late = [hosts[name] for name in ("sim-0001", "sim-0002") if name in hosts]
            return sum(host["outcomes"].get("completed", 0) for host in late)

        wait_until(lambda: measured() > 0, "a late host has measured")
        coordinator.send(signal.SIGINT)
        assert coordinator.wait() == 5
    finally:
        coordinator.kill()
        worker.kill()


def test_a_quarantined_host_is_shown_left_out_and_released(bed: Bed) -> None:
    worker = bed.simulate(2)
    try:
        quarantine_host(bed.broker.client(), "sim-0002", "its engine is broken")
        said = bed.call("hosts")[1]
        assert "sim-0002  quarantined" in said
        assert "sim-0002 is in quarantine: its engine is broken" in said
        coordinator = bed.run(QUICK.format(hosts="all"))
        assert coordinator.wait() == 3
        assert (
            "5 × simulated: host 'sim-0002' is in quarantine: its engine is broken" in coordinator.said()
        )
        assert bed.call("hosts", "--release", "sim-0002")[0] == 0
        assert bed.run(QUICK.format(hosts="all")).wait() == 0
        code, said = bed.call("hosts", "--release", "sim-0002")
        assert (code, "host 'sim-0002' is not in quarantine" in said) == (1, True)
    finally:
        worker.kill()


def test_a_fleet_is_swept_by_its_workers(bed: Bed, real: Process) -> None:
    assert real.running
    folder = bed.folder / "state" / "process" / "tonnage-left-behind"
    folder.mkdir(parents=True)
    code, said = bed.call("sweep", "--fleet", "--dry-run")
    assert code == 0, said
    assert "process    folder     tonnage-left-behind  (host h1)" in said
    assert said.endswith("1 leftover on 1 host\n")
    assert folder.exists()
    code, said = bed.call("sweep", "--fleet", "--host", "h1", "--json")
    assert json.loads(said)["hosts"]["h1"]["found"][0]["name"] == "tonnage-left-behind"
    assert not folder.exists()
    assert bed.call("sweep", "--fleet")[1] == "0 leftovers on 1 host\n"
    code, said = bed.call("sweep", "--fleet", "--host", "h9")
    assert (code, "no host 'h9' is alive" in said) == (1, True)


@pytest.mark.parametrize("text", ["host", "colour=red", "host=", "=h1"])
def test_only_says_what_it_takes(bed: Bed, text: str) -> None:
    coordinator = bed.run(QUICK.format(hosts="all"), "--only", text)
    assert coordinator.wait() == 1
    assert (
        f"--only: found '{text}'; allowed: KEY=VALUE with one of experiment, driver"
        in coordinator.said()
    )
