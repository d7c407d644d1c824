"""Metrics of every experiment: the report's number, and blocks that add up to it."""

import numpy as np
import pytest
from make_dataset import Design, Variant, write_dataset
from make_together import Failovers, Rollouts, failovers, rollouts
from make_trials import MIB, SECOND, Faults, Stairs, Where, density, recovery, write_trials
from simulated_campaign import run_simulated

from analysis.cells import Cells
from analysis.dataset import open_dataset
from analysis.metrics import measures_by_experiment
from analysis.metrics.base import ShareBlocks
from analysis.tables import table_modules

HOSTS = ("h1", "h2", "h3")


def measured(folder, experiment):
    """Everything that is measured in the first cell, by title."""
    with open_dataset(folder) as dataset:
        cells = Cells(dataset, experiment)
        found = {
            m.metric.title: m.of(cells.cells[0]) for m in measures_by_experiment()[experiment](cells)
        }
    return {title: one for title, one in found.items() if one is not None}


def test_every_experiment_with_a_table_has_metrics_of_one_name_each(tmp_path):
    assert set(measures_by_experiment()) == set(table_modules())
    with open_dataset(write_dataset(tmp_path, Design((Variant("docker", 10),)))) as dataset:
        for name, measures in measures_by_experiment().items():
            titles = [m.metric.title for m in measures(Cells(dataset, name))]
            assert len(set(titles)) == len(titles)
            assert any(m.metric.main for m in measures(Cells(dataset, name)))


def test_lifecycle(tmp_path):
    design = Design((Variant("docker", 100, fails=0.05),), hosts=HOSTS, blocks=4, instances=50)
    found = measured(write_dataset(tmp_path, design), "lifecycle")
    assert found["e2e p50"].estimate.value == pytest.approx(100e6, rel=0.1)
    assert len(found["e2e p50"].blocks.keys) == 12
    shares = found["failed_share"]
    assert isinstance(shares.blocks, ShareBlocks)
    assert shares.blocks.hits.sum() / shares.blocks.sizes.sum() == shares.estimate.value
    assert shares.n == 600
    rate = found["rate_per_s"]
    assert rate.estimate.value == pytest.approx(np.mean(rate.blocks.medians), rel=0.05)


def test_density(tmp_path):
    where = Where(params={"slo_p99_ms": 5.0})
    stairs = Stairs(where, each_mib=3.0, knee=100, stop="memory_floor", noise_mib=0.1)
    found = measured(write_trials(tmp_path, density(stairs)), "density")
    assert found["mem_used"].estimate.value == pytest.approx(3 * MIB, rel=0.01)
    assert found["mem_used"].blocks.medians == pytest.approx([3 * MIB] * 5, rel=0.02)
    assert found["peak"].estimate.value == 200
    assert found["peak"].unsure is None
    assert found["slo_n"].grain == pytest.approx(10 / found["slo_n"].estimate.value, rel=0.1)
    by_request = measured(write_trials(tmp_path / "2", density(Stairs(where))), "density")
    assert "ended where the campaign asked" in by_request["peak"].unsure
    assert "before the objective was missed" in by_request["slo_n"].unsure
    assert by_request["slo_n"].estimate.high is None


def test_recovery(tmp_path):
    found = measured(write_trials(tmp_path, recovery(Faults(never=0.1, injections=30))), "recovery")
    down = found["down"]
    assert np.mean(down.blocks.medians) == pytest.approx(down.estimate.value, rel=1e-6)
    lost = found["unrecovered_share"]
    assert lost.blocks.hits.sum() / lost.blocks.sizes.sum() == pytest.approx(lost.estimate.value)
    assert found["recover p50"].estimate.value == pytest.approx(2 * SECOND, rel=0.4)


def test_rollout_and_failover(tmp_path):
    where = Where(hosts=HOSTS)
    found = measured(write_trials(tmp_path / "r", rollouts(Rollouts(where))), "rollout")
    assert np.mean(found["last"].blocks.medians) == pytest.approx(found["last"].estimate.value)
    assert {host for host, _ in found["last"].blocks.keys} == {-1}
    found = measured(write_trials(tmp_path / "f", failovers(Failovers(where))), "failover")
    assert found["back_share"].estimate.value is not None
    assert np.mean(found["down"].blocks.medians) == pytest.approx(found["down"].estimate.value, rel=1e-6)


def test_isolation(tmp_path):
    neighbours = {
        "experiment": "isolation",
        "drivers": ["simulated"],
        "params": {"rate_per_s": 10, "phase_s": 10, "limited": False},
    }
    truth = {"driver": "simulated", "harm_per_stressor": 0.5, "harm_lost_share": 0.1, "work_ms": 20}
    content = {
        "campaign": "bad",
        "blocks": 3,
        "limits": {"cpus": 1},
        "experiments": [neighbours | {"drivers": ["bad"]}],
    }
    found = measured(
        run_simulated(tmp_path, content | {"profiles": {"bad": truth}}) / "dataset", "isolation"
    )
    harm = found["degradation"]
    assert harm.estimate.value == pytest.approx(2, rel=0.1)
    assert len(harm.blocks.keys) == 3
    assert np.exp(np.mean(np.log(harm.blocks.medians))) == pytest.approx(harm.estimate.value, rel=0.02)
    silent = found["unanswered_share"]
    assert silent.blocks.hits.sum() / silent.blocks.sizes.sum() == pytest.approx(silent.estimate.value)


def test_churn_and_deployment_of_simulated_hosts(tmp_path):
    churn = {
        "experiment": "churn",
        "drivers": ["simulated"],
        "params": {"rate_per_s": 5, "duration_s": 20, "residents": 0},
    }
    deployment = {
        "experiment": "deployment",
        "drivers": ["simulated"],
        "params": {"deployments": 3, "cache": "image_cold"},
    }
    content = {"campaign": "both", "blocks": 3, "experiments": [churn, deployment]}
    dataset = run_simulated(tmp_path, content) / "dataset"
    found = measured(dataset, "churn")
    achieved = found["achieved_per_s"]
    assert achieved.estimate.value == pytest.approx(5, rel=0.3)
    assert np.mean(achieved.blocks.medians) == pytest.approx(achieved.estimate.value, rel=0.1)
    assert found["shed_share"].estimate.value == 0
    found = measured(dataset, "deployment")
    assert found["bytes_wire"].estimate.value > MIB
    assert found["bytes_wire"].n == 9
    assert len(found["pull p50"].blocks.keys) == 3
