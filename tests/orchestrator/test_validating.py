"""validate takes the files that a hook gives it, and names every bad one."""

import shlex
from pathlib import Path

import pytest
import yaml
from pages import ROOT
from typer.testing import CliRunner

from contract.errors import CampaignError
from orchestrator.cli import app

GOOD = "campaign: c\nexperiments: [{experiment: lifecycle, drivers: [simulated]}]\n"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    texts = [GOOD, GOOD.replace("lifecycle", "lifecycel"), GOOD, GOOD.replace("[simulated]", "[dokcer]")]
    paths = [tmp_path / f"{number}.yaml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return [str(path) for path in paths]


def test_every_bad_file_is_named_and_every_good_one(files: list[str]) -> None:
    ran = CliRunner().invoke(app, ["validate", *files])
    assert ran.stdout.count("fine. 1 cell × 3 blocks") == 2
    assert isinstance(ran.exception, CampaignError)
    first, second = str(ran.exception).splitlines()
    assert first.startswith(f"{files[1]}:2: 'experiments[0].experiment'")
    assert second.startswith(f"{files[3]}:2: 'experiments[0].drivers[0]'")
    assert "did you mean 'docker'?" in second


def test_the_hook_of_pre_commit_runs_it(files: list[str]) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, *words = shlex.split(hook["entry"])
    assert program == "tonnage"
    assert CliRunner().invoke(app, [*words, files[0], files[2]]).exit_code == 0
    assert hook["id"] in (ROOT / "docs/how-to/editor.md").read_text()
