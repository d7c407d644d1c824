"""A churn that is killed half-way leaves nothing that a sweep does not find and remove."""

import subprocess
from pathlib import Path

import pytest
import yaml
from campaigns import TONNAGE, left
from engines import DockerEngine
from fleet import running, wait_until

from workers.settings import HostSettings

CHURN = {"rate_per_s": 4, "duration_s": 120, "residents": 2, "hold_s": 2}


@pytest.mark.docker
@pytest.mark.timeout(200)
@pytest.mark.parametrize("driver", ["process", "docker"])
def test_after_a_kill_the_sweep_takes_everything(
    driver: str, tmp_path: Path, host_settings: HostSettings, docker_engine: DockerEngine
) -> None:
    name, campaign = host_settings.name, tmp_path / "killed.yaml"
    entry = {"experiment": "churn", "drivers": [driver], "params": CHURN}
    campaign.write_text(yaml.safe_dump({"campaign": "killed", "blocks": 1, "experiments": [entry]}))
    folders = ["--state-dir", str(host_settings.state_dir), "--run-dir", str(host_settings.run_dir)]
    where = [*folders, "--docker-socket", str(docker_engine.socket)]
    wal = host_settings.state_dir / "wal"

    def has_seen_some_go() -> bool:
        return any('"ok"' in path.read_text() for path in wal.glob("*.jsonl"))

    run = ["run", str(campaign), "--local", "--name", name, "--results", str(tmp_path / "r"), *where]
    with running(tmp_path / "log", *run) as command:
        wait_until(has_seen_some_go, "an instance came and went")
        command.kill()
    assert left(name, *where) != "0 leftovers"
    sweep = [TONNAGE, "sweep", "--host", name, *where]
    subprocess.run(sweep, check=True, capture_output=True, timeout=100)
    assert left(name, *where) == "0 leftovers"
