"""Recovery on the simulated driver, whose truth is known: faults, supervisions, censoring, rows."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError
from simulation import RealTimeDriver, Row, instances, measure, use_driver

from contract.parts import Part
from contract.rows import InstanceRow
from workers.bench import Bench
from workers.console import Console
from workers.experiments.recovery import Experiment, RecoveryParams
from workers.experiments.supervision import Watcher
from workers.prober import Prober, Slot
from workers.settings import HostSettings

MS = 10**6
STEADY = {"sigma": 0.0, "notice_ms": 5, "backoff_ms": 100, "boot_ms": 40}
FAULTS = ("agent_kill", "kill", "hang", "oom", "panic", "engine_restart", "all")


def recover(host_settings: HostSettings, settings: dict[str, Any] | None = None, **params: Any) -> Part:
    short = {"injections": 2, "recovery_deadline_s": 10.0, "healthy_s": 1.0}
    return measure(
        host_settings,
        experiment="recovery",
        params=short | params,
        settings=STEADY | (settings or {}),
        deadline_s=900.0,
    )


def injections(part: Part) -> list[Row]:
    return [row for row in instances(part) if row["victim"] is not None]


def samples(part: Part, metric: str, instance: int) -> list[float | None]:
    rows = part.tables["samples"].to_pylist()
    return [
        row["value"]
        for row in rows
        if row["metric"] == f"recovery.{metric}" and row["instance"] == instance
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_nobody_acts_without_supervision(host_settings: HostSettings, fault: str) -> None:
    part = recover(host_settings, fault=fault, supervision="none")
    assert part.record.outcome == "completed"
    for row in injections(part):
        assert (row["outcome"], row["error_class"]) == ("censored", "unrecovered")
        assert row["t_fault"] is not None
        assert [row[key] for key in ("t_detect", "t_act", "t_started", "t_ready")] == [None] * 4
        assert samples(part, "outage", row["instance"])[0] == pytest.approx(10_000 * MS, rel=0.01)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_watcher_brings_back_whatever_failed(host_settings: HostSettings, fault: str) -> None:
    part = recover(host_settings, fault=fault, supervision="watcher")
    assert [row["outcome"] for row in injections(part)] == ["ok", "ok"]
    for row in injections(part):
        stamps = [row[key] for key in ("t_detect", "t_act", "t_started", "t_beacon", "t_ready")]
        assert stamps == sorted(stamps)
        assert row["t_intent"] <= row["t_fault"] <= row["t_detect"]


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "hang"])
def test_the_engine_says_when_it_saw_and_when_it_acted(host_settings: HostSettings, fault: str) -> None:
    part = recover(host_settings, fault=fault, supervision="engine")
    for row in injections(part):
        assert row["outcome"] == "ok"
        assert row["t_act"] - row["t_detect"] == pytest.approx(100 * MS, rel=0.01)
        assert row["t_started"] is None  # no call of ours starts it
        assert row["t_ready"] > row["t_act"]


def test_an_engine_does_not_see_a_hang(host_settings: HostSettings) -> None:
    rows = injections(recover(host_settings, fault="hang", supervision="engine"))
    assert [(row["outcome"], row["t_detect"], row["t_exited"]) for row in rows] == [
        ("censored", None, None)
    ] * 2


def test_a_hang_is_seen_by_the_probes_that_it_misses(host_settings: HostSettings) -> None:
    part = recover(host_settings, fault="hang", missed_probes=20, probe_rate_per_s=50)
    for row in injections(part):
        assert row["t_detect"] - row["t_fault"] == pytest.approx(400 * MS, rel=0.1)


def test_time_to_recover_is_the_truth(host_settings: HostSettings) -> None:
    part = recover(
        host_settings, fault="kill", supervision="engine", probe_rate_per_s=1000, patience_ms=15
    )
    for row in injections(part):
        # noticed, backed off, started, booted, and half a reply or a whole one
        truth_ms = 5 + 100 + 30 + 40
        assert row["t_ready"] - row["t_fault"] == pytest.approx(truth_ms * MS, abs=25 * MS)
        lost = samples(part, "lost_requests", row["instance"])[0]
        assert samples(part, "outage", row["instance"]) == [lost * MS]  # a probe each millisecond
        assert lost == pytest.approx(truth_ms, abs=25)


def test_a_share_that_stays_down_is_censored_and_replaced(host_settings: HostSettings) -> None:
    part = recover(host_settings, {"stuck_share": 1.0}, fault="kill", supervision="engine", injections=3)
    rows = injections(part)
    assert [row["outcome"] for row in rows] == ["censored"] * 3
    assert all(row["t_act"] is not None and row["t_ready"] is None for row in rows)
    assert part.record.outcome == "completed"


def test_a_burst_hits_all_at_once(host_settings: HostSettings) -> None:
    rows = injections(
        recover(host_settings, fault="all", supervision="watcher", residents=3, injections=2)
    )
    assert [row["victim"] for row in rows] == [0, 1, 2, 3] * 2
    for burst in (rows[:4], rows[4:]):
        assert len({row["t_intent"] for row in burst}) == 1
        assert max(row["t_fault"] for row in burst) < min(row["t_ready"] for row in burst)


def test_residents_stay_up(host_settings: HostSettings) -> None:
    rows = instances(recover(host_settings, fault="kill", residents=2, injections=1))
    assert [(row["resident"], row["outcome"]) for row in rows] == [(True, "ok")] * 3 + [(False, "ok")]


def test_instances_that_outlive_their_engine_show_no_exit(host_settings: HostSettings) -> None:
    part = recover(host_settings, {"live_restore": True}, fault="engine_restart", supervision="none")
    assert [(row["outcome"], row["t_exited"]) for row in injections(part)] == [("ok", None)] * 2


def test_the_owner_of_the_host_must_permit_restarts(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_driver(monkeypatch, RealTimeDriver)
    part = recover(host_settings, fault="engine_restart")
    assert part.record.outcome == "failed"
    assert part.record.error_class == "not_allowed"
    assert "--may-restart-engines" in (part.record.error_text or "")


def test_probes_before_the_fault_are_kept_and_lost_ones_are_null(host_settings: HostSettings) -> None:
    part = recover(host_settings, fault="kill", injections=1)
    row = injections(part)[0]
    probes = samples(part, "probe", row["instance"])
    assert probes[0] is not None
    assert probes.count(None) == samples(part, "lost_requests", row["instance"])[0]


def test_the_same_trial_gives_the_same_rows(host_settings: HostSettings) -> None:
    settings = {"sigma": 0.4, "stuck_share": 0.3}
    first, second = (
        recover(host_settings, settings, fault="kill", supervision="engine") for _ in range(2)
    )
    assert instances(first) == instances(second)


def test_a_hang_that_cannot_be_seen_in_time_is_refused() -> None:
    with pytest.raises(ValidationError, match="missed_probes"):
        RecoveryParams(missed_probes=100, probe_rate_per_s=1, recovery_deadline_s=60)


def test_plans_a_row_for_each_injection_and_victim() -> None:
    rows = Experiment.plan_rows(RecoveryParams(fault="all", residents=1, injections=2))
    assert [row.victim for row in rows] == [None, None, 0, 1, 0, 1]
    assert [row.instance for row in rows] == list(range(6))


def test_one_that_works_off_what_piled_up_does_not_hang() -> None:
    bench = SimpleNamespace(params=SimpleNamespace(missed_probes=3))
    prober = Prober(cast("Bench", bench), "n", 50)
    prober.use(cast("Console", SimpleNamespace()))
    watcher = Watcher(bench, None, InstanceRow(0), prober)
    prober.slots += [Slot(due, None) for due in (10, 20, 30, 40)]
    prober.t_heard = 35  # an answer to an older one came while the latest wait
    assert not watcher._is_silent()
    prober.slots += [Slot(due, None) for due in (50, 60)]
    assert watcher._is_silent()
