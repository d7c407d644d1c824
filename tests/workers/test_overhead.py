"""overhead: repetitions, failures, the guest's clock; small on real engines."""

from pathlib import Path
from typing import Any

import pytest
from engines import DockerEngine
from simulation import Row, instances, measure

from contract.parts import Part
from workers.settings import HostSettings

MS = 1_000_000
PARAMS = {"work": "cpu", "repeats": 6, "warm_ups": 2}
LITTLE = {"cpu": 1, "mem": 16, "sys": 1000, "fork": 3, "disk": 1, "ping": None}


def overhead(host: HostSettings, settings: dict[str, Any] | None = None, **params: Any) -> Part:
    return measure(
        host, experiment="overhead", params=PARAMS | params, settings=settings or {}, deadline_s=3600.0
    )


def repetitions(part: Part) -> list[Row]:
    return [row for row in instances(part) if not row["resident"]]


def inside(part: Part) -> list[float | None]:
    rows = part.tables["samples"].to_pylist()
    return [row["value"] for row in rows if row["metric"] == "overhead.inside"]


def test_every_repetition_is_a_row(host_settings: HostSettings) -> None:
    part = overhead(host_settings, {"work_ms": 60, "work_factor": 1.5, "work_sigma": 0})
    rows = repetitions(part)
    assert [row["warm_up"] for row in rows] == [True] * 2 + [False] * 6
    assert {row["victim"] for row in rows} == {0}
    assert {row["t_ready"] - row["t_call"] for row in rows} == {90 * MS}
    assert inside(part) == [pytest.approx(90 * MS)] * 8
    assert part.record.outcome == "completed"


def test_a_round_trip_says_nothing_of_the_inside(host_settings: HostSettings) -> None:
    part = overhead(host_settings, {"reply_ms": 3, "sigma": 0}, work="ping")
    assert {row["t_ready"] - row["t_call"] for row in repetitions(part)} == {3 * MS}
    assert inside(part) == []


def test_work_that_takes_too_long_ends_the_trial(host_settings: HostSettings) -> None:
    part = overhead(host_settings, {"work_ms": 5000}, work_deadline_s=2)
    first, *others = repetitions(part)
    assert (first["outcome"], first["error_class"]) == ("timeout", "agent_silent")
    assert first["t_ready"] is None
    assert {(row["outcome"], row["error_class"]) for row in others} == {("skipped", "not_ready")}
    assert part.record.outcome == "failed"


def test_an_instance_that_never_comes_does_no_work(host_settings: HostSettings) -> None:
    part = overhead(host_settings, {"silent_share": 1.0}, ready_deadline_s=1)
    assert {row["error_class"] for row in repetitions(part)} == {"not_ready"}
    assert part.record.verdict == "invalid"


def check_work(part: Part) -> None:
    assert part.record.outcome == "completed", part.record.error_text
    assert {row["outcome"] for row in repetitions(part)} == {"ok"}, repetitions(part)
    for row, seen_ns in zip(repetitions(part), inside(part), strict=False):
        assert seen_ns is not None
        assert seen_ns <= row["t_ready"] - row["t_call"] + 20 * MS


@pytest.mark.parametrize(("work", "amount"), LITTLE.items())
def test_processes_do_all_work(host_settings: HostSettings, work: str, amount: int | None) -> None:
    few = {"work": work, "amount": amount, "repeats": 2, "warm_ups": 0}
    check_work(measure(host_settings, experiment="overhead", driver="process", params=few))


@pytest.mark.docker
def test_containers_do_work(docker_engine: DockerEngine, host_settings: HostSettings) -> None:
    host = host_settings.model_copy(update={"docker_socket": docker_engine.socket})
    few = {"work": "fork", "amount": 3, "repeats": 2, "warm_ups": 0}
    check_work(measure(host, experiment="overhead", driver="docker", params=few))


@pytest.mark.libvirt
@pytest.mark.timeout(240)
def test_machines_do_work_and_their_clock_is_looked_at(
    libvirt_engine: str, host_settings: HostSettings, shared_state_dir: Path
) -> None:
    update = {"libvirt_uri": libvirt_engine, "state_dir": shared_state_dir}
    host = host_settings.model_copy(update=update)
    few = {"work": "cpu", "amount": 1, "repeats": 2, "warm_ups": 0}
    part = measure(host, experiment="overhead", driver="libvirt", params=few, settings={"accel": "tcg"})
    check_work(part)
    drift = part.record.facts["findings"]["guest_clock"]
    assert abs(drift["drift"]) < 0.001 + drift["error"]
