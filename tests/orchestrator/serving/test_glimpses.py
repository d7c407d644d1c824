"""What a part shows of its experiment: the same numbers as the report's, and what counts as never."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import tonnage
from trials import make_record, make_trial

import contract.parts
from analysis.cells import Cells
from analysis.dataset import open_dataset
from analysis.metrics import measures_by_experiment
from contract.rows import InstanceRow, Rows, Sample
from contract.tables import trial_tables
from orchestrator.cli.serving.glimpses import glimpse_of
from orchestrator.cli.serving.glimpses.base import Sight
from orchestrator.cli.serving.measured import Measured
from orchestrator.cli.views.reading import CampaignReader
from workers.discover import build_catalog

MS = 1_000_000
NEVER = float("inf")


def see(
    experiment: str,
    instances: list[InstanceRow] | None = None,
    samples: list[Sample] | None = None,
    params: dict[str, Any] | None = None,
    **changes: Any,
) -> list[Sight]:
    trial = make_trial(experiment=experiment, params=params or {})
    tables = trial_tables(Rows(instances or [], samples or []), trial.trial_id, 1)
    part = contract.parts.Part(make_record(trial, **changes), tables)
    return [one for one in glimpse_of(experiment)(part) if one.values.size]


def values(sights: list[Sight], place: int = 0) -> list[float]:
    return sorted(float(value) for value in sights[place].values / MS)


def test_attempts_that_count_are_those_of_the_report() -> None:
    sights = see(
        "lifecycle",
        [
            InstanceRow(0, "ok", t_intent=0, t_ready=10 * MS, t_stop_call=20 * MS, t_gone=25 * MS),
            InstanceRow(1, "timeout", t_intent=0),
            InstanceRow(2, "failed", t_intent=0, t_ready=30 * MS, t_stop_call=40 * MS),
            InstanceRow(3, "ok", warm_up=True, t_intent=0, t_ready=9),
            InstanceRow(4, "ok", resident=True, t_intent=0, t_ready=9),
            InstanceRow(5, "failed", error_class="cancelled", t_intent=0),
            InstanceRow(6, "skipped"),
        ],
    )
    assert [one.view.title for one in sights] == ["Time until ready", "Time until gone"]
    assert values(sights, 0) == [10, 30, NEVER]
    assert values(sights, 1) == [5, NEVER]


def test_what_came_back_after_the_deadline_never_came_back() -> None:
    rows = [
        InstanceRow(0, resident=True),
        InstanceRow(1, "ok", victim=0, t_fault=0, t_ready=900 * MS),
        InstanceRow(2, "ok", victim=0, t_fault=0, t_ready=1100 * MS),
        InstanceRow(3, "censored", victim=0, t_fault=0),
        InstanceRow(4, "failed", victim=0),
        InstanceRow(5, "failed", victim=0, t_fault=0, error_class="cancelled"),
    ]
    params = {"recovery_deadline_s": 1}
    assert values(see("recovery", rows, params=params)) == [900, NEVER, NEVER]
    assert values(see("failover", rows[:3], params=params)) == [900, NEVER]


def test_verbs_are_told_apart_and_what_a_driver_lacks_is_no_failure() -> None:
    rows = [
        InstanceRow(0, "ok", resident=True),
        InstanceRow(1, "ok", victim=0, t_call=0, t_ready=7 * MS),
        InstanceRow(2, "failed", victim=0, t_call=0, t_ready=8 * MS),
        InstanceRow(3, "ok", victim=0, t_call=0, t_ready=9 * MS),
        InstanceRow(4, "skipped", error_class="not_applicable", victim=0),
    ]
    sights = see("management", rows, params={"verb": "pause"})
    assert {one.name: (one.values / MS).tolist() for one in sights} == {
        "pause": [7, 9],
        "resume": [NEVER],
    }
    assert see("management", rows, params={"verb": "unheard of"}) == []


def test_a_victim_is_seen_by_phase_without_its_ramp() -> None:
    samples = [Sample(step * 10, "isolation.phase", 10.0, "ns", step=step) for step in range(3)]
    samples += [
        Sample(10 * step + since, "isolation.latency", value, "ns", step=step)
        for step, since, value in [(0, 0, 1.0), (0, 5, 2.0), (1, 5, None), (1, 6, 4.0), (2, 5, 5.0)]
    ]
    sights = see("isolation", samples=samples, params={"ramp_s": 3e-9})
    assert {one.name: one.values.tolist() for one in sights} == {
        "before": [2],
        "under stress": [NEVER, 4],
        "after": [5],
    }
    assert see("isolation", samples=samples, params={"ramp_s": 0}, outcome="failed") == []


def test_a_climb_is_seen_above_its_empty_host_and_on_the_way_up_only() -> None:
    samples = []
    for step, (n, way, used) in enumerate([(0, 1, 100), (10, 1, 150), (10, -1, 190), (0, -1, 120)]):
        for name, value in (("instances", n), ("direction", way), ("mem_used", used)):
            samples += [Sample(step, f"density.{name}", float(value), "1", step=step)]
    samples += [Sample(1, "density.probe", value, "ns", step=1) for value in (5.0, 6.0, None)]
    sights = see("density", samples=samples)
    assert [(one.name, one.level, one.values.tolist()) for one in sights] == [
        ("", 0, [0]),
        ("", 10, [50]),
        ("median", 10, [6]),
        ("99th percentile", 10, [NEVER]),
    ]


def test_a_command_is_seen_by_what_it_reported() -> None:
    rows = [
        InstanceRow(0, "ok", resident=True),
        InstanceRow(1, "ok", victim=0, t_call=0, t_ready=7, warm_up=True),
        InstanceRow(2, "ok", victim=0, t_call=0, t_ready=7),
        InstanceRow(3, "failed", victim=0, t_call=0),
    ]
    told = [Sample(9, "overhead.reported", v, "1/s", i) for i, v in ((1, 1.0), (2, 2.0), (3, None))]
    assert [one.values.tolist() for one in see("overhead", rows, told, {"unit": "1/s"})] == [[2]]
    assert [one.values.tolist() for one in see("overhead", rows, told)] == [[7, NEVER]]


def test_hosts_of_a_rollout_know_how_many_belong_together() -> None:
    rows = [InstanceRow(0, "ok", t_intent=0, t_ready=5 * MS)]
    facts = {"findings": {"rollout": {"hosts": ["h1", "h2"]}}}
    alone, together = see("rollout", rows, facts=facts)
    assert (together.of, len(together.name), values([together])) == (2, 32, [5])
    assert (alone.of, values([alone])) == (0, [5])
    elsewhere = [InstanceRow(0, "skipped", error_class="elsewhere")]
    assert see("rollout", elsewhere, facts=facts) == []


def test_an_experiment_of_others_is_seen_by_times_and_its_own_samples() -> None:
    samples = [
        Sample(0, "answering.reply", 5.0, "ns"),
        Sample(1, "answering.reply", None, "ns"),
        Sample(1, "answering.asked", 7.0, "count"),
        Sample(1, "host.cpu_busy", 5.0, "cpus"),
    ]
    sights = see("answering", [InstanceRow(0, "ok", t_intent=0, t_ready=MS)], samples)
    assert [(one.name, one.values.tolist()) for one in sights] == [
        ("", [MS]),
        ("answering.reply", [5]),
        ("answering.asked, count", [7]),
    ]


def test_every_experiment_here_has_a_glimpse_of_its_own() -> None:
    for name in build_catalog().experiments:
        assert glimpse_of(name).__module__.endswith(f".{name}"), name
    assert glimpse_of("base") is glimpse_of("others") is glimpse_of("../secret")


CAMPAIGN = {
    "campaign": "all",
    "blocks": 2,
    "deadline_s": 3600,
    "limits": {"cpus": 0.5, "memory_mib": 64},
    "profiles": {"quick": {"driver": "simulated", "start_ms": 15, "failure_share": 0.05}},
    "experiments": [
        {"experiment": name, "drivers": ["quick"], "params": params}
        for name, params in {
            "lifecycle": {"instances": 20, "concurrency": [1, 5]},
            "churn": {"rate_per_s": [5, 20], "duration_s": 20},
            "density": {
                "max_instances": 20,
                "step": 10,
                "settle_window_s": 5,
                "sample_s": 5,
                "probe_s": 5,
            },
            "recovery": {"fault": "kill", "supervision": ["none", "watcher"], "recovery_deadline_s": 9},
            "deployment": {"deployments": 5},
            "overhead": {"work": "cpu", "repeats": 5},
            "isolation": {"phase_s": 5, "ramp_s": 1},
            "management": {"verb": ["pause", "exec"], "operations": 3},
            "security": {},
            "rollout": {"size_mib": 10},
            "failover": {"residents": 4, "capacity": 8},
        }.items()
    ],
}
SAME = {
    ("lifecycle", "e2e p50"): "Time until ready",
    ("lifecycle", "delete p50"): "Time until gone",
    ("churn", "e2e p50"): "Time until ready",
    ("deployment", "deploy p50"): "Time until a release runs",
    ("overhead", "work p50"): "Time for the same work",
    ("recovery", "recover p50"): "Time to recover",
    ("management", "effect p50"): "Time until a verb has its effect",
}
"""Metrics of the report that are medians of what a picture shows."""


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder in which every experiment was measured on a simulated host."""
    folder = tmp_path_factory.mktemp("every")
    (folder / "c.yaml").write_text(yaml.safe_dump(CAMPAIGN))
    where = ["--name", "h1", "--state-dir", str(folder / "s"), "--run-dir", str(folder / "r")]
    ran = tonnage("run", "c.yaml", "--local", "--results", "out", "--no-report", *where, cwd=folder)
    assert ran.returncode in (0, 3), ran.stdout + ran.stderr
    return folder / "out"


