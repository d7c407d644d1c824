"""churn: fixed plans, backlog beyond capacity, guard rails, drain, leaks; small on real engines."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines import DockerEngine
from pydantic import ValidationError
from scipy import stats
from simulation import FAST, RealTimeDriver, Row, instances, measure, use_driver

from contract.catalog import Capability
from contract.parts import Part
from workers.drivers.base import Instance
from workers.engines.simulated_machine import machines
from workers.experiments.churn import ChurnParams, Experiment
from workers.gauge import Gauge
from workers.settings import HostSettings

S = 1_000_000_000
NARROW = {"sigma": 0.0, "slots": 1}
"""90 ms of calls in a life, one at a time: 11.1 lives per second and no more."""


def churn(host: HostSettings, settings: dict[str, Any] | None = None, **params: Any) -> Part:
    changes = {"params": params, "settings": settings or {}, "deadline_s": 36_000.0}
    return measure(host, experiment="churn", **changes)


def series(part: Part, name: str) -> list[float]:
    return [
        row["value"] for row in part.tables["samples"].to_pylist() if row["metric"] == f"churn.{name}"
    ]


def arrivals(part: Part) -> list[Row]:
    return [row for row in instances(part) if not row["resident"]]


def test_the_plan_is_fixed_by_rate_and_duration(host_settings: HostSettings) -> None:
    part = churn(host_settings, rate_per_s=2.5, duration_s=30, residents=2)
    rows = arrivals(part)
    assert len(rows) == 75
    begin = min(t for t in part.tables["samples"].column("t_ns").to_pylist())
    places = [(row["t_intent"] - begin) / (30 * S) for row in rows]
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] <= 1
    assert {row["concurrency"] for row in rows} == {0}


def test_arrivals_lie_like_those_of_a_poisson_process(host_settings: HostSettings) -> None:
    rows = arrivals(churn(host_settings, rate_per_s=50, duration_s=60))
    places = [row["t_intent"] / S / 60 for row in rows]
    assert stats.kstest(places, stats.uniform.cdf).pvalue > 0.01


def test_below_capacity_nothing_piles_up(host_settings: HostSettings) -> None:
    part = churn(host_settings, NARROW, rate_per_s=3, duration_s=60, hold_s=2)
    assert part.record.outcome == "completed"
    assert Counter(row["outcome"] for row in arrivals(part)) == {"ok": 180}
    assert max(series(part, "backlog")[30:]) < 10
    assert series(part, "removed")[-1] == series(part, "readied")[-1] == 180
    assert series(part, "in_flight")[-1] == 0
    assert all(row["t_stop_call"] - row["t_ready"] == 2 * S for row in arrivals(part))


def test_beyond_capacity_the_backlog_grows_and_everything_ends(host_settings: HostSettings) -> None:
    wide = {"max_in_flight": 10_000, "ready_deadline_s": 3600}
    part = churn(host_settings, NARROW, rate_per_s=20, duration_s=60, drain_s=5, **wide)
    assert part.record.outcome == "completed"
    backlog = series(part, "backlog")[:60]
    assert backlog[59] > 1.5 * backlog[30] > 0
    late = [row for row in arrivals(part) if row["error_class"] == "not_drained"]
    assert late
    assert all(row["outcome"] == "timeout" and row["t_ready"] is None for row in late)
    assert all("5 s after the end of arrivals" in row["error_text"] for row in late)
    assert machines[host_settings.name] == {}
    # Latency counts from the plan: those who came late waited longest.
    ready = [row["t_ready"] - row["t_intent"] for row in arrivals(part) if row["t_ready"]]
    assert ready[-1] > 5 * ready[0]


def test_too_many_in_flight_are_shed_and_counted(host_settings: HostSettings) -> None:
    part = churn(host_settings, NARROW, rate_per_s=50, duration_s=20, max_in_flight=10)
    rows = arrivals(part)
    shed = [row for row in rows if row["error_class"] == "shed"]
    assert {(row["outcome"], row["t_call"]) for row in shed} == {("skipped", None)}
    assert all("max_in_flight" in row["error_text"] and row["t_intent"] for row in shed)
    assert series(part, "shed")[-1] == len(shed) > 100
    assert max(series(part, "in_flight")) == 10
    assert Counter(row["outcome"] for row in rows) == {"ok": 1000 - len(shed), "skipped": len(shed)}


def test_short_of_memory_arrivals_are_shed(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(RealTimeDriver):
        async def gauge(self) -> Gauge:
            return replace(await super().gauge(), mem_available_bytes=1 << 30)

    use_driver(monkeypatch, Full)
    part = churn(host_settings, FAST, rate_per_s=20, duration_s=1)
    assert part.record.outcome == "failed"
    shed = [row for row in arrivals(part) if row["error_class"] == "shed"]
    assert len(shed) >= 15
    assert "memory_floor_share" in shed[-1]["error_text"]


def test_failing_instances_leave_the_backlog(host_settings: HostSettings) -> None:
    shares = {"failure_share": 0.3, "silent_share": 0.2}
    part = churn(host_settings, shares, rate_per_s=10, duration_s=20, ready_deadline_s=2)
    outcomes = Counter(row["outcome"] for row in arrivals(part))
    assert set(outcomes) == {"ok", "failed", "timeout"}
    assert series(part, "backlog")[-1] == 0
    assert series(part, "readied")[-1] == outcomes["ok"]


def test_a_hold_is_cut_by_the_end_of_the_drain(host_settings: HostSettings) -> None:
    part = churn(host_settings, rate_per_s=2, duration_s=10, hold_s=3600, drain_s=3)
    assert Counter(row["outcome"] for row in arrivals(part)) == {"ok": 20}
    assert max(row["t_stop_call"] for row in arrivals(part)) <= 14 * S


def test_residents_are_there_and_are_no_leak(host_settings: HostSettings) -> None:
    part = churn(host_settings, rate_per_s=5, duration_s=10, residents=4)
    assert set(series(part, "residents")) == {4}
    assert [series(part, f"leaked_{kind}") for kind in ("records", "processes", "mounts")] == [[0]] * 3
    assert part.record.facts["findings"]["census"]["before"]["records"] == 4


def test_a_resident_that_dies_is_seen(host_settings: HostSettings) -> None:
    part = churn(host_settings, {"exit_share": 0.5}, rate_per_s=5, duration_s=5, residents=8)
    up = [row for row in instances(part) if row["resident"] and row["outcome"] == "ok"]
    assert 0 < len(up) < 8
    assert set(series(part, "residents")) == {len(up)}


def test_leaks_are_counted_and_swept(host_settings: HostSettings) -> None:
    part = churn(host_settings, {"leak_share": 0.1}, rate_per_s=10, duration_s=60)
    (mounts,) = series(part, "leaked_mounts")
    low, high = stats.binom.interval(0.999, 600, 0.1)
    assert low <= mounts <= high
    assert part.record.verdict == "valid"
    again = churn(host_settings, {"leak_share": 0.0}, rate_per_s=10, duration_s=5)
    assert again.record.facts["findings"]["census"]["before"]["mounts"] == 0


def test_what_a_create_that_was_given_up_has_made_is_no_leak(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine finishes the call behind the back of one who no longer waits for it."""

    class Slow(RealTimeDriver):
        async def create(self, spec: Any) -> Instance:
            return await asyncio.shield(super().create(spec))

    use_driver(monkeypatch, Slow)
    slow = FAST | {"create_ms": 300, "sigma": 0}
    part = churn(host_settings, slow, rate_per_s=10, duration_s=1, ready_deadline_s=0.1)
    assert {row["outcome"] for row in arrivals(part)} == {"timeout"}
    assert series(part, "leaked_records") == [0]
    assert machines[host_settings.name] == {}


