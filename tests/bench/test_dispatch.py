"""What the dispatch benchmarks make of their runs: rates, growth and memory, reckoned right."""

from pathlib import Path

import pytest
from null_campaign import null_trials, write_campaign
from null_fleet import Ran, names
from null_worker import null_part
from speed import dispatch

from contract.campaign import load_campaign
from contract.parts import read_part
from orchestrator.plan import plan_cells
from workers.discover import build_catalog

MIB = 2**20
RUNS = {
    ("bare", 1): [Ran(1000, 2.0, 0.4, 1.0, 0.2)],
    ("bare", 10): [Ran(10_000, 20.0, 4.0, 10.0, 2.0)],
    ("dispatched", 1): [Ran(1000, 4.0, 0.8, 2.0, 0.2, 100 * MIB, 0.5)],
    ("dispatched", 10): [Ran(10_000, 44.0, 8.0, 20.0, 2.0, 118 * MIB, 5.0)],
}


def test_rates_stand_beside_those_of_the_bare_loop() -> None:
    figures = {figure.case: figure for figure in dispatch._rates(1000, RUNS)}
    rate = figures["1,000 null trials to 1,000 queues, dispatched"]
    assert (rate.value, rate.limit, rate.ratio, rate.keeps_budget) == (250, 500, 2, None)
    assert figures["10,000 null trials to 1,000 queues, dispatched"].keeps_budget is False
    cpu = figures["10,000 null trials to 1,000 queues: CPU of the coordinator"]
    assert (cpu.value, cpu.limit) == (pytest.approx(0.8), pytest.approx(0.4))


def test_growth_is_cost_per_trial() -> None:
    (growth,) = dispatch._growth(1000, RUNS, "dispatched")
    assert (growth.value, growth.limit, growth.ratio) == (4.4, 4.0, pytest.approx(1.1))
    assert growth.keeps_budget


def test_memory_per_further_trial_leaves_out_what_is_there_anyway() -> None:
    figures = {figure.case: figure.value for figure in dispatch._memory(1000, RUNS)}
    assert figures["coordinator's memory per further trial"] == pytest.approx(18 * MIB / 9000)
    assert figures["coordinator's peak memory, 10,000 trials on 1,000 hosts"] == 118


def test_a_null_trial_is_one_instance_on_the_simulated_driver(tmp_path: Path) -> None:
    campaign, source = load_campaign(write_campaign(tmp_path, "nulls", 3))
    (cell,) = plan_cells(campaign, source, build_catalog())
    assert (cell.experiment, cell.driver, cell.params["instances"]) == ("lifecycle", "simulated", 1)
    trials = null_trials(names(2), 3)
    assert [(trial.block, trial.host) for trial in trials] == [
        (block, host) for block in range(3) for host in names(2)
    ]
    part = read_part(null_part(trials[0]).data)
    assert (part.record.trial, part.tables["instances"].num_rows) == (trials[0], 1)
