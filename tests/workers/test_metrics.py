"""A worker's metrics: what the tally says is counted once, the rest is looked at when asked."""

import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from contract.metric_names import WORKER_METRICS
from workers.metrics import WorkerMetrics
from workers.presence import Presence, Vitals
from workers.service import WorkerConfig
from workers.settings import HostSettings
from workers.tally import Tally

WHAT = {"experiment": "lifecycle", "driver": "simulated"}
ENDED = {"event": "trial_ended", "outcome": "completed", "verdict": "valid", **WHAT}


@dataclass
class Scene:
    """Metrics over a tally that the test fills, of a presence that is as the test says."""

    metrics: WorkerMetrics
    tally: Tally
    host: HostSettings
    vitals_now: Vitals

    def vitals(self) -> Vitals:
        return self.vitals_now

    def page(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Values by name and by the labels' values beside the host."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        text = generate_latest(self.metrics.registry).decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = {k: v for k, v in sample.labels.items() if k != "host"}
                assert sample.labels["host"] == self.host.name
                key = tuple(labels[k] for k in sorted(labels))
                found.setdefault(sample.name, {})[key] = sample.value
        return found


@pytest.fixture
def scene(host_settings: HostSettings, tmp_path: Path) -> Scene:
    tally = Tally(tmp_path / "tally.jsonl")
    tally.begin()
    vitals = Vitals(True, 1.5, (250_000_000, 1_000_000))
    made = Scene(cast("Any", None), tally, host_settings, vitals)
    config = WorkerConfig(hosts=(host_settings,))
    made.metrics = WorkerMetrics(config, cast("Presence", made), tally)
    return made


def test_trials_are_counted_by_what_they_were(scene: Scene) -> None:
    for duration_s in (1.5, 40.0):
        scene.tally.add(ENDED | {"duration_s": duration_s, "cpu_s": 0.25})
    scene.tally.add(ENDED | {"outcome": "failed", "verdict": "invalid", "duration_s": 1, "cpu_s": 0})
    page = scene.page()
    key = ("simulated", "lifecycle", "completed", "valid")
    assert page["tonnage_trials_total"][key] == 2
    assert page["tonnage_trials_total"]["simulated", "lifecycle", "failed", "invalid"] == 1
    assert page["tonnage_trial_duration_seconds_sum"]["simulated", "lifecycle"] == 42.5
    assert page["tonnage_trial_duration_seconds_bucket"]["simulated", "lifecycle", "2.0"] == 2
    assert page["tonnage_harness_cpu_seconds_total"]["measuring",] == 0.5
    assert scene.page()["tonnage_trials_total"][key] == 2, "a second scrape counts nothing again"


def test_words_of_a_hostile_order_make_no_series(scene: Scene) -> None:
    for number in range(50):
        words = {"experiment": f"x{number}", "driver": '"}\n# HELP'}
        scene.tally.add(ENDED | words | {"duration_s": 1, "cpu_s": 0})
    assert scene.page()["tonnage_trials_total"] == {("unknown", "unknown", "completed", "valid"): 50}


def test_the_running_trial_is_shown_until_it_ends(scene: Scene) -> None:
    scene.tally.add({"event": "trial_begun", "pid": os.getpid(), "at": 0.0, **WHAT})
    page = scene.page()
    assert page["tonnage_trial_running"] == {("simulated", "lifecycle"): 1}
    assert page["tonnage_trial_running_seconds"][()] > 1e9
    scene.tally.add({"event": "trial_cancelled", "cpu_s": 0.0, **WHAT})
    page = scene.page()
    assert "tonnage_trial_running" not in page
    assert page["tonnage_trial_running_seconds"][()] == 0
    assert page["tonnage_orders_dropped_total"]["cancelled",] == 1


def test_a_trial_whose_process_was_killed_is_not_running(scene: Scene) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    scene.tally.add({"event": "trial_begun", "pid": dead.pid, "at": 0.0, **WHAT})
    assert "tonnage_trial_running" not in scene.page()


def test_the_spool_is_counted_as_it_is(scene: Scene) -> None:
    waiting = scene.host.state_dir / "spool" / "waiting"
    assert scene.page()["tonnage_spool_waiting_parts"][()] == 0
    waiting.mkdir(parents=True)
    (waiting / "a.part").write_bytes(b"x" * 700)
    (waiting / "b.part").write_bytes(b"x" * 300)
    (waiting / "b.part.place").write_text("s3://…")
    page = scene.page()
    assert page["tonnage_spool_waiting_parts"][()] == 2
    assert page["tonnage_spool_waiting_bytes"][()] == 1000


def test_a_spool_that_cannot_be_read_has_no_number(scene: Scene) -> None:
    folder = scene.host.state_dir / "spool"
    folder.mkdir(parents=True)
    (folder / "waiting").write_text("no folder")
    assert math.isnan(scene.page()["tonnage_spool_waiting_parts"][()])


def test_presence_is_shown_as_it_is(scene: Scene) -> None:
    page = scene.page()
    assert page["tonnage_broker_up"][()] == 1
    assert page["tonnage_clock_offset_seconds"][()] == 0.25
    assert page["tonnage_clock_error_seconds"][()] == 0.001
    scene.vitals_now = Vitals(False, 77.0, None)
    page = scene.page()
    assert page["tonnage_broker_up"][()] == 0
    assert page["tonnage_heartbeat_age_seconds"][()] == 77


def test_all_other_events_are_counted(scene: Scene) -> None:
    scene.tally.add({"event": "message_refused", "cause": "unsigned"})
    scene.tally.add({"event": "lease_lost"})
    scene.tally.add({"event": "order_dropped", "reason": "elsewhere"})
    scene.tally.add({"event": "part_delivered", "when": "late", "size_bytes": 9000})
    scene.tally.add({"event": "leftovers_swept", "when": "before", "count": 3})
    page = scene.page()
    assert page["tonnage_messages_refused_total"]["unsigned",] == 1
    assert page["tonnage_leases_lost_total"][()] == 1
    assert page["tonnage_orders_dropped_total"]["elsewhere",] == 1
    assert page["tonnage_parts_delivered_total"] == {("at_once",): 0, ("late",): 1}
    assert page["tonnage_parts_delivered_bytes_total"][()] == 9000
    assert page["tonnage_leftovers_swept_total"]["before",] == 3


def test_a_tally_that_is_gone_ends_no_scrape(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "tally.jsonl").unlink()
    (tmp_path / "tally.jsonl").mkdir()
    assert scene.page()["tonnage_broker_up"][()] == 1


def test_everything_declared_is_on_the_page(scene: Scene) -> None:
    text = generate_latest(scene.metrics.registry).decode()
    for metric in WORKER_METRICS:
        assert f"# TYPE {metric.name} {metric.kind}" in text
