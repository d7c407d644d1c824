"""The scripts as a person meets them: help, refusals, nothing touched by either."""

import os
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
COMMANDS = ("quickstart.sh", "test.sh", "playground.sh", "broker.sh", "install.sh", "compose/try.sh")


def call(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DEPLOY / script), *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("script", COMMANDS)
def test_help_says_how_to_call_it(script: str) -> None:
    answer = call(script, "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith(f"usage: deploy/{script}")
    assert "set -euo" not in answer.stdout


def test_quickstart_refuses_what_it_does_not_know() -> None:
    answer = call("quickstart.sh", "--reslts", "x")
    assert answer.returncode == 1
    assert "--reslts" in answer.stderr


def test_quickstart_says_that_results_needs_a_folder() -> None:
    answer = call("quickstart.sh", "--results")
    assert answer.returncode == 1
    assert "--results needs a folder" in answer.stderr


def test_quickstart_refuses_a_campaign_that_is_not_there(tmp_path: Path) -> None:
    answer = call("quickstart.sh", str(tmp_path / "none.yaml"))
    assert answer.returncode == 1
    assert "there is no file" in answer.stderr
    assert "none.yaml" in answer.stderr


def test_quickstart_runs_one_campaign_at_a_time() -> None:
    samples = DEPLOY / "campaigns"
    answer = call("quickstart.sh", str(samples / "churn.yaml"), str(samples / "lifecycle.yaml"))
    assert answer.returncode == 1
    assert "one campaign at a time" in answer.stderr


def test_quickstart_takes_options_of_run_with_a_campaign_only() -> None:
    answer = call("quickstart.sh", "--", "--only", "x")
    assert answer.returncode == 1
    assert "go with a campaign" in answer.stderr


def test_playground_refuses_an_unknown_verb() -> None:
    answer = call("playground.sh", "upp")
    assert answer.returncode == 1
    assert answer.stderr.startswith("usage:")


@pytest.mark.skipif(os.geteuid() != 0, reason="the playground asks for root before anything else")
class TestPlaygroundWithRoot:
    @pytest.mark.parametrize("hosts", ["", "0", "-1", "three", "101"])
    def test_up_refuses_a_number_that_makes_no_fleet(self, hosts: str, tmp_path: Path) -> None:
        answer = call("playground.sh", "up", hosts, TONNAGE_PLAYGROUND=str(tmp_path / "p"))
        assert answer.returncode == 1
        assert "1 to 100" in answer.stderr
        assert not (tmp_path / "p").exists()

    def test_up_refuses_a_folder_that_is_there(self, tmp_path: Path) -> None:
        answer = call("playground.sh", "up", "1", TONNAGE_PLAYGROUND=str(tmp_path))
        assert answer.returncode == 1
        assert "is there already" in answer.stderr

    def test_down_leaves_a_folder_alone_that_is_no_playground(self, tmp_path: Path) -> None:
        (tmp_path / "letter").write_text("dear")
        answer = call("playground.sh", "down", TONNAGE_PLAYGROUND=str(tmp_path))
        assert answer.returncode == 1
        assert (tmp_path / "letter").read_text() == "dear"

    def test_down_with_nothing_up_is_fine(self, tmp_path: Path) -> None:
        answer = call("playground.sh", "down", TONNAGE_PLAYGROUND=str(tmp_path / "none"))
        assert answer.returncode == 0

    def test_no_link_is_cut_that_is_not_a_hosts(self, tmp_path: Path) -> None:
        answer = call("playground.sh", "cut", "../x", TONNAGE_PLAYGROUND=str(tmp_path))
        assert answer.returncode == 1
        assert "no host" in answer.stderr
