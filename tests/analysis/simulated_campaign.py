"""Campaigns on the simulated driver, run by the command line as a user would, for tables to read."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def run_simulated(folder, content, *, exit_code=0):
    """Measure and report a campaign in ``folder``. Returns its results folder."""
    (folder / "c.yaml").write_text(yaml.safe_dump(content))
    where = ["--name", "h1", "--state-dir", str(folder / "s"), "--run-dir", str(folder / "r")]
    program = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
    ran = subprocess.run(
        [*program, "run", "c.yaml", "--local", "--results", "out", *where],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.returncode == exit_code, ran.stdout + ran.stderr
    return folder / "out"
