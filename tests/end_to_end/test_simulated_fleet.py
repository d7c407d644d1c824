"""Twenty simulated hosts on a real broker, and what becomes of a campaign when parts of it die."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from fleet import Broker, Process, alive, own_broker, running, wait_until

from contract.parts import list_parts

pytestmark = [
    pytest.mark.long(minutes=4),
    pytest.mark.xdist_group("hosts h1, h2, h3"),
    pytest.mark.redis,
    pytest.mark.timeout(240),
]

HOSTS = 20
TRIALS_PER_HOST = 8
INSTANCES = 10

ENTRY = {
    "experiment": "lifecycle",
    "drivers": ["steady", "quick"],
    "params": {"instances": INSTANCES, "concurrency": [1, 4]},
}
CAMPAIGN = {
    "campaign": "fleet",
    "blocks": 2,
    "profiles": {
        "steady": {"driver": "simulated", "host_sigma": 0.1, "failure_share": 0.05},
        "quick": {"driver": "simulated", "start_ms": 3.0, "silent_share": 0.02},
    },
    "experiments": [ENTRY],
}
NO_ENGINES = [
    "--docker-socket",
    "/nowhere/docker.sock",
    "--libvirt-uri",
    "qemu:///system?socket=/nowhere",
]


class Campaign:
    """One campaign's file, results and coordinators."""

    def __init__(self, folder: Path, broker: str, **changes: Any) -> None:
        self.file = folder / "fleet.yaml"
        self.file.write_text(yaml.safe_dump(CAMPAIGN | changes))
        self.results = folder / "results"
        self._log = folder / "coordinator.log"
        self._options = [
            "--broker",
            broker,
            "--results",
            str(self.results),
            "--patience",
            "60",
            "--no-report",
        ]

    def coordinator(self) -> Process:
        return Process(self._log, "run", str(self.file), *self._options)

    def run_to_its_end(self) -> None:
        finish(self.coordinator())

    def parts(self) -> dict[str, tuple[int, ...]]:
        return list_parts(self.results / "parts")

    def wait_for_parts(self, count: int) -> None:
        wait_until(lambda: len(self.parts()) >= count, f"{count} parts have come in")

    def rows(self, table: str, results: Path | None = None) -> list[dict[str, Any]]:
        files = f"{results or self.results}/dataset/{table}/**/*.parquet"
        found: list[dict[str, Any]] = duckdb.sql(f"select * from '{files}'").to_arrow_table().to_pylist()
        return found

    def is_complete(self, planned: int = HOSTS * TRIALS_PER_HOST) -> None:
        """Every planned trial is one record, every planned instance one row."""
        trials, instances = self.rows("trials"), self.rows("instances")
        assert Counter(trial["outcome"] for trial in trials) == {"completed": planned}
        assert len({trial["trial_id"] for trial in trials}) == planned
        expected = {(trial["trial_id"], index) for trial in trials for index in range(INSTANCES)}
        assert Counter((row["trial_id"], row["instance"]) for row in instances) == dict.fromkeys(
            expected, 1
        )
        attempts = {trial["trial_id"]: trial["attempt"] for trial in trials}
        assert all(row["attempt"] == attempts[row["trial_id"]] for row in instances)


def finish(coordinator: Process, at_last: str = "dataset: ") -> None:
    try:
        assert coordinator.wait(150) == 0, coordinator.said()[-3000:]
        assert at_last in coordinator.said().splitlines()[-1]
    finally:
        coordinator.kill()


def simulate(folder: Path, broker: Broker) -> Process:
    """A worker that stands for all hosts; returns once they are alive."""
    options = ["--broker", broker.url, "--simulate", str(HOSTS), "--state-dir", str(folder / "state")]
    worker = Process(folder / "worker.log", "worker", *options)
    wait_until(lambda: len(alive(broker.url)) == HOSTS or not worker.running, "all hosts are alive")
    assert worker.running, worker.said()
    return worker


@pytest.fixture
def broker() -> Iterator[Broker]:
    with own_broker() as made:
        yield made


@pytest.fixture
def campaign(tmp_path: Path, broker: Broker) -> Campaign:
    return Campaign(tmp_path, broker.url)


@pytest.fixture
def worker(tmp_path: Path, broker: Broker) -> Iterator[Process]:
    process = simulate(tmp_path, broker)
    yield process
    process.kill()


