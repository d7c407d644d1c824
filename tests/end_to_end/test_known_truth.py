"""The whole path through Celery on simulated hosts: the report must find their known truth again."""

import json
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml
from campaigns import TONNAGE, run
from scipy.optimize import brentq
from scipy.stats import norm

HOSTS = 30
SIGMA, BLOCK_SIGMA = 0.2, 0.05
STEADY = {"driver": "simulated", "sigma": SIGMA, "block_sigma": BLOCK_SIGMA, "host_sigma": 0.1}
FAILURE_SHARE = 0.02
QUICK = STEADY | {"create_ms": 10, "start_ms": 15, "boot_ms": 20, "reply_ms": 5}
MEDIANS_MS = {"steady": 100, "quick": 50}


@pytest.fixture
def fleet(redis_url: str, tmp_path: Path) -> Iterator[str]:
    """A broker with a worker that stands for HOSTS hosts."""
    command = [TONNAGE, "worker", "--broker", redis_url, "--simulate", str(HOSTS)]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [*command, "--state-dir", str(tmp_path / "state")], stdout=log, stderr=log
        )
        try:
            _wait_until_all_live(redis_url)
            yield redis_url
        finally:
            worker.terminate()
            worker.wait(30)


def _wait_until_all_live(broker: str) -> None:
    for _ in range(30):
        listed = subprocess.run(
            [TONNAGE, "hosts", "--json", "--broker", broker], capture_output=True, text=True, timeout=30
        )
        hosts: dict[str, Any] = json.loads(listed.stdout) if listed.returncode == 0 else {}
        if sum(host["alive"] for host in hosts.values()) >= HOSTS:
            return
    pytest.fail("the simulated hosts did not come up")


def _campaign(folder: Path) -> Path:
    content = {
        "campaign": "known-truth",
        "seed": 11,
        "blocks": 5,
        "profiles": {"steady": STEADY, "quick": QUICK | {"failure_share": FAILURE_SHARE}},
        "experiments": [
            {
                "experiment": "lifecycle",
                "drivers": ["steady", "quick"],
                "params": {"instances": 10, "concurrency": [1, 5]},
            }
        ],
    }
    path = folder / "known-truth.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def _true_median_ms(host_factors: np.ndarray, median_ms: float) -> float:
    """Median over the very hosts that were measured: of a mixture of log-normal latencies."""
    spread = math.hypot(SIGMA, BLOCK_SIGMA)

    def below(x: float) -> float:
        return float(norm.cdf((math.log(x / median_ms) - np.log(host_factors)) / spread).mean()) - 0.5

    return float(brentq(below, median_ms / 2, median_ms * 2))


@pytest.mark.redis
@pytest.mark.timeout(240)
def test_medians_and_failure_shares_come_back_within_their_intervals(fleet: str, tmp_path: Path) -> None:
    ran = run(_campaign(tmp_path), "--broker", fleet, wait_s=200, reported=True)

    assert ran.code == 0, ran.said
    assert len(ran.trials()) == HOSTS * 20
    assert len(ran.instances()) == HOSTS * 20 * 10
    trials = ran.results / "dataset/trials/trials.parquet"
    factors = duckdb.sql(
        f"select avg((facts::json->>'truth_host_factor')::double) as f from '{trials}' group by host"
    ).fetchnumpy()["f"]
    tables = ran.results / "report/tables"
    latency = pd.read_parquet(tables / "lifecycle-latency.parquet")
    found = latency.query("scope == 'fleet' and metric == 'e2e' and basis == 'successful'")
    assert len(found) == 4
    inside = 0
    for cell in found.itertuples():
        truth_ns = _true_median_ms(factors, MEDIANS_MS[str(cell.profile)]) * 1e6
        inside += cell.p50_low_ns <= truth_ns <= cell.p50_high_ns
        # One of four 95 % intervals may miss by chance, though not by much.
        slack_ns = 0.5 * (cell.p50_high_ns - cell.p50_low_ns)
        assert cell.p50_low_ns - slack_ns <= truth_ns <= cell.p50_high_ns + slack_ns, cell.profile
    assert inside >= 3
    outcomes = pd.read_parquet(tables / "lifecycle-outcomes.parquet").query("scope == 'fleet'")
    for cell in outcomes.itertuples():
        truth = FAILURE_SHARE if cell.profile == "quick" else 0
        near = 0.005  # an interval misses by chance as well, though not by much
        assert cell.failed_share_low - near <= truth <= cell.failed_share_high + near, cell.profile
