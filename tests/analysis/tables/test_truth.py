"""density, recovery and deployment: what simulated hosts were given is found within the intervals."""

import pytest
import yaml
from simulated_campaign import run_simulated

from analysis.dataset import open_dataset
from analysis.tables import density, deployment, recovery
from analysis.words import records

MIB = 2**20
SLOPE_MIB, KNEE, STUCK = 7.0, 60, 0.1
WIRE_MIB_PER_S = 50.0
SIMULATED = {
    "campaign": "truth",
    "blocks": 8,
    "seed": 3,
    "deadline_s": 80_000,
    "profiles": {
        "dense": {
            "driver": "simulated",
            "mem_slope_mib": SLOPE_MIB,
            "mem_slope_sigma": 0.1,
            "cpu_slope_millicores": 4,
            "knee_instances": KNEE,
            "knee_rise": 1,
            "reply_sigma": 0.2,
            "sigma": 0.1,
        },
        "frail": {"driver": "simulated", "stuck_share": STUCK, "sigma": 0.2, "block_sigma": 0.05},
        "slow": {"driver": "simulated", "wire_mib_per_s": WIRE_MIB_PER_S, "sigma": 0.2},
    },
    "experiments": [
        {
            "experiment": "density",
            "drivers": ["dense"],
            "params": {
                "max_instances": 110,
                "step": 10,
                "settle_window_s": 2,
                "sample_s": 4,
                "probe_s": 5,
                "probe_share": 0.3,
            },
        },
        {
            "experiment": "recovery",
            "drivers": ["frail"],
            "params": {
                "fault": "kill",
                "supervision": ["none", "engine"],
                "injections": 12,
                "recovery_deadline_s": 10,
            },
        },
        {
            "experiment": "deployment",
            "drivers": ["slow"],
            "params": {
                "deployments": 8,
                "size_mib": 100,
                "layers": 5,
                "cache": ["image_cold", "base_cached", "warm"],
            },
        },
    ],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A campaign on simulated engines, measured and reported."""
    return run_simulated(tmp_path_factory.mktemp("truth"), SIMULATED)


def tables_of(results, module):
    with open_dataset(results / "dataset") as dataset:
        found = {name: records(table) for name, table in module.table(dataset).items()}
    return {
        name: [row for row in rows if row.get("scope", "fleet") == "fleet"]
        for name, rows in found.items()
    }


@pytest.mark.timeout(400)
def test_density(results):
    tables = tables_of(results, density)
    slopes = {row["measure"]: row for row in tables["slopes"]}
    memory, cpu = slopes["mem_used"], slopes["cpu_busy"]
    assert memory["slope_low"] <= SLOPE_MIB * MIB <= memory["slope_high"]
    assert memory["slope_high"] / memory["slope_low"] < 1.6  # or the check above says nothing
    assert cpu["slope_low"] <= 0.004 <= cpu["slope_high"]
    knees = [row for row in tables["knees"] if row["found"]]
    assert knees
    assert any(row["knee_low"] <= KNEE <= row["knee_high"] for row in knees)
    (limits,) = tables["limits"]
    assert limits["peak"] == 110


@pytest.mark.timeout(400)
def test_recovery(results):
    """Notice 5 ms, back-off 100, start 30, boot 40: 175 ms, and up to a probe's period of 20."""
    rows = {row["supervision"]: row for row in tables_of(results, recovery)["outcomes"]}
    none, engine = rows["none"], rows["engine"]
    assert (none["recovered"], none["censored"]) == (0, 96)
    assert engine["injections"] == engine["recovered"] + engine["censored"] == 96
    assert engine["unrecovered_share_low"] <= STUCK <= engine["unrecovered_share_high"]
    assert engine["median_low_ns"] <= 195e6
    assert engine["median_high_ns"] >= 175e6
    assert engine["median_high_ns"] / engine["median_low_ns"] < 1.5


@pytest.mark.timeout(400)
def test_deployment(results):
    tables = tables_of(results, deployment)
    moved = {
        (yaml.safe_load(row["params"])["cache"], row["metric"]): row["median"] for row in tables["moved"]
    }
    cold, base = (moved[cache, "deployment.bytes_wire"] for cache in ("image_cold", "base_cached"))
    assert cold > 20 * base > 0
    pull = {
        yaml.safe_load(row["params"])["cache"]: row
        for row in tables["latency"]
        if row["metric"] == "wire"
    }
    expected_ns = cold / (WIRE_MIB_PER_S * MIB) * 1e9
    row = pull["image_cold"]
    assert row["p50_low_ns"] * 0.9 <= expected_ns <= row["p50_high_ns"] * 1.1  # and layers cost a little


def test_the_report_speaks_of_all(results):
    said = (results / "report" / "report.html").read_text()
    for title in ("density", "recovery", "deployment"):
        assert title in said.lower()