@pytest.mark.parametrize("params", [{"rate_per_s": 1000, "duration_s": 1000}, {"rate_per_s": 0.001}])
def test_plans_of_too_many_or_no_arrivals_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="100000 arrivals"):
        ChurnParams(**params)


def test_what_is_needed_of_a_driver() -> None:
    assert Experiment.needs(ChurnParams()) == {Capability.CONSOLE}
    assert Capability.GRACEFUL_STOP in Experiment.needs(ChurnParams(graceful=True))


def small_churn(host: HostSettings, driver: str, **changes: Any) -> Part:
    """A few come and go beside one that stays, on a real engine."""
    params = {"rate_per_s": 2, "duration_s": 3, "residents": 1, "hold_s": 0.2, "ready_deadline_s": 60}
    trial = {"experiment": "churn", "driver": driver, "params": params, "deadline_s": 200.0}
    return measure(host, **(trial | changes))


def check_nothing_is_left(part: Part, kinds: set[str]) -> None:
    assert part.record.outcome == "completed", part.record.error_text
    assert {row["outcome"] for row in instances(part)} == {"ok"}, instances(part)
    before = part.record.facts["findings"]["census"]["before"]
    assert {kind for kind in kinds if before[kind] > 0} == kinds, before  # the resident is seen
    for kind in ("records", "files", "processes", "cgroups", "mounts"):
        assert series(part, f"leaked_{kind}") == [0], kind


def test_bare_processes_leave_nothing(host_settings: HostSettings) -> None:
    check_nothing_is_left(small_churn(host_settings, "process"), {"processes", "files"})


@pytest.mark.docker
def test_containers_leave_nothing(docker_engine: DockerEngine, host_settings: HostSettings) -> None:
    host = host_settings.model_copy(update={"docker_socket": docker_engine.socket})
    part = small_churn(host, "docker")
    seen = {"records", "processes", "cgroups", "namespaces"}
    if docker_engine.pid is not None:
        seen |= {"engine_fds", "engine_rss"}
    check_nothing_is_left(part, seen)


@pytest.mark.libvirt
@pytest.mark.timeout(240)
def test_machines_leave_nothing(
    libvirt_engine: str, host_settings: HostSettings, shared_state_dir: Path
) -> None:
    update = {"libvirt_uri": libvirt_engine, "state_dir": shared_state_dir}
    host = host_settings.model_copy(update=update)
    few = {"rate_per_s": 0.5, "duration_s": 6, "residents": 1, "hold_s": 0.2, "drain_s": 60}
    part = small_churn(host, "libvirt", params=few, settings={"accel": "tcg"})
    check_nothing_is_left(part, {"records", "processes", "files", "cgroups"})
