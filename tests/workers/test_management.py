"""management: effects, interruptions and failures of simulated verbs; verbs on real engines."""

from pathlib import Path
from typing import Any

import pytest
from engines import DockerEngine
from simulation import instances, measure

import workers.run
from contract.parts import Part
from contract.verbs import OPERATIONS
from workers.experiments.silence import first_good_run, longest_silence_ns, lost
from workers.prober import Slot
from workers.settings import HostSettings

MS = 1_000_000
EXACT = {"sigma": 0, "verb_effect_ms": 60, "verb_call_ms": 40, "reply_ms": 1}
SHORT = {"operations": 3, "calm_s": 0.5, "hold_s": 0.5}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here depends on a quiet host."""
    monkeypatch.setattr(workers.run, "QUIET_WAIT_S", 0.0)
    monkeypatch.setattr(workers.run, "QUIET_PROBE_S", 0.01)


def management(
    host: HostSettings, verb: str, settings: dict[str, Any] | None = None, **params: Any
) -> Part:
    return measure(
        host,
        experiment="management",
        params=SHORT | {"verb": verb} | params,
        settings=EXACT | (settings or {}),
        deadline_s=3600.0,
    )


def verbs(part: Part) -> list[dict[str, Any]]:
    return [row for row in instances(part) if not row["resident"]]


def effects(part: Part) -> list[float | None]:
    return [r["t_ready"] - r["t_call"] if r["t_ready"] else None for r in verbs(part)]


def values(part: Part, metric: str) -> list[float | None]:
    rows = part.tables["samples"].to_pylist()
    return [row["value"] for row in rows if row["metric"] == f"management.{metric}"]


@pytest.mark.parametrize("verb", OPERATIONS)
def test_every_verb_has_its_effect(host_settings: HostSettings, verb: str) -> None:
    part = management(host_settings, verb, residents=3, updated=2)
    assert part.record.outcome == "completed", part.record.error_text
    assert {row["outcome"] for row in instances(part)} == {"ok"}, instances(part)
    assert len(verbs(part)) == 3 * len(OPERATIONS[verb])
    assert len(values(part, "interruption")) == len(values(part, "jitter")) == 3
    matrix = part.record.facts["findings"]["management"]
    assert {support["kind"] for support in matrix.values()} == {"native", "emulated"}


@pytest.mark.parametrize("verb", ["cpu", "memory", "rename", "snapshot"])
def test_the_effect_is_not_the_calls_return(host_settings: HostSettings, verb: str) -> None:
    part = management(host_settings, verb)
    for effect in effects(part):
        assert effect == pytest.approx(60 * MS, abs=4 * MS)  # a look takes place every 2 ms
    assert values(part, "call") == [pytest.approx(40 * MS)] * len(verbs(part))
    assert values(part, "interruption") == [0, 0, 0]
    assert values(part, "lost_requests") == [0, 0, 0]


def test_a_pause_is_seen_by_silence_and_a_resume_by_an_answer(host_settings: HostSettings) -> None:
    part = management(host_settings, "pause", hold_s=2)
    paused, resumed = effects(part)[::2], effects(part)[1::2]
    for effect in paused:
        assert effect == pytest.approx(60 * MS, abs=21 * MS)  # one period of the probe
    assert resumed == [pytest.approx(60 * MS, abs=2 * MS)] * 3
    for silence in values(part, "interruption"):
        assert silence is not None
        assert 2000 * MS < silence < 2300 * MS  # the hold, and what tells that it is silent
    assert all((lost or 0) > 70 for lost in values(part, "lost_requests"))  # but for half a second's


def test_an_interruption_is_seen_within_a_period(host_settings: HostSettings) -> None:
    part = management(host_settings, "cpu", {"verb_freeze_ms": 700}, operations=5)
    for silence in values(part, "interruption"):
        assert silence == pytest.approx(700 * MS, abs=21 * MS)
    assert values(part, "jitter") == [0] * 5


def test_what_a_driver_lacks_is_not_applicable(host_settings: HostSettings) -> None:
    part = management(host_settings, "pause", {"verbs_none": "resume"})
    assert part.record.outcome == "completed"
    assert part.record.verdict == "valid"
    assert {(r["outcome"], r["error_class"]) for r in instances(part)} == {("skipped", "not_applicable")}
    assert part.record.facts["findings"]["management"]["resume"]["kind"] == "none"
    assert values(part, "interruption") == values(part, "call") == []


def test_a_refused_verb_is_a_failure_and_its_counterpart_is_not_tried(
    host_settings: HostSettings,
) -> None:
    part = management(host_settings, "cpu", {"verb_refused_share": 1})
    rows = verbs(part)
    assert [row["error_class"] for row in rows] == ["engine_error", "not_tried"] * 3
    assert [row["outcome"] for row in rows] == ["failed", "skipped"] * 3
    assert values(part, "interruption") == [0, 0, 0]  # it was called, and nothing happened


def test_a_verb_without_effect_is_late(host_settings: HostSettings) -> None:
    part = management(host_settings, "rename", {"verb_lost_share": 1}, effect_deadline_s=2)
    assert [(r["outcome"], r["error_class"]) for r in verbs(part)] == [("timeout", "no_effect")] * 3


def test_a_broken_instance_ends_the_trials_operations(host_settings: HostSettings) -> None:
    part = management(host_settings, "cpu", {"verb_broken_share": 1}, effect_deadline_s=2)
    rows = verbs(part)
    assert [row["error_class"] for row in rows[:2]] == [None, "broken"]
    assert [(r["outcome"], r["error_class"]) for r in rows[2:]] == [("skipped", "broken")] * 4
    assert values(part, "interruption") == [None]
    assert values(part, "lost_requests") == [None]


def test_no_verb_is_tried_on_what_does_not_become_ready(host_settings: HostSettings) -> None:
    part = management(host_settings, "list", {"silent_share": 1}, ready_deadline_s=1, residents=2)
    assert part.record.outcome == "failed"
    assert {row["error_class"] for row in verbs(part)} == {"not_ready"}


def test_an_update_may_bring_the_new_one_first(host_settings: HostSettings) -> None:
    settings = {"boot_ms": 800}
    last = management(host_settings, "update", settings, updated=3, operations=1)
    first = management(
        host_settings, "update", settings, updated=3, operations=1, update_order="start_first"
    )
    (silence,) = values(last, "interruption")
    assert silence is not None
    assert silence > 800 * MS
    assert values(first, "interruption") == [0]
    assert values(first, "lost_requests") == [0]
    assert len(values(first, "replaced")) == 3


def slots(*latencies: int | None) -> list[Slot]:
    """A probe a second, with so many seconds until its answer."""
    return [Slot(t, None if took is None else t + took) for t, took in enumerate(latencies)]


def test_the_longest_silence() -> None:
    calm = slots(0, 0, 0, 0, 0, 0)
    assert longest_silence_ns(calm, 2, 5, 1, 1) == 0
    lost_three = slots(0, 0, None, None, None, 0, 0)
    assert longest_silence_ns(lost_three, 2, 6, 1, 1) == 3
    assert lost(lost_three, 2, 6, 1) == 3
    late = slots(0, 0, 3, 2, 1, 0, 0)  # all answered at 5, of which two are too late for anybody
    assert longest_silence_ns(late, 2, 6, 1, 1) == 3
    assert lost(late, 2, 6, 1) == 2
    assert longest_silence_ns(slots(None, None, 0), 0, 2, 1, 1) is None


def test_good_replies_in_a_row() -> None:
    probe = slots(0, 0, None, 0, 5, 0, 0, 0)
    run = first_good_run(probe, 1, 3, 1)
    assert run is not None
    assert [slot.t_due for slot in run] == [5, 6, 7]
    assert first_good_run(probe, 6, 3, 1) is None


LIMITS = {"cpus": 1, "memory_mib": 128}
QUICK = {"operations": 1, "calm_s": 0.2, "hold_s": 0.3, "effect_deadline_s": 30}


def check_real(part: Part) -> None:
    assert part.record.outcome == "completed", part.record.error_text
    assert {row["outcome"] for row in instances(part)} == {"ok"}, instances(part)
    assert not [why for why in part.record.reasons if "left behind" in why]
    assert None not in values(part, "interruption")


@pytest.mark.parametrize("verb", ["exec", "pause", "stop", "restart", "cpu"])
def test_verbs_on_processes(host_settings: HostSettings, verb: str) -> None:
    params = QUICK | {"verb": verb}
    check_real(
        measure(host_settings, experiment="management", driver="process", params=params, limits=LIMITS)
    )


@pytest.mark.docker
@pytest.mark.parametrize("verb", ["restart", "snapshot", "update"])
def test_verbs_on_containers(
    docker_engine: DockerEngine, host_settings: HostSettings, verb: str
) -> None:
    host = host_settings.model_copy(update={"docker_socket": docker_engine.socket})
    params = QUICK | {"verb": verb, "updated": 2}
    part = measure(host, experiment="management", driver="docker", params=params, limits=LIMITS)
    check_real(part)
    if verb == "snapshot":  # an image holds files, and no memory
        assert values(part, "memory_kept") == [0]


@pytest.mark.libvirt
@pytest.mark.timeout(240)
def test_a_machine_comes_back_from_its_checkpoint_with_its_memory(
    libvirt_engine: str, host_settings: HostSettings, shared_state_dir: Path
) -> None:
    update = {"libvirt_uri": libvirt_engine, "state_dir": shared_state_dir}
    part = measure(
        host_settings.model_copy(update=update),
        experiment="management",
        driver="libvirt",
        params=QUICK | {"verb": "checkpoint", "probe_rate_per_s": 20},
        settings={"accel": "tcg"},
        limits=LIMITS,
    )
    check_real(part)
    assert values(part, "memory_kept") == [1]
