"""The simulated driver gives back the truth that it was given, within what chance allows."""

import math
from statistics import median
from typing import Any

import pytest
from scipy import stats
from simulation import Row, instances, measure
from trials import make_trial

from workers.engines.simulated_truth import SimulatedSettings
from workers.settings import HostSettings

ALPHA = 1e-3
"""Chance of a wrong alarm per check, were the seeds not fixed."""


def rows_of(host: HostSettings, settings: dict[str, Any], **params: Any) -> list[Row]:
    return instances(measure(host, params=params, settings=settings, deadline_s=80_000.0))


def median_interval(values: list[int]) -> tuple[int, int]:
    """Order statistics that hold the median with all but ``ALPHA`` of the chance (binomial)."""
    ordered = sorted(values)
    low = int(stats.binom.ppf(ALPHA / 2, len(ordered), 0.5)) - 1
    return ordered[low], ordered[-low - 1]


STAGES = {
    ("t_call", "t_created"): 20,
    ("t_created", "t_started"): 30,
    ("t_started", "t_beacon"): 40,
    ("t_beacon", "t_ready"): 10,
    ("t_intent", "t_ready"): 100,
    ("t_stop_call", "t_exited"): 20,
    ("t_stop_call", "t_gone"): 40,
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> HostSettings:
    """Always of the same name, since trials of another name have other draws."""
    folder = tmp_path_factory.mktemp("host")
    return HostSettings(name="truth", state_dir=folder, run_dir=folder)


@pytest.fixture(scope="module")
def many(host: HostSettings) -> list[Row]:
    return rows_of(host, {"sigma": 0.6}, instances=1500, concurrency=10)


@pytest.mark.parametrize("stage", STAGES, ids="-".join)
def test_the_median_of_a_stage_is_its_setting(many: list[Row], stage: tuple[str, str]) -> None:
    begin, end = stage
    low, high = median_interval([row[end] - row[begin] for row in many])
    assert low <= STAGES[stage] * 1_000_000 <= high
    assert high / low < 1.2  # or the check above says nothing


def test_the_spread_is_its_setting(many: list[Row]) -> None:
    logs = [math.log(row["t_ready"] - row["t_intent"]) for row in many]
    assert stats.normaltest(logs).pvalue > ALPHA
    assert math.sqrt(stats.tvar(logs)) == pytest.approx(0.6, rel=0.1)


def test_shares_of_fates_are_their_settings(host: HostSettings) -> None:
    shares = {"failure_share": 0.1, "hang_share": 0.05, "silent_share": 0.2, "exit_share": 0.15}
    rows = rows_of(host, shares, instances=1000, concurrency=50)
    ends = {"engine_error": 0.1, "engine_timeout": 0.05, "agent_silent": 0.2, "exited": 0.15, None: 0.5}
    for error_class, share in ends.items():
        count = sum(row["error_class"] == error_class for row in rows)
        assert stats.binomtest(count, len(rows), share).pvalue > ALPHA


def test_trials_hang_together_as_the_block_spread_says(host: HostSettings) -> None:
    def trial_median(block: int, settings: dict[str, float]) -> float:
        trial = make_trial(host=host.name, block=block, settings=settings, params={"instances": 5})
        rows = instances(measure(host, trial))
        return median(row["t_ready"] - row["t_intent"] for row in rows)

    alike = {trial_median(block, {"sigma": 0.0}) for block in range(5)}
    assert alike == {100_000_000}
    apart = [math.log(trial_median(b, {"sigma": 0.0, "block_sigma": 0.5}) / 1e8) for b in range(60)]
    assert stats.kstest(apart, stats.norm(scale=0.5).cdf).pvalue > ALPHA


def test_a_host_has_one_factor_for_ever(host: HostSettings) -> None:
    def factor(name: str, block: int) -> float:
        named = host.model_copy(update={"name": name})
        settings = {"host_sigma": 0.5, "sigma": 0.0}
        part = measure(named, make_trial(host=name, block=block, settings=settings))
        row = instances(part)[0]
        seen = (row["t_ready"] - row["t_intent"]) / 1e8
        assert seen == pytest.approx(part.record.facts["truth_host_factor"])
        return seen

    assert factor("h1", 0) == factor("h1", 1)
    assert factor("h1", 0) != factor("h2", 0)


def test_few_slots_serve_few_calls_at_once(host: HostSettings) -> None:
    rows = rows_of(host, {"slots": 2, "sigma": 0.0}, instances=8, concurrency=8)
    assert sorted(row["t_created"] / 1e6 for row in rows)[:4] == [20, 20, 40, 40]


def test_an_attempt_is_drawn_anew(host: HostSettings) -> None:
    first, second = (instances(measure(host, attempt=attempt)) for attempt in (1, 2))
    assert [row["t_ready"] for row in first] != [row["t_ready"] for row in second]


def test_the_truth_is_in_the_facts(host: HostSettings) -> None:
    record = measure(host, settings={"boot_ms": 77.0}).record
    assert record.facts["truth"] == SimulatedSettings(boot_ms=77.0).model_dump()
    assert record.virtual
