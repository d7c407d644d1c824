"""Whether a trial may be believed: each doubt on its own, and invalid before suspect."""

from dataclasses import replace
from typing import Any

import pytest

from contract.rows import InstanceRow
from workers.verdict import (
    CLOCK_DRIFT_NS,
    HARNESS_CPUS,
    LAG_FLOOR_NS,
    QUIET_CPU_SHARE,
    Evidence,
    judge,
)

FINE = Evidence(
    outcome="completed",
    rows=[InstanceRow(0, "ok", t_intent=0, t_call=1, t_created=2, t_started=3, t_ready=10**8)],
    planned=1,
    busy_share_before=QUIET_CPU_SHARE,
    foreign_instances=0,
    harness_cpus=HARNESS_CPUS,
    lag_p99_ns=LAG_FLOOR_NS,
    clock_drift_ns=CLOCK_DRIFT_NS,
    swept=0,
    left=0,
)


IN_PAIRS = [replace(FINE.rows[0], concurrency=2)]


def test_a_busy_harness_delays_nothing_that_comes_one_at_a_time() -> None:
    assert judge(replace(FINE, harness_cpus=0.99)) == ("valid", ())


def test_at_every_bound_a_trial_is_valid() -> None:
    assert judge(FINE) == ("valid", ())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"outcome": "failed"}, "the trial failed"),
        ({"outcome": "lost"}, "lost"),
        ({"outcome": "skipped"}, "skipped"),
        ({"planned": 2}, "1 instance rows for 2 planned instances"),
        ({"clock_drift_ns": -60_000_000}, "the wall clock jumped by -60 ms during the trial"),
        ({"rows": [InstanceRow(0, t_call=5, t_created=4)]}, "stamps out of order"),
        ({"rows": [InstanceRow(0, t_stop_call=5, t_reclaimed=4)]}, "stamps out of order"),
    ],
)
def test_what_makes_a_trial_invalid(change: dict[str, Any], reason: str) -> None:
    assert judge(replace(FINE, **change)) == ("invalid", (reason,))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"busy_share_before": 0.5}, "host not quiet: 50% of its CPU in use before the trial"),
        ({"foreign_instances": 3}, "foreign instances on the host: 3"),
        ({"swept": 2}, "leftovers of an earlier trial that had to be removed first: 2"),
        ({"left": 1}, "left behind by the trial and swept: 1"),
        ({"outcome": "partial"}, "the trial was cut short"),
        ({"harness_cpus": 0.9, "rows": IN_PAIRS}, "the worker itself used 0.90 CPUs"),
        ({"lag_p99_ns": 6_000_000}, "the worker's loop ran 6.0 ms late (p99; 5.0 allowed)"),
    ],
)
def test_what_makes_a_trial_suspect(change: dict[str, Any], reason: str) -> None:
    assert judge(replace(FINE, **change)) == ("suspect", (reason,))


def test_reasons_for_invalid_come_first() -> None:
    word, reasons = judge(replace(FINE, swept=1, planned=2))
    assert word == "invalid"
    assert reasons == (
        "1 instance rows for 2 planned instances",
        "leftovers of an earlier trial that had to be removed first: 1",
    )


def test_slow_instances_allow_more_lag() -> None:
    slow = [InstanceRow(0, "ok", t_intent=0, t_ready=2 * 10**9)]
    assert judge(replace(FINE, rows=slow, lag_p99_ns=90_000_000))[0] == "valid"
    assert judge(replace(FINE, rows=slow, lag_p99_ns=110_000_000))[0] == "suspect"


def test_missing_stamps_are_no_disorder() -> None:
    rows = [InstanceRow(0, "failed", t_intent=0, t_call=5, t_stop_call=9, t_gone=11)]
    assert judge(replace(FINE, rows=rows))[0] == "valid"


def test_a_death_before_the_stop_is_no_disorder() -> None:
    """An instance that ended by itself has t_exited before anybody asked it to stop."""
    rows = [InstanceRow(0, "failed", t_intent=0, t_exited=5, t_stop_call=9, t_gone=11)]
    assert judge(replace(FINE, rows=rows))[0] == "valid"
