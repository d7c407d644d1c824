"""A real worker, looked at as an operator does: its log as JSON, its page, its file."""

import json
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from celery import Celery
from fleet import Process, alive, own_broker, running, wait_until
from kombu import Connection
from trials import make_trial

from contract import wire
from contract.broker import connect
from orchestrator.coordinate import Coordination
from orchestrator.dispatch_celery import CeleryDispatcher
from orchestrator.observer import Observer
from orchestrator.results import Results

pytestmark = [
    pytest.mark.redis,
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("hosts h1, h2, h3"),
]

CAMPAIGN = {
    "campaign": "seen",
    "blocks": 2,
    "experiments": [
        {
            "experiment": "lifecycle",
            "drivers": ["simulated"],
            "params": {"instances": 3, "concurrency": [1, 2]},
        }
    ],
}
NO_ENGINES = ["--docker-socket", "/nowhere/d", "--podman-socket", "/nowhere/p"]
NO_ENGINES += ["--libvirt-uri", "qemu:///system?socket=/nowhere"]


def objects(process: Process) -> list[dict[str, Any]]:
    """Every line that it wrote: all of them objects."""
    return [json.loads(line) for line in process.said().splitlines()]


def page_of(process: Process) -> dict[str, float]:
    """What its page says now, by series."""
    url = re.search(r"http://127\.0\.0\.1:\d+/metrics", process.said())
    assert url, process.said()
    with urlopen(url[0], timeout=20) as answer:  # noqa: S310
        text: str = answer.read().decode()
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in lines}


def send_nonsense(broker: str, host: str) -> None:
    """An order that is none, in the host's own queue."""
    body = [[{"contract": 1, "host": host, "trial": {"contract": 1}}], {}, {"callbacks": None}]
    headers = {"task": wire.TASK, "id": "f" * 32, "lang": "py", "root_id": None, "parent_id": None}
    options = {"global_keyprefix": wire.PREFIX}
    with Connection(broker, transport_options=options) as connection:
        queue = wire.queue_for(host)
        connection.Producer(serializer="json").publish(
            body, exchange=queue, routing_key=queue, headers=headers, correlation_id="f" * 32
        )


@contextmanager
def celery_events(broker: str) -> Iterator[Counter[str]]:
    """Celery's events by type, heard as Flower hears them."""
    heard: Counter[str] = Counter()
    app = Celery(broker=broker, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": wire.PREFIX}

    def hear(event: dict[str, Any]) -> None:
        heard[event["type"]] += 1

    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": hear})
        thread = threading.Thread(target=receiver.capture, kwargs={"wakeup": False}, daemon=True)
        thread.start()
        client = connect(broker)
        wait_until(lambda: client.exists(f"{wire.PREFIX}_kombu.binding.celeryev") == 1, "it listens")
        yield heard
        receiver.should_stop = True
        thread.join(timeout=30)


def measure(broker: str, folder: Path) -> None:
    """Four trials on host h1, by a coordinator in this process."""
    trials = tuple(
        make_trial(campaign="seen", host="h1", block=block, order=block) for block in range(4)
    )
    dispatcher = CeleryDispatcher(broker, "seen", ["h1"])
    Coordination(trials, Results(folder), dispatcher, Observer(), lambda _: []).run(lambda: False)


def test_a_worker_is_seen_from_outside(tmp_path: Path) -> None:
    with own_broker() as broker:
        client = broker.client()
        client.acl_setuser(
            "w", enabled=True, passwords=["+geheim"], keys=["*"], channels=["*"], commands=["+@all"]
        )
        url = broker.url.replace("redis://", "redis://w:geheim@")
        folders = ["--state-dir", str(tmp_path / "state"), "--run-dir", str(tmp_path / "run")]
        seen = [
            "--log-format",
            "json",
            "--metrics",
            "0",
            "--metrics-textfile",
            str(tmp_path / "h1.prom"),
        ]
        options = ["--name", "h1", "--broker", url, *folders, *NO_ENGINES, *seen, "--events"]
        with running(tmp_path / "worker.log", "worker", *options) as worker:
            wait_until(lambda: "h1" in alive(broker.url), "the worker is there")
            with celery_events(url) as told:
                measure(url, tmp_path / "results")
                wait_until(lambda: told["task-succeeded"] == 4, "Flower would see four tasks")
            send_nonsense(url, "h1")
            refused = 'tonnage_messages_refused_total{cause="malformed",host="h1"}'
            wait_until(lambda: page_of(worker)[refused] == 1, "the refusal is counted")
            page = page_of(worker)
            broker.kill()
            wait_until(lambda: page_of(worker)['tonnage_broker_up{host="h1"}'] == 0, "it is told")
            worker.send(signal.SIGTERM)
            wait_until(lambda: not worker.running, "it has left")
            assert "geheim" not in worker.said()
            saw_the_worker_at_work(objects(worker), page)
        assert "tonnage_trials_total" in (tmp_path / "h1.prom").read_text()


def saw_the_worker_at_work(lines: list[dict[str, Any]], page: dict[str, float]) -> None:
    """Lines of the measuring process carry the trial; the parent's page counts the same."""
    events = Counter(line.get("event") for line in lines)
    assert events["worker_registered"] == 1
    assert events["trial_begun"] == events["trial_ended"] == events["part_delivered"] == 4
    assert events["message_refused"] == 1
    for line in lines:
        assert {"time", "level", "logger", "message", "host"} <= set(line)
        if line.get("event") in ("trial_begun", "trial_ended", "part_delivered"):
            assert {"campaign", "run", "trial", "attempt", "experiment", "driver"} <= set(line)
    ended = 'driver="simulated",experiment="lifecycle",host="h1",outcome="completed",verdict="valid"'
    assert page[f"tonnage_trials_total{{{ended}}}"] == 4
    assert page['tonnage_parts_delivered_total{host="h1",when="at_once"}'] == 4
    assert page['tonnage_spool_waiting_parts{host="h1"}'] == 0
    assert page['tonnage_broker_up{host="h1"}'] == 1
    assert abs(page['tonnage_worker_start_time_seconds{host="h1"}'] - time.time()) < 600


def test_a_port_in_use_ends_a_run_before_it_measures(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(CAMPAIGN))
    folders = ["--state-dir", str(tmp_path / "s"), "--run-dir", str(tmp_path / "r")]
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        options = [*folders, "--results", str(tmp_path / "results"), "--metrics", port]
        process = Process(tmp_path / "log", "run", str(file), "--local", *options)
        assert process.wait() == 1
    assert f"--metrics: {port} cannot be listened on: Address already in use" in process.said()
    assert not list((tmp_path / "results" / "parts").glob("*"))
