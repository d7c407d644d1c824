"""What is shipped for other tools: the compose file as compose reads it, plays as Ansible does."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from contract.campaign import load_campaign
from orchestrator import cli
from orchestrator.cli.settings_file import read_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
ROLE = DEPLOY / "ansible" / "roles" / "tonnage_worker"


def call(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command),
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def compose_command() -> list[str]:
    """Either version; in CI one must be there."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker") and call("docker", "compose", "version", folder=DEPLOY).returncode == 0:
        return ["docker", "compose"]
    if os.environ.get("CI") == "true":
        pytest.fail("there is no compose")
    return pytest.skip("there is no compose")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All services, as compose understands them."""
    broker = tmp_path_factory.mktemp("broker")
    for name in ("coordinator", "simulated"):
        (broker / name).mkdir()
        (broker / name / "tonnage.env").write_text("TONNAGE_BROKER=rediss://u:p@broker:6380/0\n")
    profiles = ("--profile", "try", "--profile", "dashboard")
    command = [*compose_command(), "-f", str(COMPOSE), *profiles, "config"]
    answer = call(*command, folder=broker, TONNAGE_BROKER_FILES=str(broker))
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = yaml.safe_load(answer.stdout)["services"]
    return found


def test_compose_reads_the_file(services: dict[str, Any]) -> None:
    assert set(services) == {"redis", "coordinator", "simulated", "dashboard"}


def test_every_container_has_few_rights(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert "privileged" not in service, name


@pytest.mark.parametrize("name", ["coordinator", "simulated"])
def test_commands_of_containers_exist(services: dict[str, Any], name: str) -> None:
    program, *rest = services[name]["command"]
    get_command(cli.app).commands[program].make_context(program, rest)  # type: ignore[attr-defined]


def test_the_campaign_and_the_settings_that_are_shipped_can_be_read() -> None:
    assert load_campaign(DEPLOY / "compose/campaigns/first.yaml")[0].campaign == "first"
    settings, _ = read_settings(DEPLOY / "systemd/tonnage.yaml", cli.app.keys)
    assert settings == {"state_dir": "/var/lib/tonnage", "run_dir": "/run/tonnage"}


@pytest.mark.parametrize("play", ["site.yml", "uninstall.yml"])
def test_ansible_reads_the_plays(play: str, tmp_path: Path) -> None:
    program = shutil.which("ansible-playbook")
    if program is None:
        pytest.skip("there is no ansible-playbook: pip install --group deploy")
    command = [program, "-i", "inventory.example.yml", "--syntax-check", play]
    answer = call(*command, folder=DEPLOY / "ansible", ANSIBLE_LOCAL_TEMP=str(tmp_path))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_role_brings_every_script_that_the_installer_sources() -> None:
    """Or it would fail on hosts only."""
    for play in ("main", "uninstall"):
        text = (ROLE / "tasks" / f"{play}.yml").read_text()
        assert all(name in text for name in ("install.sh", "installed.sh", "setup.sh", "steps.sh"))


def test_keys_are_neither_shown_nor_left_behind() -> None:
    (block,) = [t for t in yaml.safe_load((ROLE / "tasks/main.yml").read_text()) if "block" in t]
    (copied,) = [t for t in block["block"] if "broker_files" in str(t)]
    assert copied["no_log"] is True
    assert block["always"][0]["ansible.builtin.file"]["state"] == "absent"
