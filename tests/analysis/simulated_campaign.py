"""Campaigns on the simulated driver, run by the command line as a user would, for tables to read."""

import command
import yaml


def run_simulated(folder, content, *, exit_code=0):
    """Measure and report a campaign in ``folder``. Returns its results folder."""
    (folder / "c.yaml").write_text(yaml.safe_dump(content))
    where = ["--name", "h1", "--state-dir", str(folder / "s"), "--run-dir", str(folder / "r")]
    ran = command.tonnage("run", "c.yaml", "--local", "--results", "out", *where, cwd=folder)
    assert ran.returncode == exit_code, ran.stdout + ran.stderr
    return folder / "out"
