"""A coordinator's metrics against what really became of a campaign, and the same as a log."""

import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from scripted_fleet import HOSTS, Clock, Fleet
from trials import make_trial

from contract.errors import UseError
from contract.log_lines import LogSettings
from contract.metric_names import COORDINATOR_METRICS
from contract.observing import MetricsSettings, Observing
from contract.rows import InstanceRow
from contract.trial import Trial
from orchestrator import coordinate
from orchestrator.cli.watching import observed
from orchestrator.coordinate import Coordination
from orchestrator.dispatch import HostState, Order
from orchestrator.metrics import CoordinatorMetrics, metrics_shown
from orchestrator.observer import Observer, Observers
from orchestrator.results import Results

TRIALS = tuple(
    make_trial(host=host, block=block, order=block, driver=driver, profile=driver)
    for host in HOSTS
    for block in range(3)
    for driver in ("simulated", "process")
)
Run = Callable[..., Fleet]


def rows_of(trial: Trial) -> list[InstanceRow]:
    return [InstanceRow(instance=0)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    clock = Clock()
    monkeypatch.setattr(coordinate, "time", clock)

    def start(
        observer: Observer, fate: Callable[[Order], str], trials: Sequence[Trial] = TRIALS
    ) -> Fleet:
        fleet = Fleet(clock, fate=fate)
        loop = Coordination(tuple(trials), Results(tmp_path), fleet, observer, rows_of)
        loop.run(lambda: False)
        return fleet

    return start


def values(registry: CollectorRegistry, name: str, *by: str) -> dict[tuple[str, ...], float]:
    """Sums of a metric by some of its labels."""
    found: Counter[tuple[str, ...]] = Counter()
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            if sample.name == name:
                assert sample.labels["campaign"] == "c"
                found[tuple(sample.labels[label] for label in by)] += sample.value  # type: ignore[assignment]
    return dict(found)


def test_a_campaign_with_losses_is_counted_as_it_was(run: Run) -> None:
    metrics = CoordinatorMetrics("c")
    lost = {TRIALS[0].trial_id, TRIALS[7].trial_id}

    def fate(order: Order) -> str:
        if order.trial.trial_id in lost and order.attempt == 1:
            return "lost"
        return "failed" if order.trial.trial_id == TRIALS[3].trial_id else "well"

    fleet = run(metrics, fate)
    registry = metrics.registry
    assert values(registry, "tonnage_campaign_trials_planned", "driver") == {
        ("simulated",): 9,
        ("process",): 9,
    }
    assert values(registry, "tonnage_campaign_trials_done") == {(): 18}
    assert values(registry, "tonnage_campaign_trials_ended_total", "outcome") == {
        ("completed",): 17,
        ("failed",): 1,
    }
    assert values(registry, "tonnage_campaign_trials_lost_total") == {(): 2}
    assert values(registry, "tonnage_campaign_trials_resent_total") == {(): 2}
    assert values(registry, "tonnage_campaign_parts_received_total") == {(): 18}
    sizes = sum(len(delivery.data) for delivery in fleet.confirmed)
    assert values(registry, "tonnage_campaign_parts_received_bytes_total") == {(): sizes}
    assert values(registry, "tonnage_campaign_left_seconds") == {(): 0}
    assert values(registry, "tonnage_campaign_hosts", "state")["alive",] == 3


def test_a_trial_that_kills_its_worker_is_lost_twice_and_sent_again_once(run: Run) -> None:
    metrics = CoordinatorMetrics("c")
    run(metrics, lambda _: "lost", TRIALS[:1])
    assert values(metrics.registry, "tonnage_campaign_trials_lost_total") == {(): 2}
    assert values(metrics.registry, "tonnage_campaign_trials_resent_total") == {(): 1}
    assert values(metrics.registry, "tonnage_campaign_trials_ended_total", "outcome") == {("failed",): 1}


def test_what_was_there_before_counts_as_done_and_not_as_ended(run: Run) -> None:
    run(Observer(), lambda _: "well", TRIALS[:6])
    metrics = CoordinatorMetrics("c")
    run(metrics, lambda _: "well")
    assert values(metrics.registry, "tonnage_campaign_trials_planned") == {(): 18}
    assert values(metrics.registry, "tonnage_campaign_trials_done") == {(): 18}
    assert values(metrics.registry, "tonnage_campaign_trials_ended_total") == {(): 12}


def test_thousands_of_hosts_are_three_series() -> None:
    metrics = CoordinatorMetrics("c")
    metrics.note("sick", "host_quarantined", "h7")
    metrics.hosts({f"h{number}": HostState(number % 10 > 0) for number in range(5000)})
    assert values(metrics.registry, "tonnage_campaign_hosts", "state") == {
        ("alive",): 4499,
        ("away",): 500,
        ("quarantined",): 1,
    }
    assert len(generate_latest(metrics.registry)) < 10_000


def test_everything_declared_is_on_the_page() -> None:
    text = generate_latest(CoordinatorMetrics("c").registry).decode()
    for metric in COORDINATOR_METRICS:
        assert f"# TYPE {metric.name} {metric.kind}" in text


def test_the_file_is_there_at_once_and_after_the_end(tmp_path: Path) -> None:
    file = tmp_path / "c.prom"
    with metrics_shown(MetricsSettings(textfile=file), "c") as (counting, _):
        assert "tonnage_campaign_start_time_seconds" in file.read_text()
        counting.planned([], TRIALS)
    assert "tonnage_campaign_trials_planned{" in file.read_text()


def test_a_disk_that_fills_up_ends_no_campaign(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    with metrics_shown(MetricsSettings(textfile=folder / "c.prom"), "c") as observers:
        (folder / "c.prom").unlink()
        folder.rmdir()
        run(Observers(*observers), lambda _: "well")
    with pytest.raises(UseError):
        next(iter(metrics_shown(MetricsSettings(textfile=folder / "c.prom"), "c").gen))


def test_all_observers_are_told_everything() -> None:
    told: list[str] = []

    def listening(name: str) -> Callable[..., None]:
        return lambda *_, **__: told.append(name)

    names = [name for name in vars(Observer) if not name.startswith("_")]
    one, other = (
        type("Heard", (Observer,), {n: staticmethod(listening(n)) for n in names})() for _ in "ab"
    )
    both = Observers(one, other)
    both.planned([], [])
    both.begin(1, 0)
    both.received(TRIALS[0], random)  # type: ignore[arg-type]
    both.hosts({})
    both.backlog(0)
    both.joined(1, 0)
    both.lost(TRIALS[0], again=True)
    both.note("x")
    assert Counter(told) == dict.fromkeys(names, 2)


def test_a_run_as_a_log_is_a_line_per_event(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    seen = Observing(log=LogSettings(format="json", level="debug"), log_wanted=True)
    try:
        with observed("c", seen) as observer:
            run(observer, lambda order: "lost" if order.attempt == 1 else "well", TRIALS[:2])
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("tonnage").setLevel(logging.NOTSET)
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    events = Counter(line["event"] for line in said)
    assert events == {
        "run_begun": 1,
        "trial_lost": 2,
        "trial_resent": 2,
        "trial_received": 2,
        "progress": events["progress"],
        "run_ended": 1,
    }
    lost = next(line for line in said if line["event"] == "trial_lost")
    assert {"campaign", "trial", "experiment", "driver", "about_host", "host", "time"} <= set(lost)
    assert said[-1]["event"] == "run_ended"
    assert (said[-1]["how"], said[-1]["done"], said[-1]["total"]) == ("ended", 2, 2)