def measured_in(folder: Path) -> Measured:
    reader, found = CampaignReader(folder), Measured()
    reader.read()
    while found.take(reader, 100):
        pass
    return found


def test_pictures_and_report_agree_on_medians_and_numbers(every: Path) -> None:
    found, compared = measured_in(every), set()
    with open_dataset(every / "dataset") as dataset:
        for experiment, measures in measures_by_experiment().items():
            cells = Cells(dataset, experiment)
            mine = {
                (one.cell.params, one.place[0].title): one.spread
                for one in reversed(found.experiments[experiment].series())
            }
            for measure in measures(cells):
                title = SAME.get((experiment, measure.metric.title))
                for cell in cells.cells if title else ():
                    theirs, own = measure.of(cell), mine[cell.params, title or ""]
                    assert theirs is not None
                    assert theirs.estimate.value == pytest.approx(own.quantile(0.5), rel=0.01)
                    assert theirs.n == own.n
                    compared.add((experiment, measure.metric.title))
    assert compared == SAME.keys()


def test_every_experiment_has_a_picture(every: Path) -> None:
    found = measured_in(every)
    assert not found.unread
    for experiment in build_catalog().experiments:
        made = found.draw(experiment, lambda seconds: None)
        assert made.pictures, experiment
        assert re.match("From [1-9]", made.rests_on)


def test_a_cell_is_that_of_the_report(every: Path) -> None:
    found = measured_in(every)
    with open_dataset(every / "dataset") as dataset:
        for experiment, observed in found.experiments.items():
            theirs = {(c.params, c.limits, c.image, c.virtual) for c in Cells(dataset, experiment).cells}
            assert {(c.params, c.limits, c.image, c.virtual) for c in observed.cells} <= theirs
