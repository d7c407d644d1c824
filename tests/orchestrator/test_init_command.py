"""init writes a campaign that can be run, over nothing, and a pilot reckons what it will take."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from engines import short_folder
from typer.testing import CliRunner, Result

from contract.campaign import load_campaign
from contract.errors import TonnageError, TrialCancelled
from contract.parts import PackedPart
from orchestrator.cli import app
from orchestrator.cli.initial.found import Found
from orchestrator.cli.initial.page import campaign_page
from orchestrator.cli.initial.suited import EXPERIMENTS
from orchestrator.cli.pilot import BUDGET_S, estimate_here
from orchestrator.cli.reckoning import Estimate, Tried, add_cell, shortened, work_of
from orchestrator.plan import Cell, plan_cells
from workers.discover import build_catalog
from workers.run import Assignment
from workers.settings import HostSettings

Tonnage = Callable[..., Result]
REAL = ("process", "docker", "podman", "libvirt", "libvirt_lxc")


@pytest.fixture
def tonnage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tonnage:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TONNAGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TONNAGE_NAME", "here")

    def call(*words: str) -> Result:
        with short_folder() as run_dir:
            return CliRunner().invoke(app, [*words], env={"TONNAGE_RUN_DIR": str(run_dir)})

    return call


def found(*drivers: str, root: bool = True, emulated: bool = False) -> Found:
    slow = frozenset(d for d in drivers if d == "libvirt" and emulated)
    return Found(drivers, frozenset(drivers), {}, slow, cpus=2, available_mib=8000, root=root)


def cells_of(path: Path) -> tuple[Cell, ...]:
    return plan_cells(*load_campaign(path), build_catalog())


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("emulated", [True, False])
def test_what_is_written_can_be_planned(
    experiment: str, quick: bool, emulated: bool, tmp_path: Path
) -> None:
    path = tmp_path / "first.yaml"
    path.write_text(campaign_page(path, (experiment,), found(*REAL, emulated=emulated), quick=quick))
    cells = cells_of(path)
    assert {cell.experiment for cell in cells} == {experiment}
    assert {"process", "docker"} <= {cell.driver for cell in cells}
    assert {cell.limits.memory_mib for cell in cells} == {128}


def test_every_key_has_its_comment() -> None:
    text = campaign_page(Path("c.yaml"), EXPERIMENTS, found(*REAL), quick=False)
    bare = [
        line
        for line in text.splitlines()
        if ":" in line and "#" not in line and not line.strip().startswith(("-", "drivers:"))
    ]
    assert [line.split(":")[0].strip() for line in bare if line.split(":")[1].strip()] == [
        "description",
        "memory_mib",
    ]
    assert max(map(len, text.splitlines())) < 160


def test_limits_that_need_root_are_left_out_without_it(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(campaign_page(path, ("lifecycle",), found("process", root=False), quick=True))
    assert load_campaign(path)[0].limits.memory_mib is None


@pytest.mark.parametrize("name", ["2024", "true", "null", "1e5", "Mein Test", "…", "a" * 80 + "-b"])
def test_any_file_name_makes_a_campaign_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(campaign_page(path, ("lifecycle",), found("simulated"), quick=True))
    assert load_campaign(path)[0].campaign


def test_a_campaign_is_written_and_tried(tonnage: Tonnage) -> None:
    wrote = tonnage("init", "c.yaml", "--quick", "--driver", "simulated", "--experiment", "density")
    assert wrote.exit_code == 0, wrote.output
    assert "c.yaml: 1 cell × 3 blocks = 3 trials per host" in wrote.stdout
    assert "reckoned from 1 short trial in" in wrote.stdout
    assert not Path("results").exists()
    assert not list(Path("state").rglob("*.part"))
    assert tonnage("validate", "c.yaml").exit_code == 0


def test_nothing_is_ever_written_over(tonnage: Tonnage) -> None:
    Path("mine.yaml").write_text("precious")
    refused = tonnage("init", "mine.yaml")
    assert isinstance(refused.exception, TonnageError)
    assert "left alone" in str(refused.exception)
    assert Path("mine.yaml").read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--experiment", "lifecycel"], "did you mean 'lifecycle'?"),
        (["--driver", "dokcer"], "did you mean 'docker'?"),
    ],
)
def test_unknown_names_are_refused_before_anything_is_written(
    words: list[str], hint: str, tonnage: Tonnage
) -> None:
    refused = tonnage("init", "c.yaml", *words)
    assert hint in str(refused.exception)
    assert not Path("c.yaml").exists()


def test_a_driver_that_is_absent_is_written_and_said(tonnage: Tonnage, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "no.sock")
    wrote = tonnage("init", "c.yaml", "--driver", "docker", "--docker-socket", nowhere)
    assert wrote.exit_code == 0, wrote.output
    assert "docker: cannot be used here: no engine listens" in wrote.stdout
    assert {cell.driver for cell in cells_of(Path("c.yaml"))} == {"docker"}
    planned = tonnage("plan", "c.yaml", "--local", "--docker-socket", nowhere)
    assert "cannot run: 10 trials, docker: no engine listens" in planned.stdout


def test_a_pilot_that_meets_nothing_but_trouble_says_so(tonnage: Tonnage) -> None:
    wrote = tonnage("init", "c.yaml", "--driver", "simulated", "--no-pilot")
    assert "reckoned" not in wrote.stdout
    campaign = Path("c.yaml")
    campaign.write_text(campaign.read_text().replace("image: tiny ", "image: missing "))
    planned = tonnage("plan", "c.yaml", "--pilot")
    assert planned.exit_code == 0, planned.output
    assert "not tried: lifecycle simulated: image 'missing' does not exist" in planned.stdout
    assert "nothing is known: at most" in planned.stdout


def test_a_pilot_ends_when_its_time_is_over(
    tonnage: Tonnage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tonnage("init", "c.yaml", "--driver", "simulated", "--no-pilot")
    monkeypatch.setattr("orchestrator.cli.pilot.BUDGET_S", -1.0)
    campaign, source = load_campaign(Path("c.yaml"))
    cells = plan_cells(campaign, source, build_catalog())
    estimate = estimate_here(
        campaign, cells, HostSettings(name="here", state_dir=tmp_path / "state"), {}
    )
    assert estimate.tried == []
    assert estimate.untried_trials == len(cells) * campaign.blocks
    assert BUDGET_S <= 60


def test_an_interrupted_pilot_ends_and_lets_its_trial_tidy_up(
    tonnage: Tonnage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    before = signal.getsignal(signal.SIGINT)

    def interrupted(assignment: Assignment) -> PackedPart:
        os.kill(os.getpid(), signal.SIGINT)
        asked.append(assignment.cancelled())
        raise TrialCancelled("by hand")

    monkeypatch.setattr("workers.run.run_trial", interrupted)
    ran = tonnage("init", "c.yaml", "--driver", "simulated")
    assert asked == [True]  # and no further trial
    assert ran.exit_code == 5
    assert "the whole of it" not in ran.stdout
    assert signal.getsignal(signal.SIGINT) is before


def lifecycle(tmp_path: Path, **params: int) -> Cell:
    path = tmp_path / "l.yaml"
    given = ", ".join(f"{name}: {value}" for name, value in params.items())
    path.write_text(
        f"campaign: l\nexperiments: [{{experiment: lifecycle, drivers: [docker], params: {{{given}}}}}]"
    )
    return cells_of(path)[0]


def test_work_is_reckoned_in_proportion_and_ends_at_the_deadline(tmp_path: Path) -> None:
    whole = lifecycle(tmp_path, instances=40, concurrency=2)
    short = shortened(whole)
    assert (work_of(whole), short.params["instances"], work_of(short)) == (20, 4, 2)
    tried = Tried(short, fixed_s=3.0, work_s=1.0, work=2, rows=4, size_bytes=10_000)
    assert tried.duration_s(whole) == 3.0 + 10.0
    found = Estimate(tried=[tried])
    add_cell(found, whole, blocks=5)
    assert found.duration_s == 5 * 13.0
    endless = lifecycle(tmp_path, instances=100_000)
    assert tried.duration_s(endless) == endless.deadline_s


def test_a_short_trial_has_no_more_work_than_the_whole(tmp_path: Path) -> None:
    small = lifecycle(tmp_path, instances=2, residents=1)
    assert shortened(small) == small
    wide = shortened(lifecycle(tmp_path, instances=100, concurrency=16))
    assert wide.params["instances"] == 16


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_short_trial_is_one_that_can_be_planned(experiment: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(campaign_page(path, (experiment,), found("simulated"), quick=False))
    for cell in cells_of(path):
        short = shortened(cell)
        assert build_catalog().experiments[experiment].params.model_validate(short.params)
        assert work_of(short) <= work_of(cell)
