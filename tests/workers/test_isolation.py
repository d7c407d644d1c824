"""isolation: phases, harm, silence; stress on real engines, and that nothing of it is left."""

from pathlib import Path
from statistics import median
from typing import Any

import pytest
from engines import DockerEngine
from simulation import instances, measure

import workers.run
from contract.parts import Part
from workers.settings import HostSettings

MS = 1_000_000
PARAMS = {"phase_s": 10, "ramp_s": 1, "rate_per_s": 10, "stressors": 3}
EXACT = {"work_ms": 20, "work_sigma": 0, "harm_per_stressor": 0.5, "harm_limited": 0.2}
LIMITS = {"cpus": 0.5, "memory_mib": 64}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here depends on a quiet host."""
    monkeypatch.setattr(workers.run, "QUIET_WAIT_S", 0.0)


def isolation(host: HostSettings, settings: dict[str, Any] | None = None, **params: Any) -> Part:
    return measure(
        host,
        experiment="isolation",
        params=PARAMS | params,
        settings=settings or {},
        limits=LIMITS,
        deadline_s=3600.0,
    )


def values(part: Part, metric: str, step: int | None = None) -> list[float | None]:
    rows = part.tables["samples"].to_pylist()
    return [r["value"] for r in rows if r["metric"] == metric and step in (None, r["step"])]


@pytest.mark.parametrize(("limited", "factor"), [(True, 1.3), (False, 2.5)])
def test_a_victim_suffers_while_its_neighbours_are_bad(
    host_settings: HostSettings, limited: bool, factor: float
) -> None:
    part = isolation(host_settings, EXACT, limited=limited)
    assert part.record.outcome == "completed", part.record.error_text
    before, under, after = (values(part, "isolation.latency", step) for step in range(3))
    assert set(before) == {20 * MS}
    # The first may be on its way when stress ends, and ending it takes the phase a moment longer.
    assert set(sorted(after)[:-1]) == {20 * MS}
    assert median(under) == pytest.approx(20 * MS * factor)
    assert (len(before), len(after)) in ((100, 100), (100, 101))
    assert values(part, "isolation.phase", 0) == [pytest.approx(1e10)]
    assert None not in values(part, "isolation.calm")
    assert len(values(part, "isolation.calm")) == 3
    assert [row["resident"] for row in instances(part)] == [False, True, True, True]


def test_what_is_not_answered_is_null_and_no_failure_of_the_trial(host_settings: HostSettings) -> None:
    part = isolation(host_settings, EXACT | {"harm_lost_share": 1}, limited=False)
    assert part.record.outcome == "completed"
    assert None not in values(part, "isolation.latency", 0)
    lost = values(part, "isolation.latency", 1)
    assert lost.count(None) >= 99  # one at most is sent before the first stressor has begun


def test_an_answer_after_patience_is_none(host_settings: HostSettings) -> None:
    settings = EXACT | {"work_ms": 900}
    part = isolation(host_settings, settings, limited=False, patience_s=1, rate_per_s=1)
    assert None not in values(part, "isolation.latency", 0)
    assert None in values(part, "isolation.latency", 1)


def test_a_trial_without_all_its_stressors_is_not_believed(host_settings: HostSettings) -> None:
    part = isolation(host_settings, {"silent_share": 0.6}, ready_deadline_s=1, stressors=20)
    assert part.record.verdict == "invalid"
    assert values(part, "isolation.latency") == []


def test_limits_are_wanted(host_settings: HostSettings) -> None:
    part = measure(host_settings, experiment="isolation", params=PARAMS)
    assert part.record.error_class == "campaign"


def test_what_would_take_the_host_down_is_refused(host_settings: HostSettings) -> None:
    greedy = {"stress": "alloc", "alloc_mib": 60_000, "limited": False}
    part = isolation(host_settings, {"mem_total_mib": 65_536}, **greedy)
    assert part.record.error_class == "campaign"
    assert "floor" in str(part.record.error_text)
    bomb = {"stress": "fork", "pids_guard": 4096, "stressors": 10, "limited": False}
    part = isolation(host_settings, {"pids_max": 32_768}, **bomb)
    assert part.record.error_class == "campaign"


LITTLE = {"phase_s": 0.8, "ramp_s": 0.2, "rate_per_s": 10, "stressors": 1, "work": "ping", "streams": 1}
BOUNDED = {"pids_guard": 40, "pids": 24, "alloc_mib": 64}


def check_real(part: Part) -> None:
    assert part.record.outcome == "completed", part.record.error_text
    assert {row["outcome"] for row in instances(part)} == {"ok"}, instances(part)
    assert not [why for why in part.record.reasons if "left behind" in why]
    assert None not in values(part, "isolation.calm")
    assert len(values(part, "isolation.calm")) == 1
    assert values(part, "isolation.latency", 2)


@pytest.mark.parametrize("stress", ["fork", "flood"])
def test_stress_in_processes_ends_without_a_trace(host_settings: HostSettings, stress: str) -> None:
    params = LITTLE | BOUNDED | {"stress": stress, "limited": False}
    check_real(
        measure(host_settings, experiment="isolation", driver="process", params=params, limits=LIMITS)
    )


@pytest.mark.docker
@pytest.mark.parametrize(("stress", "limited"), [("fork", True), ("flood", False)])
def test_stress_in_containers_ends(
    docker_engine: DockerEngine, host_settings: HostSettings, stress: str, limited: bool
) -> None:
    host = host_settings.model_copy(update={"docker_socket": docker_engine.socket})
    params = LITTLE | BOUNDED | {"stress": stress, "limited": limited}
    check_real(measure(host, experiment="isolation", driver="docker", params=params, limits=LIMITS))


@pytest.mark.libvirt
@pytest.mark.timeout(240)
def test_stress_in_machines_ends(
    libvirt_engine: str, host_settings: HostSettings, shared_state_dir: Path
) -> None:
    update = {"libvirt_uri": libvirt_engine, "state_dir": shared_state_dir}
    host = host_settings.model_copy(update=update)
    part = measure(
        host,
        experiment="isolation",
        driver="libvirt",
        params=LITTLE | {"stress": "cpu"},
        settings={"accel": "tcg"},
        limits={"cpus": 1, "memory_mib": 128},
    )
    check_real(part)
    assert part.record.emulated
