"""The driver and the experiment that how-tos write are found, planned and measured."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import engines
import pytest
from pages import Block, blocks

import workers.drivers
import workers.experiments
from contract.campaign import load_campaign
from contract.parts import read_part
from orchestrator.plan import plan_cells, plan_trials
from workers.discover import build_catalog, find_driver, find_experiment
from workers.run import Assignment, run_trial
from workers.settings import HostSettings

PAGES = {"own-driver": workers.drivers, "own-experiment": workers.experiments}


def _shown(page: str, language: str) -> Block:
    (block,) = [block for block in blocks(language) if block.page.stem == page]
    return block


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostSettings]:
    with engines.short_folder() as run_dir:
        yield HostSettings(
            name=f"test-{secrets.token_hex(4)}", state_dir=tmp_path / "state", run_dir=run_dir
        )


@pytest.mark.parametrize("page", PAGES)
def test_what_a_how_to_writes_is_found_and_measured(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: HostSettings
) -> None:
    module, campaign = _shown(page, "python"), _shown(page, "yaml")
    file = tmp_path / "modules" / Path(module.text.splitlines()[0].removeprefix("# ")).name
    file.parent.mkdir()
    file.write_text(module.text)
    package = PAGES[page]
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(file.parent)])
    path = tmp_path / "campaign.yaml"
    path.write_text(campaign.text)
    try:
        for found in (build_catalog, find_driver, find_experiment):
            found.cache_clear()
        read, source = load_campaign(path)
        for trial in plan_trials(read, plan_cells(read, source, build_catalog()), [host.name]):
            part = read_part(run_trial(Assignment(trial, 1, host, "b" * 32)).data)
            assert part.record.outcome == "completed", part.record.error_text
            assert file.stem in (trial.driver, trial.experiment)
            if page == "own-experiment":
                metrics = part.tables["samples"].column("metric").to_pylist()
                assert metrics.count("answering.reply") == trial.params["answers"]
    finally:
        for found in (build_catalog, find_driver, find_experiment):
            found.cache_clear()