@pytest.mark.usefixtures("worker")
def test_a_fleet_measures_what_one_host_would(
    campaign: Campaign, tmp_path: Path, broker: Broker
) -> None:
    campaign.run_to_its_end()
    campaign.is_complete()
    assert {row["outcome"] for row in campaign.rows("instances")} == {"ok", "failed", "timeout"}
    client = broker.client()
    assert client.xlen("tonnage:parts:fleet") == 0  # every record was confirmed
    assert client.keys("tonnage:lease:*") == []

    alone = tmp_path / "alone"
    options = ["--local", "--name", "sim-0003", "--state-dir", str(tmp_path / "alone-state")]
    finish(
        Process(tmp_path / "alone.log", "run", str(campaign.file), "--results", str(alone), *options),
        "report: ",
    )
    of_host = [{**row, "host": ""} for row in campaign.rows("instances") if row["host"] == "sim-0003"]
    here = [{**row, "host": ""} for row in campaign.rows("instances", alone)]
    assert len(here) == TRIALS_PER_HOST * INSTANCES

    def key(row: dict[str, Any]) -> tuple[str, int]:
        return row["trial_id"], row["instance"]

    assert sorted(here, key=key) == sorted(of_host, key=key)


def test_a_worker_that_is_killed_costs_its_running_trial_at_most(
    campaign: Campaign, tmp_path: Path, broker: Broker, worker: Process
) -> None:
    coordinator = campaign.coordinator()
    campaign.wait_for_parts(30)
    worker.kill()
    there = len(campaign.parts())
    assert there < HOSTS * TRIALS_PER_HOST
    again = simulate(tmp_path, broker)
    try:
        finish(coordinator)
    finally:
        again.kill()
    campaign.is_complete()
    attempts = Counter(attempts for attempts in campaign.parts().values())
    assert set(attempts) <= {(1,), (2,)}
    assert attempts[2,] <= 1  # one process runs one trial at a time, whatever it stands for


@pytest.mark.usefixtures("worker")
def test_a_broker_that_comes_back_empty_costs_its_messages_at_most(
    campaign: Campaign, broker: Broker
) -> None:
    coordinator = campaign.coordinator()
    campaign.wait_for_parts(30)
    broker.kill()
    there = len(campaign.parts())
    assert there < HOSTS * TRIALS_PER_HOST
    time.sleep(1.0)  # long enough for everybody to notice
    broker.start()
    finish(coordinator)
    campaign.is_complete()


@pytest.fixture
def spooling_worker(tmp_path: Path, broker: Broker) -> Iterator[Path]:
    """A worker of one real host, with a spool; gives its state folder."""
    state = tmp_path / "state"
    options = ["--broker", broker.url, "--name", "h1", "--state-dir", str(state), *NO_ENGINES]
    with running(
        tmp_path / "worker.log", "worker", "--run-dir", str(tmp_path / "run"), *options
    ) as worker:
        wait_until(lambda: alive(broker.url) == {"h1"} or not worker.running, "the host is alive")
        assert worker.running, worker.said()
        yield state


def test_a_coordinator_that_is_killed_lets_nothing_be_measured_twice(
    tmp_path: Path, broker: Broker, spooling_worker: Path
) -> None:
    campaign, planned = Campaign(tmp_path, broker.url, blocks=15), 15 * 4
    coordinator = campaign.coordinator()
    try:
        campaign.wait_for_parts(2)
    finally:
        coordinator.send(signal.SIGKILL)
        coordinator.wait()
    assert len(campaign.parts()) < planned
    campaign.run_to_its_end()
    campaign.is_complete(planned)
    spooled = {path.name: path.read_bytes() for path in spooling_worker.glob("spool/*/*.part")}
    gathered = {path.name: path.read_bytes() for path in (campaign.results / "parts").glob("*.part")}
    # A trial measured again would have left another part, or another time in this one.
    assert spooled == gathered
    assert len(gathered) == planned


def test_a_worker_that_is_told_to_stop_leaves_at_once(tmp_path: Path, broker: Broker) -> None:
    worker = simulate(tmp_path, broker)
    wait_until(lambda: worker.catches(signal.SIGTERM), "the worker listens to signals")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0, worker.said()
    assert alive(broker.url) == set()
    assert "Traceback" not in worker.said()
