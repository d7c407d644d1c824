"""`tonnage capacity` and `tonnage report --demand` on a made dataset."""

import json
from pathlib import Path

import pytest
from make_trials import Stairs, Where, density, write_trials
from page import Page
from typer.testing import CliRunner

from contract.errors import CampaignError, DatasetError
from orchestrator.cli import app

DEMAND = "demand: shop\nshapes: [{name: web, count: {p50: 2000, p95: 2600}}]\ndomains: {count: 3}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("capacity")
    groups = [
        density(Stairs(Where(name, blocks=3), each_mib=each, peak=peak, step=peak // 10, down=False))
        for name, each, peak in (("docker", 40, 160), ("libvirt", 120, 60))
    ]
    write_trials(found / "results" / "dataset", *groups)
    (found / "demand.yaml").write_text(DEMAND)
    return found


def tonnage(*arguments: object) -> str:
    ran = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran.stdout


def test_the_recommendation_comes_first_and_the_assumptions_last(folder: Path) -> None:
    said = tonnage("capacity", folder / "results", "--demand", folder / "demand.yaml").splitlines()
    assert said[0].startswith("web as docker: ")
    assert "suffice with a chance of 95" in said[0]
    assert said.index("Hosts") < said.index("What if") < said.index("Assumptions")
    assert any("libvirt needs" in line for line in said[:4])


def test_json_is_for_scripts(folder: Path) -> None:
    demand = folder / "demand.yaml"
    found = json.loads(tonnage("capacity", folder / "results/dataset", "--demand", demand, "--json"))
    assert [plan["variant"] for plan in found["plans"]] == ["docker", "libvirt"]
    assert found["plans"][0]["hosts_p50"] <= found["plans"][0]["hosts_p95"]
    assert found["assumptions"]


def test_a_page_and_all_tables_are_written(folder: Path, tmp_path: Path) -> None:
    demand = folder / "demand.yaml"
    said = tonnage("capacity", folder / "results", "--demand", demand, "--out", tmp_path / "plan")
    assert said.splitlines()[-1] == f"report: {tmp_path / 'plan/capacity.html'}"
    assert (tmp_path / "plan/tables/capacity-plans.parquet").is_file()
    page = Page((tmp_path / "plan/capacity.html").read_text())
    assert len(page.all("figure")) == 3
    assert "web as docker" in page.root.text
    assert "no table for" not in page.root.text


def test_the_report_begins_with_the_plan(folder: Path, tmp_path: Path) -> None:
    dataset = folder / "results/dataset"
    tonnage("report", dataset, "--demand", folder / "demand.yaml", "--out", tmp_path)
    page = Page((tmp_path / "report.html").read_text())
    titles = [section.attributes.get("id") for section in page.all("section")]
    assert titles.index("capacity") < titles.index("density")
    assert (tmp_path / "tables/capacity-shortfall.csv").is_file()


def test_what_is_no_dataset_and_no_demand_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no dataset"):
        tonnage("capacity", tmp_path, "--demand", folder / "demand.yaml")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("demand: shop\nshapes: []\n")
    with pytest.raises(CampaignError, match=r"wrong.yaml:2: 'shapes'"):
        tonnage("capacity", folder / "results", "--demand", wrong)
