"""overhead: repetitions, failures, the guest's clock; small on real engines."""

from pathlib import Path
from typing import Any

import pytest
from engines import DockerEngine
from pydantic import ValidationError
from simulation import Row, instances, measure

import workers.run
from contract.catalog import Capability
from contract.parts import Part
from workers.discover import build_catalog, find_experiment
from workers.settings import HostSettings

MS = 1_000_000
PARAMS = {"work": "cpu", "repeats": 6, "warm_ups": 2}
LITTLE = {"cpu": 1, "mem": 16, "sys": 1000, "fork": 3, "disk": 1, "net": 20, "stream": 2, "ping": None}
REPORTS = {"work": "command", "unit": "bytes", "better": "lower"}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests keep the host busy: nothing here is about waiting for their end."""
    monkeypatch.setattr(workers.run, "QUIET_PROBE_S", 0.01)
    monkeypatch.setattr(workers.run, "QUIET_WAIT_S", 0.0)


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


def reported(part: Part) -> list[tuple[float | None, str]]:
    rows = part.tables["samples"].to_pylist()
    return [(row["value"], row["unit"]) for row in rows if row["metric"] == "overhead.reported"]


def test_links_need_two_instances_and_a_driver_that_links_them(host_settings: HostSettings) -> None:
    part = overhead(host_settings, {"work_ms": 60, "work_sigma": 0}, work="net")
    assert [row["instance"] for row in instances(part) if row["resident"]] == [0, 1]
    assert {row["t_ready"] - row["t_call"] for row in repetitions(part)} == {60 * MS}
    assert part.record.facts["findings"]["link"]["loopback"] is False
    experiment = find_experiment("overhead")
    assert Capability.LINK in experiment.needs(experiment.Params.model_validate({"work": "stream"}))
    assert Capability.LINK not in build_catalog().drivers["libvirt"].offers


def test_program_starts_are_timed_beside_what_consists_of_them(host_settings: HostSettings) -> None:
    part = overhead(host_settings, {"reply_ms": 3, "sigma": 0}, work="fsync")
    rows = part.tables["samples"].to_pylist()
    assert [row["value"] for row in rows if row["metric"] == "overhead.starting"] == [3 * MS] * 8
    assert part.record.outcome == "completed"


def test_a_command_reports_in_its_own_unit(host_settings: HostSettings) -> None:
    truth = {"work_ms": 60, "work_sigma": 0, "reported": 250.0}
    params = {"command": "x --y", "pattern": "(.)", "unit": "events/s", "better": "higher"}
    part = overhead(host_settings, truth, work="command", **params)
    assert reported(part) == [(250.0, "events/s")] * 8
    assert {row["t_ready"] - row["t_call"] for row in repetitions(part)} == {60 * MS}
    bare = overhead(host_settings, truth, work="command", command="x")
    assert (bare.record.outcome, reported(bare)) == ("completed", [])


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"work": "cpu", "command": "x"}, "'command' only with 'work: command'"),
        ({"work": "direct", "amount": 257, "file_mib": 1}, "'amount' of at most 256"),
        ({"work": "command"}, "with a 'command'"),
        ({"work": "command", "command": "x", "amount": 3}, "no 'amount'"),
        ({"work": "command", "command": "./x"}, "its absolute path"),
        ({"work": "command", "command": "x", "pattern": "(a)"}, "also 'unit' and 'better'"),
        ({"work": "command", "command": "x", "unit": "s"}, "only with 'pattern' or 'json_path'"),
        (REPORTS | {"command": "x", "pattern": "(a)", "json_path": "$.a"}, "not both"),
        (REPORTS | {"command": "x", "pattern": "a"}, "a pattern with a group"),
        (REPORTS | {"command": "x", "json_path": "a"}, "a path like"),
    ],
)
def test_half_a_command_is_refused(params: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        find_experiment("overhead").Params.model_validate(params)


@pytest.mark.parametrize(
    ("command", "pattern", "outcomes", "why"),
    [
        ("sh -c 'echo size 1,234.5'", "size (.*)", {"ok"}, None),
        ("nosuch", "(x)", {"failed", "skipped"}, "there is no program 'nosuch' in here"),
        ("sh -c 'echo broken >&2; exit 3'", "(x)", {"failed"}, "ended with 3; it said: broken"),
        ("sh -c 'echo other'", "size (.*)", {"failed"}, "it begins: 'other"),
        ("sh -c 'echo oops >&2'", "size (.*)", {"failed"}, "the errors end: oops"),
        ("dd if=/dev/zero bs=1M count=1", "(x)", {"failed"}, "more than 32 KiB"),
    ],
)
def test_processes_run_commands(
    host_settings: HostSettings, command: str, pattern: str, outcomes: set[str], why: str | None
) -> None:
    params = REPORTS | {"command": command, "pattern": pattern, "repeats": 2, "warm_ups": 0}
    part = measure(host_settings, experiment="overhead", driver="process", params=params)
    rows = repetitions(part)
    assert {row["outcome"] for row in rows} == outcomes
    assert {row["t_ready"] is None for row in rows} == {why is not None}
    if why is None:
        assert reported(part) == [(1234.5, "bytes")] * 2
    else:
        assert all(why in row["error_text"] for row in rows)
        assert {value for value, _ in reported(part)} == {None}


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
    linked = few | {"work": "net"}
    apart = measure(host, experiment="overhead", driver="docker", params=linked)
    assert "'network: bridge' in the profile gives one" in str(apart.record.error_text)
    if docker_engine.has_bridge:
        bridge = {"network": "bridge"}
        part = measure(host, experiment="overhead", driver="docker", params=linked, settings=bridge)
        check_work(part)
        assert part.record.facts["findings"]["link"]["loopback"] is False


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
