"""Benchmarks that need no engine but Redis run to their end, at their smallest size."""

import subprocess
import sys

import pytest
import run

NAMES = [name for name in run.names() if set(run.module_of(name).NEEDS) <= {"redis"}]
ELSEWHERE = {"analysis", "probes", "report"}
"""Their parts are run by tests of their own, and take a while."""


@pytest.mark.redis
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", sorted(set(NAMES) - ELSEWHERE))
def test_it_runs_to_its_end(name: str) -> None:
    """Whether its budgets are kept cannot be said beside other tests."""
    command = [sys.executable, str(run.ROOT / "tests/bench/run.py"), name, "--size", "smoke"]
    ran = subprocess.run(command, cwd=run.ROOT, capture_output=True, text=True, timeout=200)
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
