"""One trial from message to part: however it ends, one record, and one row per planned instance."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
from simulation import FAST, RealTimeDriver, instances, measure, use_driver
from trials import make_trial

import workers.run
from contract.catalog import Capability, Metric, Params
from contract.errors import EngineAbsent, EngineError, TrialCancelled
from contract.parts import Part, read_part
from contract.rows import InstanceRow
from workers.bench import Bench
from workers.drivers import simulated
from workers.drivers.base import Instance, InstanceSpec
from workers.engines.simulated_machine import SimulatedInstance, machines
from workers.experiments import base
from workers.experiments.lifecycle import Experiment as Lifecycle
from workers.ownership import Leftover
from workers.run import Assignment, run_trial
from workers.settings import HostSettings


def numbers(part: Part) -> list[int]:
    return [row["instance"] for row in instances(part)]


def outcomes(part: Part) -> Counter[tuple[str, str | None]]:
    return Counter((row["outcome"], row["error_class"]) for row in instances(part))


def test_a_trial_that_goes_well(host_settings: HostSettings) -> None:
    part = measure(host_settings, params={"instances": 5})
    record = part.record
    assert (record.outcome, record.verdict, record.reasons) == ("completed", "valid", ())
    assert (record.error_class, record.error_text) == (None, None)
    assert record.virtual
    assert not record.emulated
    assert outcomes(part) == {("ok", None): 5}
    assert record.facts["truth"]["boot_ms"] == 40
    assert {"tonnage", "python", "kernel", "simulated_version"} <= set(record.versions)
    assert record.duration_ns == max(row["t_reclaimed"] for row in instances(part))


@pytest.mark.parametrize(
    ("fate", "end"),
    [
        ("failure_share", ("failed", "engine_error")),
        ("hang_share", ("timeout", "engine_timeout")),
        ("silent_share", ("timeout", "agent_silent")),
        ("exit_share", ("failed", "exited")),
    ],
)
def test_every_fate_is_one_row(host_settings: HostSettings, fate: str, end: tuple[str, str]) -> None:
    part = measure(host_settings, params={"instances": 40}, settings={fate: 0.5}, deadline_s=7200.0)
    assert numbers(part) == list(range(40))
    assert part.record.outcome == "completed"
    assert set(outcomes(part)) == {("ok", None), end}
    for row in instances(part):
        assert (row["t_ready"] is None) == (row["outcome"] != "ok")
        assert (row["error_text"] is None) == (row["outcome"] == "ok")
        assert row["t_reclaimed"] is not None


def test_all_fates_at_once_with_warm_ups_and_residents(host_settings: HostSettings) -> None:
    shares = {"failure_share": 0.1, "hang_share": 0.1, "silent_share": 0.1, "exit_share": 0.1}
    params = {"instances": 60, "concurrency": 7, "warm_ups": 5, "residents": 6}
    part = measure(host_settings, params=params, settings=shares, deadline_s=7200.0)
    assert numbers(part) == list(range(71))
    assert len(outcomes(part)) == 5
    assert not machines.get(host_settings.name)


def test_when_nothing_becomes_ready_the_trial_has_failed(host_settings: HostSettings) -> None:
    part = measure(host_settings, settings={"failure_share": 1.0})
    record = part.record
    assert (record.outcome, record.verdict, record.error_class) == ("failed", "invalid", "engine_error")
    assert "no instance became ready; most often: the simulated engine refused" in str(record.error_text)
    assert outcomes(part) == {("failed", "engine_error"): 3}


@pytest.mark.parametrize(("deadline_s", "outcome"), [(1.0, "partial"), (0.05, "failed")])
def test_the_deadline_cuts_the_trial(
    host_settings: HostSettings, deadline_s: float, outcome: str
) -> None:
    part = measure(host_settings, params={"instances": 50, "concurrency": 3}, deadline_s=deadline_s)
    record, ends = part.record, outcomes(part)
    assert numbers(part) == list(range(50))
    assert (record.outcome, record.error_class) == (outcome, "deadline")
    assert f"within its deadline of {deadline_s:g} s" in str(record.error_text)
    assert record.verdict == ("suspect" if outcome == "partial" else "invalid")
    assert ends["skipped", "deadline"] > 20
    assert set(ends) <= {("ok", None), ("timeout", "deadline"), ("skipped", "deadline")}
    assert not machines.get(host_settings.name)


def test_an_instance_that_was_ready_at_the_deadline_keeps_its_row(host_settings: HostSettings) -> None:
    part = measure(host_settings, params={"instances": 1, "hold_s": 3600}, deadline_s=10.0)
    assert part.record.outcome == "partial"
    assert outcomes(part) == {("ok", None): 1}


def test_an_image_that_is_missing_is_the_reason(host_settings: HostSettings) -> None:
    part = measure(host_settings, image="missing:1")
    assert (part.record.outcome, part.record.error_class) == ("failed", "image")
    assert "image 'missing:1' does not exist" in str(part.record.error_text)
    assert outcomes(part) == {("skipped", "image"): 3}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"driver": "teleport"}, "no driver named 'teleport'; there are: "),
        ({"experiment": "teleport"}, "no experiment named 'teleport'; there are: "),
        ({"params": {"colour": 1}}, "settings or parameters this worker does not know"),
        ({"settings": {"colour": 1}}, "settings or parameters this worker does not know"),
    ],
)
def test_what_this_worker_does_not_know_is_a_record(
    host_settings: HostSettings, change: dict[str, Any], complaint: str
) -> None:
    record = measure(host_settings, **change).record
    assert (record.outcome, record.verdict, record.error_class) == ("failed", "invalid", "campaign")
    assert complaint in str(record.error_text)


def test_an_absent_engine_is_a_record(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent(simulated.Driver):
        async def open(self) -> None:
            raise EngineAbsent("no engine here; install one")

    use_driver(monkeypatch, Absent)
    part = measure(host_settings)
    assert (part.record.outcome, part.record.error_class) == ("failed", "engine_absent")
    assert outcomes(part) == {("skipped", "engine_absent"): 3}


class Broken(base.Experiment):
    """An experiment with a defect, on its own or in the middle of its instances."""

    name = "lifecycle"
    summary = Lifecycle.summary
    Params: ClassVar[type[Params]] = Lifecycle.Params
    metrics: ClassVar[tuple[Metric, ...]] = ()
    example = ""

    @classmethod
    def needs(cls, params: Any) -> frozenset[Capability]:
        return frozenset()

    @classmethod
    def plan_rows(cls, params: Any) -> list[InstanceRow]:
        return Lifecycle.plan_rows(params)

    async def run(self, bench: Bench) -> None:
        if bench.params.concurrency == 1:
            raise ZeroDivisionError("a defect")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stumble())
            group.create_task(asyncio.sleep(3600))

    async def _stumble(self) -> None:
        raise ZeroDivisionError("a defect")


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_defect_is_a_record_that_shows_its_place(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch, concurrency: int
) -> None:
    monkeypatch.setattr(workers.run, "find_experiment", lambda _: Broken)
    part = measure(host_settings, params={"instances": 3, "concurrency": concurrency})
    assert (part.record.outcome, part.record.error_class) == ("failed", "internal")
    assert "ZeroDivisionError: a defect" in str(part.record.error_text)
    assert "test_run.py" in str(part.record.error_text)
    assert outcomes(part) == {("skipped", "internal"): 3}


def test_a_timeout_of_an_experiment_is_not_the_trials_deadline(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(Broken):
        async def run(self, bench: Bench) -> None:
            raise TimeoutError("of a socket")

    monkeypatch.setattr(workers.run, "find_experiment", lambda _: Late)
    record = measure(host_settings).record
    assert record.error_class == "internal"
    assert "of a socket" in str(record.error_text)


@pytest.mark.parametrize("params", [{"instances": 9}, {"instances": 9, "arrival_rate_per_s": 1}])
def test_a_cancelled_trial_is_cleaned_up_and_leaves_no_part(
    host_settings: HostSettings, params: dict[str, Any]
) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 4

    trial = make_trial(host=host_settings.name, params={**params, "residents": 2, "hold_s": 60})
    with pytest.raises(TrialCancelled):
        run_trial(Assignment(trial, 1, host_settings, "boot", cancelled=cancelled))
    assert len(asked) == 5
    assert not machines.get(host_settings.name)


def test_the_same_trial_gives_the_same_rows(host_settings: HostSettings) -> None:
    params = {"instances": 20, "arrival_rate_per_s": 30.0, "residents": 3}
    settings = {"failure_share": 0.2, "sigma": 0.5, "slots": 2}
    first, second = (measure(host_settings, params=params, settings=settings) for _ in range(2))
    assert first.tables == second.tables
    assert measure(host_settings, params=params, settings=settings, seed=8).tables != first.tables


def test_leftovers_of_an_earlier_trial_are_swept_first(host_settings: HostSettings) -> None:
    machine = machines.setdefault(host_settings.name, {})
    spec = InstanceSpec(0, "old", "tiny", "n", make_trial().limits)
    machine["old"] = SimulatedInstance(spec)
    part = measure(host_settings)
    assert part.record.reasons == ("leftovers of an earlier trial that had to be removed first: 1",)
    assert part.record.verdict == "suspect"
    assert not machine


def test_an_instance_that_cannot_be_removed_is_a_leak_and_swept(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stubborn(simulated.Driver):
        async def remove(self, instance: Instance) -> None:
            await asyncio.sleep(1e6)

    use_driver(monkeypatch, Stubborn)
    part = measure(host_settings, deadline_s=7200.0)
    assert outcomes(part) == {("failed", "leak"): 3}
    assert "left behind by the trial and swept: 3" in part.record.reasons
    assert not machines.get(host_settings.name)


def test_the_first_cause_of_an_instances_end_is_kept(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Worse(simulated.Driver):
        async def remove(self, instance: Instance) -> None:
            raise EngineError("nor will it go")

    use_driver(monkeypatch, Worse)
    row = instances(measure(host_settings, settings={"exit_share": 1.0}))[0]
    assert (row["outcome"], row["error_class"]) == ("failed", "exited")
    assert row["error_text"].endswith("the console closed; then removal: nor will it go")


@pytest.mark.parametrize("error", [EngineError("gone"), OSError("gone")])
def test_a_failing_sweep_costs_no_results(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Unswept(simulated.Driver):
        asked = 0

        async def leftovers(self, host: str | None) -> list[Leftover]:
            self.asked += 1
            if self.asked > 1:
                raise error
            return []

    use_driver(monkeypatch, Unswept)
    part = measure(host_settings)
    assert (part.record.outcome, part.record.verdict) == ("completed", "suspect")
    assert outcomes(part) == {("ok", None): 3}


def wal_of(host: HostSettings) -> Path:
    return host.state_dir / "wal" / f"{make_trial(host=host.name, settings=FAST).trial_id}.jsonl"


def test_real_time_trials_write_ahead(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed trial would have left is looked at while the last instance goes."""
    seen: list[list[dict[str, Any]]] = []

    class Watched(RealTimeDriver):
        async def remove(self, instance: Instance) -> None:
            lines = wal_of(self.host).read_text().splitlines()
            seen.append([json.loads(line) for line in lines])
            await super().remove(instance)

    use_driver(monkeypatch, Watched)
    part = measure(host_settings, settings=FAST)
    assert outcomes(part) == {("ok", None): 3}
    assert seen[-1][0] == {"planned": 3}
    final = [line["instance"] for line in seen[-1] if "instance" in line]
    assert [(row["instance"], row["outcome"]) for row in final] == [(0, "ok"), (1, "ok")]
    assert all(row["t_reclaimed"] for row in final)


def test_real_time_trials_are_sampled_and_have_facts_of_the_host(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_driver(monkeypatch, RealTimeDriver)
    trial = make_trial(host=host_settings.name, settings=FAST)
    offset = Assignment(trial, 1, host_settings, "boot", clock_offset=lambda: (12, 3))

    part = read_part(run_trial(offset).data)
    assert not part.record.virtual
    assert (part.record.clock_offset_ns, part.record.clock_error_ns) == (12, 3)
    assert part.record.facts["cpu_count"] >= 1
    metrics = set(part.tables["samples"].column("metric").to_pylist())
    assert {"harness.cpu", "harness.lag_p99"} <= metrics


def test_virtual_time_writes_nothing_ahead(host_settings: HostSettings) -> None:
    measure(host_settings)
    assert not (host_settings.state_dir / "wal").exists()
