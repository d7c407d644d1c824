"""Many simulated hosts under random faults: killed workers, doubled messages, a broker that restarts."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from fleet import Broker, Process, alive, own_broker, wait_until

from contract.campaign import load_campaign
from contract.parts import list_parts
from orchestrator import dispatch_celery
from orchestrator.cli.execution import Execution
from orchestrator.dispatch import Order
from orchestrator.dispatch_celery import CeleryDispatcher
from orchestrator.plan import plan_cells
from workers.discover import build_catalog

HOSTS = int(os.environ.get("TONNAGE_TEST_HOSTS", "60"))
"""A thousand make the long run: about ten minutes on two cores."""
BLOCKS = int(os.environ.get("TONNAGE_TEST_BLOCKS", "5"))
INSTANCES = 4
DOUBLED_SHARE = 0.01
LOST_SHARE = 0.01
UP_S = 120.0

pytestmark = [pytest.mark.long, pytest.mark.redis, pytest.mark.timeout(300 + HOSTS * BLOCKS // 5)]

CAMPAIGN: dict[str, Any] = {
    "campaign": "random-faults",
    "blocks": BLOCKS,
    "profiles": {"frail": {"driver": "simulated", "failure_share": 0.01}},
    "experiments": [
        {"experiment": "lifecycle", "drivers": ["frail"], "params": {"instances": INSTANCES}}
    ],
}


class Swarm:
    """One worker process that stands for all hosts, killed and started again and again."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self._folder, self._broker = folder, broker
        self._options = ("--broker", broker.url, "--simulate", str(HOSTS))
        self._worker: Process | None = None
        self.kills = 0

    def start(self) -> None:
        """Be alive, all of them."""
        state = str(self._folder / "state")
        log = self._folder / "worker.log"
        self._worker = Process(log, "worker", *self._options, "--state-dir", state)
        wait_until(lambda: len(alive(self._broker.url)) == HOSTS, "all hosts are alive", UP_S)

    def kill(self) -> None:
        """Die at once, in the middle of whatever trial it is at."""
        if self._worker is not None:
            self._worker.kill()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with own_broker() as made:
        yield made


def trouble(swarm: Swarm, broker: Broker, parts: Path, ended: threading.Event) -> None:
    """Kill workers at random moments, spread over the campaign, and the broker once in its middle."""
    chance, planned = random.Random(5), HOSTS * BLOCKS
    kills = max(2, round(LOST_SHARE * planned / 4))
    moments = sorted(chance.uniform(0.05, 0.9) * planned for _ in range(kills))
    restart_at = planned / 2
    while not ended.wait(0.2):
        done = len(list_parts(parts))
        if done > restart_at:
            restart_at = float("inf")
            broker.kill()
            time.sleep(1)
            broker.start()
        elif moments and done > moments[0]:
            moments.pop(0)
            swarm.kill()
            swarm.start()
            swarm.kills += 1


def test_it_ends_complete_and_exact(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(6)
    doubled: list[Order] = []

    class Doubling(CeleryDispatcher):
        def send(self, order: Order) -> None:
            super().send(order)
            if chance.random() < DOUBLED_SHARE or not doubled:
                doubled.append(order)
                super().send(order)

    monkeypatch.setattr(dispatch_celery, "CeleryDispatcher", Doubling)
    swarm, results, ended = Swarm(tmp_path, broker), tmp_path / "results", threading.Event()
    swarm.start()
    imp = threading.Thread(target=trouble, args=(swarm, broker, results / "parts", ended))
    imp.start()
    try:
        run(tmp_path, results, broker)
    finally:
        ended.set()
        imp.join(UP_S)
        swarm.kill()
    assert swarm.kills >= 1
    is_exact(results)


def run(folder: Path, results: Path, broker: Broker) -> None:
    file = folder / "c.yaml"
    file.write_text(yaml.safe_dump(CAMPAIGN))
    campaign, source = load_campaign(file)
    Execution(
        campaign=campaign,
        text=file.read_text(),
        cells=plan_cells(campaign, source, build_catalog()),
        folder=results,
        rerun="",
        reported=False,
        patience_s=UP_S,
    ).run_on_fleet(broker.url)


def is_exact(results: Path) -> None:
    def rows(table: str) -> list[dict[str, Any]]:
        files = f"{results}/dataset/{table}/**/*.parquet"
        found: list[dict[str, Any]] = duckdb.sql(f"select * from '{files}'").to_arrow_table().to_pylist()
        return found

    trials, instances = rows("trials"), rows("instances")
    assert len({trial["trial_id"] for trial in trials}) == len(trials) == HOSTS * BLOCKS
    assert set(Counter(trial["outcome"] for trial in trials)) == {"completed"}
    attempts = {trial["trial_id"]: trial["attempt"] for trial in trials}
    counted = Counter((row["trial_id"], row["instance"], row["attempt"]) for row in instances)
    assert counted == {(t, n, attempts[t]): 1 for t in attempts for n in range(INSTANCES)}
    assert {row["outcome"] for row in instances} == {"ok", "failed"}
