"""recovery on the simulated driver: every fault under every supervision, and what is censored."""

from statistics import median
from typing import Any

import pytest
from pydantic import ValidationError
from simulation import Row, instances, measure

from contract.catalog import Capability
from contract.errors import CampaignError
from contract.parts import Part
from workers.experiments.recovery import Experiment, RecoveryParams
from workers.settings import HostSettings

FAULTS = ["agent_kill", "kill", "hang", "oom", "panic", "engine_restart", "all"]
STILL = {"sigma": 0.0}
"""Settings without any spread: every number is known."""


def trial(
    host: HostSettings, settings: dict[str, Any] | None = None, *, seed: int = 7, **params: Any
) -> Part:
    params = {"injections": 2, "recovery_deadline_s": 20} | params
    changes = {"settings": settings or STILL, "seed": seed, "deadline_s": 80_000.0}
    return measure(host, experiment="recovery", params=params, **changes)


def injections(part: Part) -> list[Row]:
    return [row for row in instances(part) if row["victim"] is not None]


def samples(part: Part, metric: str, instance: int) -> list[float | None]:
    found = part.tables["samples"].to_pylist()
    chosen = [s for s in found if s["metric"] == f"recovery.{metric}" and s["instance"] == instance]
    return [sample["value"] for sample in chosen]


@pytest.mark.parametrize("fault", FAULTS)
def test_without_supervision_it_stays_away(host_settings: HostSettings, fault: str) -> None:
    part = trial(host_settings, fault=fault, supervision="none")
    assert (part.record.outcome, part.record.verdict) == ("completed", "valid")
    for row in injections(part):
        assert (row["outcome"], row["error_class"]) == ("censored", "unrecovered")
        assert row["t_fault"] >= row["t_intent"]
        assert (row["t_detect"], row["t_act"], row["t_ready"]) == (None, None, None)
        (lost,) = samples(part, "lost_requests", row["instance"])
        assert lost == pytest.approx(20 * 50, abs=2)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("supervision", ["engine", "watcher"])
def test_supervised_it_is_back(host_settings: HostSettings, fault: str, supervision: str) -> None:
    part = trial(host_settings, fault=fault, supervision=supervision)
    rows = injections(part)
    if (fault, supervision) == ("hang", "engine"):  # no engine sees that
        assert {row["outcome"] for row in rows} == {"censored"}
        return
    assert (part.record.outcome, part.record.verdict) == ("completed", "valid")
    for row in rows:
        assert row["outcome"] == "ok", row
        stamps = [row[f"t_{name}"] for name in ("fault", "detect", "act", "ready")]
        assert stamps == sorted(stamps)
        assert row["t_exited"] is not None
        (lost,) = samples(part, "lost_requests", row["instance"])
        (outage,) = samples(part, "outage", row["instance"])
        assert outage == lost * 20_000_000


def test_what_lives_on_never_exited(host_settings: HostSettings) -> None:
    live = STILL | {"live_restore": True}
    (first, second) = injections(trial(host_settings, live, fault="engine_restart", supervision="none"))
    assert (first["outcome"], first["t_exited"]) == ("ok", None)
    assert second["outcome"] == "ok"


def test_the_stages_are_those_of_the_truth(host_settings: HostSettings) -> None:
    """Without spread: engine notices after 5 ms, backs off 100, starts in 30 and boots in 40."""
    (row, _) = injections(trial(host_settings, fault="kill", supervision="engine"))
    detect, act = row["t_detect"] - row["t_fault"], row["t_act"] - row["t_detect"]
    ready = row["t_ready"] - row["t_act"]
    assert (detect / 1e6, act / 1e6) == pytest.approx((5, 100), abs=0.01)
    assert 70 <= ready / 1e6 <= 70 + 2 * 20  # and until the next probe is answered


def test_a_hang_is_seen_after_so_many_probes(host_settings: HostSettings) -> None:
    params = {"fault": "hang", "supervision": "watcher", "missed_probes": 10, "probe_rate_per_s": 20}
    for row in injections(trial(host_settings, **params)):
        assert (row["t_detect"] - row["t_fault"]) / 1e6 == pytest.approx(500, abs=60)


