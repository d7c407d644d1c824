"""density: its shape, every rule that ends it, guard rails that hold, and a host that is left clean."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from engines import DockerEngine
from pydantic import ValidationError
from simulation import Row, instances, measure

from contract.parts import Part
from workers.engines.simulated_machine import machines
from workers.experiments.density import DensityParams, Experiment
from workers.gauge import read_gauge
from workers.settings import HostSettings

SHORT = {"settle_window_s": 1, "settle_deadline_s": 5, "sample_s": 2, "probe_s": 2}
HOST_MIB = 2048
"""A small simulated host: 1024 MiB in use, and 5 MiB more per instance."""
SMALL = {"mem_total_mib": HOST_MIB, "mem_base_mib": 1024, "mem_noise_mib": 0.5, "sigma": 0.0}


def trial(host: HostSettings, settings: dict[str, Any] | None = None, **params: Any) -> Part:
    params = SHORT | {"max_instances": 60, "step": 20} | params
    changes = {"settings": SMALL | (settings or {}), "deadline_s": 80_000.0}
    return measure(host, experiment="density", params=params, **changes)


def findings(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = part.record.facts["findings"]["density"]
    return found


def samples(part: Part, metric: str) -> list[Row]:
    found = part.tables["samples"].to_pylist()
    return [sample for sample in found if sample["metric"] == f"density.{metric}"]


def heights(part: Part) -> list[tuple[int, int]]:
    """Direction and instances of every step."""
    ways = {sample["step"]: round(sample["value"]) for sample in samples(part, "direction")}
    return [(ways[s["step"]], round(s["value"])) for s in samples(part, "instances")]


def test_up_to_the_count_and_down_again(host_settings: HostSettings) -> None:
    part = trial(host_settings)
    assert (part.record.outcome, part.record.verdict) == ("completed", "valid")
    up = [(1, 0), (1, 20), (1, 40), (1, 60)]
    assert heights(part) == [*up, (-1, 40), (-1, 20), (-1, 0)]
    found = findings(part)
    assert (found["stop_rule"], found["knee"], found["peak_instances"]) == ("count", "censored", 60)
    assert found["limiting"] == "memory"
    assert found["mem_slope_bytes"] / 2**20 == pytest.approx(5, abs=0.2)
    assert {row["outcome"] for row in instances(part)} == {"ok"}
    assert all(row["t_reclaimed"] is not None for row in instances(part))
    assert not machines.get(host_settings.name)


@pytest.mark.parametrize("metric", [m.name.removeprefix("density.") for m in Experiment.metrics])
def test_every_declared_metric_is_emitted_with_its_step(
    host_settings: HostSettings, metric: str
) -> None:
    found = samples(trial(host_settings), metric)
    assert found
    assert all(sample["step"] is not None for sample in found)


def test_steps_grow_with_what_is_there(host_settings: HostSettings) -> None:
    part = trial(host_settings, max_instances=100, step=10, step_share=0.5, descend=False)
    assert [height for _, height in heights(part)] == [0, 10, 20, 30, 45, 67, 100]


RULES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("memory_floor", {}, {"max_instances": 1000}, "memory"),
    ("memory_pressure", {"pressure_share": 0.3}, {"max_instances": 1000}, "memory"),
    ("swap", {"swap_share": 0.3}, {"max_instances": 1000, "psi_memory_full_percent": None}, "memory"),
    ("start_failures", {"wall_instances": 30}, {}, "start"),
    ("slo", {"knee_instances": 20, "knee_rise": 5}, {"slo_p99_ms": 15}, "slo"),
    ("pids", {"pids_max": 400, "pids_per_instance": 5}, {"max_instances": 1000}, "pids"),
    ("deadline", {}, {"max_instances": 1000, "staircase_deadline_s": 20}, "memory"),
]


@pytest.mark.parametrize(("rule", "settings", "params", "ends"), RULES, ids=[r[0] for r in RULES])
def test_every_rule_ends_it_in_order(
    host_settings: HostSettings,
    rule: str,
    settings: dict[str, Any],
    params: dict[str, Any],
    ends: str,
) -> None:
    part = trial(host_settings, settings, **params)
    found = findings(part)
    assert part.record.outcome == "completed"
    assert (found["stop_rule"], found["limiting"]) == (rule, ends)
    assert found["stop_text"]
    ended = Counter(row["outcome"] for row in instances(part))
    assert ended["ok"] + ended["failed"] + ended["skipped"] == len(instances(part))
    left_out = [row for row in instances(part) if row["outcome"] == "skipped"]
    assert {(row["error_class"], row["error_text"]) for row in left_out} <= {
        ("stopped", found["stop_text"])
    }
    assert not machines.get(host_settings.name)


@pytest.mark.parametrize("concurrency", [1, 16])
def test_the_floor_is_never_crossed(host_settings: HostSettings, concurrency: int) -> None:
    """Fifty at a step, each growing for a while after it is ready: the worst for a guard."""
    params = {"max_instances": 1000, "step": 50, "memory_floor_share": 0.25, "concurrency": concurrency}
    found = findings(trial(host_settings, {"mem_settle_s": 3}, **params))
    assert found["stop_rule"] == "memory_floor"
    noise_bytes = 4 * 0.5 * 2**20  # of a reading
    assert found["lowest_available_bytes"] >= found["memory_floor_bytes"] - noise_bytes
    assert found["peak_instances"] > 60  # and it came near


def test_a_hundred_thousand_are_asked_for_and_a_few_started(host_settings: HostSettings) -> None:
    part = trial(host_settings, max_instances=100_000, step=50, descend=False)
    ended = Counter(row["outcome"] for row in instances(part))
    assert part.record.outcome == "completed"
    assert ended["ok"] == findings(part)["peak_instances"] < 1000
    assert ended["ok"] + ended["skipped"] == 100_000


def test_what_stays_after_the_descent_is_told(host_settings: HostSettings) -> None:
    kept = findings(trial(host_settings, {"mem_leak_mib": 1.0}))["kept_after_descent_bytes"]
    assert kept / 2**20 == pytest.approx(60, abs=3)


def test_a_trial_that_runs_out_of_time_leaves_nothing(host_settings: HostSettings) -> None:
    params = SHORT | {"max_instances": 60, "step": 20, "sample_s": 3600}
    part = measure(host_settings, experiment="density", params=params, settings=SMALL, deadline_s=100.0)
    assert part.record.outcome in ("partial", "failed", "completed")
    assert not machines.get(host_settings.name)
    assert len(instances(part)) == 60


@pytest.mark.parametrize(
    "params",
    [
        {"memory_floor_share": 0.04},
        {"pids_reserve_share": 0.01},
        {"max_instances": 100_001},
        {"ready": "started"},
        {"slo_p99_ms": 5, "probe_s": 0},
        {"start_failures": 6},
    ],
)
def test_what_makes_no_sense_or_endangers_the_host_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DensityParams(**params)


def near_floor() -> float:
    """A floor a little below the memory that is available now: about 400 MiB may still go."""
    gauge = read_gauge()
    share = (gauge.mem_available_bytes - 400 * 2**20) / gauge.mem_total_bytes
    if share < 0.05:
        pytest.skip("this machine has no memory to spare")
    return round(share, 4)


def real(host: HostSettings, driver: str, **params: Any) -> Part:
    params = SHORT | {"sample_s": 1, "probe_s": 1, "step": 25, "concurrency": 4} | params
    params |= {"staircase_deadline_s": 25, "descend": False}
    return measure(host, experiment="density", driver=driver, params=params, deadline_s=150.0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("driver", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_real_instances_far_too_many_of_them(
    host_settings: HostSettings, driver: str, request: pytest.FixtureRequest
) -> None:
    host = host_settings
    if driver == "docker":
        engine: DockerEngine = request.getfixturevalue("docker_engine")
        host = host.model_copy(update={"docker_socket": engine.socket})
    for _ in range(5):  # other tests take memory too: the floor may be crossed before the first one
        part = real(host, driver, max_instances=100_000, memory_floor_share=near_floor())
        found = findings(part)
        if found["peak_instances"]:
            break
    assert part.record.outcome == "completed", part.record.error_text
    assert found["stop_rule"] in ("memory_floor", "deadline")
    assert {row["outcome"] for row in instances(part)} <= {"ok", "skipped", "failed"}
    assert part.record.reasons == () or not any("left behind" in r for r in part.record.reasons)


@pytest.mark.libvirt
@pytest.mark.timeout(300)
def test_real_machines_a_few(
    host_settings: HostSettings, libvirt_engine: str, shared_state_dir: Path
) -> None:
    engine = {"libvirt_uri": libvirt_engine, "state_dir": shared_state_dir}
    host = host_settings.model_copy(update=engine)
    params = SHORT | {"max_instances": 2, "step": 1, "sample_s": 1, "probe_s": 1, "ready_deadline_s": 90}
    part = measure(
        host,
        experiment="density",
        driver="libvirt",
        params=params,
        settings={"accel": "tcg"},
        deadline_s=250.0,
    )
    assert part.record.outcome == "completed", part.record.error_text
    assert [height for way, height in heights(part) if way == 1] == [0, 1, 2]
    (held,) = [s["value"] for s in samples(part, "instances_pss") if s["step"] == 2][:1]
    assert held / 2 > 60 * 2**20  # a guest of 128 MiB and its QEMU
