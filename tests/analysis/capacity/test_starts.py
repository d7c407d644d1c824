"""What is learnt of starting, noticing and fetching."""

import math
from pathlib import Path

import numpy as np
import pytest
from make_dataset import pair, write_dataset

from analysis.capacity.caps import start_cap, wall_caps
from analysis.capacity.demand import Slo
from analysis.capacity.resample import resample
from analysis.capacity.starts import LifecycleStarts, climbing_starts, cold_bytes
from analysis.cells import Cells
from analysis.dataset import open_dataset
from analysis.density.staircases import Staircase, Step
from analysis.distributions import Reduction

DRAWS = resample(3, np.random.default_rng(1))


def test_starts_come_from_lifecycle_where_they_were_fastest(tmp_path: Path) -> None:
    design = pair(100, 200, blocks=4, concurrency=(1, 4), hosts=("h1", "h2"))
    with open_dataset(write_dataset(tmp_path / "d", design)) as opened:
        starts = LifecycleStarts(Reduction(Cells(opened, "lifecycle")))
        found = starts.of(("docker", "default", False, False), frozenset({"h1"}), "tiny")
        none = starts.of(("docker", "default", False, False), frozenset({"h9"}), "tiny")
    assert none is None
    assert found is not None
    # a batch of 4 begins every 300 ms
    assert found.concurrency == 4
    assert found.rate_per_s == pytest.approx(4 / 0.3, rel=0.05)
    assert found.ready_p95_s == pytest.approx(0.2 * math.exp(0.15 * 1.645), rel=0.05)
    assert np.median(found.ready_p95s) == pytest.approx(found.ready_p95_s, rel=0.02)


def test_more_than_one_failed_start_of_twenty_is_never_ready(tmp_path: Path) -> None:
    waits = {place: np.where(np.arange(100) % 10 == 0, np.inf, 0.5) for place in range(3)}
    found = climbing_starts(waits, 2, DRAWS)
    assert found is not None
    assert found.rate_per_s == pytest.approx(4)
    assert math.isinf(found.ready_p95_s)
    assert climbing_starts({}, 1, DRAWS) is None


def test_the_objective_for_starts_ends_where_starts_become_slow() -> None:
    quick, late = np.full(300, 0.1), np.full(100, 5.0)
    waits = {place: np.concatenate([quick, late]) for place in range(3)}
    cap = start_cap(waits, Slo(start_p99="1s"), DRAWS)
    assert cap is not None
    assert cap.value == pytest.approx(300, abs=3)
    assert not cap.at_least
    once = {place: np.where(np.arange(300) == 40, 5.0, 0.1) for place in range(3)}
    rare = start_cap(once, Slo(start_p99="1s"), DRAWS)
    assert rare is not None
    assert (rare.value, rare.at_least) == (300, True)
    assert start_cap({0: np.full(5, 0.1)}, Slo(start_p99="1s"), DRAWS) is None


def test_process_numbers_are_a_wall_with_the_plans_own_headroom() -> None:
    step = Step(1, 50.0, True, {})
    climbs = [
        Staircase(
            str(i),
            0,
            0,
            i,
            "timed",
            {"room_instances": {"pids": 1000}, "stop_rule": "count"},
            None,
            (step,),
        )
        for i in range(3)
    ]
    (cap,) = wall_caps(climbs, 0.8 / 0.9, DRAWS)
    assert (cap.name, cap.kind) == ("process numbers", "wall")
    assert cap.value == pytest.approx(1000 * 0.8 / 0.9)


def test_a_cold_host_fetches_the_most_that_any_cell_moved() -> None:
    row = {"metric": "deployment.bytes_wire", "scope": "fleet", "driver": "docker", "profile": "default"}
    row |= {"emulated": False, "virtual": False}
    rows = [row | {"median": 5e6}, row | {"median": 80e6}, row | {"median": 9e9, "driver": "libvirt"}]
    assert cold_bytes(rows, ("docker", "default", False, False)) == 80e6
    assert cold_bytes(rows, ("process", "default", False, False)) is None