def test_all_instances_are_hit_at_once(host_settings: HostSettings) -> None:
    part = trial(host_settings, fault="all", supervision="watcher", residents=3)
    rows = injections(part)
    assert [row["victim"] for row in rows] == [0, 1, 2, 3] * 2
    for batch in (rows[:4], rows[4:]):
        assert len({row["t_fault"] for row in batch}) == 1
        assert {row["outcome"] for row in batch} == {"ok"}


def test_one_victim_alone_is_hit_otherwise(host_settings: HostSettings) -> None:
    part = trial(host_settings, fault="kill", supervision="none", residents=3)
    assert [row["victim"] for row in injections(part)] == [0, 0]
    residents = [row for row in instances(part) if row["resident"]]
    assert [row["outcome"] for row in residents] == ["ok"] * 4
    assert all(row["t_reclaimed"] is not None for row in residents)


def test_a_share_never_comes_back_and_is_censored_not_dropped(host_settings: HostSettings) -> None:
    settings = {"stuck_share": 0.3, "sigma": 0.1}
    part = trial(host_settings, settings, fault="kill", supervision="engine", injections=60)
    outcomes = [row["outcome"] for row in injections(part)]
    assert len(outcomes) == 60
    assert 8 <= outcomes.count("censored") <= 30
    assert set(outcomes) == {"ok", "censored"}


def test_a_watcher_tries_a_stuck_one_again(host_settings: HostSettings) -> None:
    settings = {"stuck_share": 0.3, "sigma": 0.1}
    params = {"ready_deadline_s": 2, "missed_probes": 20}
    part = trial(host_settings, settings, fault="kill", injections=30, **params)
    assert {row["outcome"] for row in injections(part)} == {"ok"}


def test_it_is_healthy_for_a_while_before_each_fault(host_settings: HostSettings) -> None:
    rows = injections(trial(host_settings, fault="kill", injections=5, healthy_s=7))
    ready = [row["t_ready"] for row in rows]
    gaps = [(row["t_fault"] - back) / 1e9 for row, back in zip(rows[1:], ready, strict=False)]
    assert all(7 <= gap <= 14.1 for gap in gaps)
    assert len({round(gap, 3) for gap in gaps}) == 4  # at random


def test_the_same_seed_is_the_same_trial(host_settings: HostSettings) -> None:
    parts = [trial(host_settings, {"sigma": 0.3}, fault="kill") for _ in range(2)]
    assert instances(parts[0]) == instances(parts[1])


def test_probes_are_kept_from_before_the_fault(host_settings: HostSettings) -> None:
    part = trial(host_settings, fault="kill", supervision="watcher", injections=1)
    (row,) = injections(part)
    probes = samples(part, "probe", row["instance"])
    good = [value for value in probes if value is not None]
    assert len(good) > 45  # a second before, and until it is back
    assert median(good) / 1e6 == pytest.approx(10, abs=3)
    assert None in probes


def test_memory_is_not_taken_from_a_host_without_limits(host_settings: HostSettings) -> None:
    params = RecoveryParams(fault="oom")
    assert Capability.LIMITS in Experiment.needs(params)
    part = measure(
        host_settings,
        experiment="recovery",
        driver="process",
        params=params.model_dump(),
        deadline_s=60.0,
    )
    record = part.record
    assert (record.outcome, record.error_class) == ("failed", CampaignError.code)
    assert "without limits.memory_mib" in str(record.error_text)


@pytest.mark.parametrize(
    ("params", "needed"),
    [
        ({"fault": "panic"}, Capability.GUEST_KERNEL),
        ({"fault": "engine_restart"}, Capability.ENGINE_RESTART),
        ({"supervision": "engine"}, Capability.RESTART_POLICY),
    ],
)
def test_what_a_driver_must_offer(params: dict[str, Any], needed: Capability) -> None:
    assert needed in Experiment.needs(RecoveryParams(**params))
    assert needed not in Experiment.needs(RecoveryParams(fault="kill", supervision="watcher"))


@pytest.mark.parametrize(
    "params",
    [{"fault": "flood"}, {"supervision": "luck"}, {"missed_probes": 50, "recovery_deadline_s": 1}],
)
def test_what_makes_no_sense_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RecoveryParams(**params)
