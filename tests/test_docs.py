"""The documentation says what the code does: links, campaigns, commands, defaults, tables, figures."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pages import (
    PAGES,
    ROOT,
    Block,
    Command,
    blocks,
    commands,
    heading_slugs,
    prose,
    spans,
    split,
    tables,
)
from pydantic import BaseModel, TypeAdapter
from typer.main import get_command

from analysis import report_tables
from analysis.gate.rules import Gate, Rule, load_gate
from contract import errors
from contract.campaign import Campaign, ExperimentEntry, HostSelection, Limits, Profile, load_campaign
from orchestrator import cli
from orchestrator.cli.commands_page import commands_page
from orchestrator.cli.schema_page import metrics_page, tables_page
from orchestrator.cli.settings_file import key_of, read_settings
from orchestrator.plan import plan_cells
from workers import verdict
from workers.discover import build_catalog
from workers.host import host_facts
from workers.policy import Policy, load_policy

OURS = ("contract", "workers", "orchestrator", "analysis")
CATALOG = build_catalog()
COMMANDS = get_command(cli.app).commands  # type: ignore[attr-defined]
OF_ALL = {name for option in get_command(cli.app).params for name in option.opts}
"""Options of the program itself, which need no command."""


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line as a process of its own, untouched by this one's environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TONNAGE_")}
    return subprocess.run(
        [sys.executable, "-c", "from orchestrator.cli import main; main()", *arguments],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture(scope="session")
def simulated_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `tonnage run --local` has left ``results/first``."""
    folder = tmp_path_factory.mktemp("docs")
    campaign = {
        "campaign": "first",
        "profiles": {
            "quick": {"driver": "simulated", "start_ms": 10},
            "frail": {"driver": "simulated", "failure_share": 0.1},
        },
        "experiments": [
            {
                "experiment": "lifecycle",
                "drivers": ["quick", "frail"],
                "params": {"instances": 10, "concurrency": [1, 4]},
            }
        ],
    }
    (folder / "first.yaml").write_text(yaml.safe_dump(campaign))
    host = ("--name", "h1", "--state-dir", str(folder / "state"), "--run-dir", str(folder / "run"))
    ran = call(folder, "run", "first.yaml", "--local", *host)
    assert ran.returncode == 0, ran.stderr
    return folder


def test_all_pages_are_there() -> None:
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert names >= {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"}
    assert {page.stem for page in PAGES} >= {"campaign", "schema", "measurement", "operations"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_link_is_dead(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in heading_slugs(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_is_named_exists(page: Path) -> None:
    for span in spans(page):
        if re.match(rf"^({'|'.join(OURS)}|deploy|tests|docs|\.ci)/[\w./-]*$", span):
            assert (ROOT / span).exists(), span


POLICIES = [block for block in blocks("yaml") if block.file_name == "policy.yaml"]
MAPPINGS = [block for block in blocks("yaml") if block.page.name == "import-export.md"]
DEMANDS = [block for block in blocks("yaml") if "\nshapes:" in block.text]
SETTINGS = [block for block in blocks("yaml") if block.file_name == "tonnage.yaml"]
GATES = [block for block in blocks("yaml") if (block.file_name or "").startswith("gate")]
WORKFLOWS = [block for block in blocks("yaml") if "jobs" in yaml.safe_load(block.text)]
HOOKS = [block for block in blocks("yaml") if "\nrepos:" in block.text]
PLUG_INS = [block for block in blocks("yaml") if block.page.stem in ("own-driver", "own-experiment")]
"""Campaigns of a driver or an experiment that their page makes: `tests/test_plug_ins.py` runs them."""
_OTHERS = (*SETTINGS, *POLICIES, *MAPPINGS, *DEMANDS, *GATES, *WORKFLOWS, *HOOKS, *PLUG_INS)
CAMPAIGNS = [block for block in blocks("yaml") if block not in _OTHERS]


def test_the_policy_page_shows_and_names_every_rule(tmp_path: Path) -> None:
    (block,) = POLICIES
    path = tmp_path / "policy.yaml"
    path.write_text(block.text)
    assert load_policy(path) != Policy()
    rules = {row[0].strip("`") for row in tables(ROOT / "docs/operations.md")["Policy"]}
    assert rules == set(Policy.model_fields)


@pytest.mark.parametrize("block", GATES, ids=lambda block: block.file_name)
def test_every_gate_can_be_read(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(block.text)
    load_gate(path)


def test_the_page_names_every_key_of_a_gate() -> None:
    keys = [row[0] for row in tables(ROOT / "docs/compare.md")["A gate"] if len(row) == 2]
    named = {name for key in keys for name in re.findall(r"`(\w+)`", key)}
    assert named >= {*Gate.model_fields, *Rule.model_fields}


def test_commands_of_a_workflow_exist() -> None:
    texts = [block.text for block in WORKFLOWS]
    texts += [path.read_text() for path in (ROOT / "deploy/github").glob("*.yml")]
    runs = [
        step["run"]
        for text in texts
        for job in yaml.safe_load(text)["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    words = [found for run in runs for found in split(run)]
    assert len(words) >= 6
    for _, name, *rest in [w for w in words if w[0] == "tonnage"]:
        COMMANDS[name].make_context(name, rest)


@pytest.mark.parametrize("block", CAMPAIGNS, ids=lambda b: f"{b.page.stem}-{b.number}")
def test_every_campaign_can_be_planned(block: Block, tmp_path: Path) -> None:
    """A block that is part of a campaign is put into one, with its profiles in use."""
    content = yaml.safe_load(block.text)
    if "campaign" not in content:
        drivers = list(content.get("profiles", ["simulated"]))
        rest = {"campaign": "part", "experiments": [{"experiment": "lifecycle", "drivers": drivers}]}
        content = rest | content
    path = tmp_path / "campaign.yaml"
    path.write_text(block.text if "campaign:" in block.text else yaml.safe_dump(content))
    assert plan_cells(*load_campaign(path), CATALOG)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "deploy/campaigns").glob("*.yaml")), ids=lambda path: path.stem
)
def test_sample_campaigns_can_be_planned(path: Path) -> None:
    assert plan_cells(*load_campaign(path), CATALOG)


@pytest.mark.parametrize("name", CATALOG.experiments)
def test_examples_of_experiments_can_be_planned(name: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(CATALOG.experiments[name].example)
    cells = plan_cells(*load_campaign(path), CATALOG)
    assert {cell.driver for cell in cells} == {"simulated"}


@pytest.mark.parametrize("command", commands(), ids=str)
def test_commands_exist_with_their_options(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TONNAGE_")]:
        monkeypatch.delenv(name)
    program, *rest = command.words
    if program == "tonnage" and rest[0] not in OF_ALL:
        COMMANDS[rest[0]].make_context(rest[0], rest[1:])  # raises for what it does not know
    elif program.startswith(("deploy/", ".ci/")):
        script = (ROOT / program).read_text()
        assert all(option in script for option in rest if option.startswith("--"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_sentences_exist(page: Path) -> None:
    for span in spans(page):
        program, *rest = span.split(" ")
        if program == "tonnage" and rest and rest[0] not in OF_ALL:
            options = {name for option in COMMANDS[rest[0]].params for name in option.opts}
            assert {word for word in rest if word.startswith("--")} <= options, span


@pytest.mark.parametrize("block", blocks("python"), ids=lambda b: f"{b.page.stem}-{b.number}")
def test_snippets_compile(block: Block) -> None:
    compile(block.text, block.page.name, "exec")


def test_dataset_is_read_without_tonnage(simulated_results: Path) -> None:
    snippets = [b.text for b in blocks("python") if b.page.name == "reading-a-dataset.md"]
    names = "{name.partition('.')[0] for name in sys.modules}"
    check = f"import sys\nassert not {names} & {set(OURS)!r}\nprint('all read')"
    ran = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", "\n".join([*snippets, check])],
        cwd=simulated_results,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("all read\n")


def test_schema_page_holds_the_generated_tables() -> None:
    page = (ROOT / "docs/schema.md").read_text()
    assert tables_page().strip() in page, "tonnage schema tables --markdown says something else"
    assert metrics_page().strip() in page, "tonnage schema metrics --markdown says something else"


def test_page_of_commands_is_the_generated_one() -> None:
    told = "tonnage schema commands --markdown says something else"
    assert (ROOT / "docs/cli.md").read_text() == commands_page(), told


def test_page_of_report_tables_is_the_generated_one() -> None:
    told = "tonnage schema reports --markdown says something else"
    assert (ROOT / "docs/report-tables.md").read_text() == report_tables.page(), told


def test_schema_page_names_manifest_facts_and_causes(simulated_results: Path) -> None:
    manifest = json.loads((simulated_results / "results/first/dataset/manifest.json").read_text())
    page = ROOT / "docs/schema.md"
    keys = [row[0].strip("`") for row in tables(page)["The manifest"]]
    assert sorted(keys) == sorted(manifest)
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    causes = {kind.code for kind in classes if issubclass(kind, errors.TonnageError)}
    assert causes | set(host_facts()) <= set(spans(page))


DOCUMENTED: dict[str, type[BaseModel]] = {
    "Campaign": Campaign,
    "hosts": HostSelection,
    "limits": Limits,
    "profiles": Profile,
    "experiments": ExperimentEntry,
    **{f"Experiment `{name}`": info.params for name, info in CATALOG.experiments.items()},
    **{f"Driver `{name}`": info.settings for name, info in CATALOG.drivers.items()},
}


@pytest.mark.parametrize("heading", DOCUMENTED)
def test_campaign_page_names_every_key_with_default_and_bounds(heading: str) -> None:
    fields = DOCUMENTED[heading].model_fields
    page = ROOT / "docs/campaign.md"
    assert heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    rows = {row[0].strip("`"): row for row in tables(page).get(heading, []) if len(row) == 4}
    assert list(rows) == list(fields)
    for key, (_, kind, default, meaning) in rows.items():
        field = fields[key]
        if field.is_required():
            assert default == "required", key
        else:
            kind_of_value: Any = field.annotation
            said = TypeAdapter(kind_of_value).validate_python(yaml.safe_load(default.strip("`")))
            assert said == field.get_default(call_default_factory=True), key
        bounds = [getattr(m, name, None) for m in field.metadata for name in ("ge", "gt", "le", "lt")]
        for bound in [str(int(b)) for b in bounds if b is not None]:
            assert bound in re.findall(r"\d+", kind), f"{key}: {bound}"
        assert all(f"`{choice}`" in kind + meaning for choice in choices(field.annotation)), key


def choices(annotation: Any) -> list[str]:
    inner = get_args(annotation)
    return [c for arg in inner for c in ([arg] if isinstance(arg, str) else choices(arg))]


@pytest.mark.parametrize("name", CATALOG.drivers)
def test_campaign_page_names_what_a_driver_offers(name: str) -> None:
    section = (ROOT / "docs/campaign.md").read_text().split(f"### Driver `{name}`")[1].split("\n#")[0]
    offers = {str(capability) for capability in CATALOG.drivers[name].offers}
    sentence = section.partition("Offers")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == offers


def test_the_reliability_page_names_tests_that_exist() -> None:
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = [row[2].strip("`") for row in tables(ROOT / "docs/reliability.md")["Faults"]]
    assert len(named) > 20
    for name in named:
        assert f"def {name}(" in written, name


def test_readme_names_every_driver_experiment_and_command() -> None:
    assert {*CATALOG.drivers, *CATALOG.experiments, *COMMANDS} <= set(spans(ROOT / "README.md"))


def test_figures_are_those_of_the_code() -> None:
    rows = [row for page in PAGES for found in tables(page).values() for row in found]
    checked = set()
    for row in rows:
        if constant := re.fullmatch(rf"`((?:{'|'.join(OURS)})[\w.]*)\.([A-Z_]+)`", row[-1]):
            module = import_module(constant[1])
            assert ast.literal_eval(row[-2].strip("`")) == getattr(module, constant[2]), row
            checked.add(f"{constant[1]}.{constant[2]}")
    bounds = {f"workers.verdict.{name}" for name in vars(verdict) if name.isupper()}
    assert bounds <= checked


def test_operations_page_names_options_variables_and_exit_codes() -> None:
    page = ROOT / "docs/operations.md"
    rows = [" | ".join(row) for found in tables(page).values() for row in found]
    for option in [option for command in COMMANDS.values() for option in command.params]:
        wanted = [
            name for name in (*option.opts, option.envvar) if name and name.startswith(("--", "T"))
        ]
        assert any(all(f"`{name}`" in row for name in wanted) for row in rows), wanted
    said = {
        int(code) for code in re.findall(r"^(?:\| )?([0-9]) (?:\||is kept)", prose(page), re.MULTILINE)
    }
    assert said == {0, *(value for name, value in vars(cli).items() if name.startswith("EXIT_"))}


def test_operations_page_names_every_key_of_the_settings_file(tmp_path: Path) -> None:
    rows = [
        row for row in tables(ROOT / "docs/operations.md")["Options and environment"] if len(row) == 5
    ]
    named = {row[2].strip("`"): row[1].strip("`") for row in rows if row[2]}
    assert {key: key_of(variable) for key, variable in named.items()} == {
        key: key for key in cli.app.keys
    }
    for block in SETTINGS:
        path = tmp_path / "tonnage.yaml"
        path.write_text(block.text)
        assert read_settings(path, cli.app.keys)[0]


def test_variables_of_the_scripts_are_documented() -> None:
    scripts = "".join(path.read_text() for path in (ROOT / "deploy").glob("*.sh"))
    named = "".join(page.read_text() for page in PAGES)
    assert all(name in named for name in set(re.findall(r"\bTONNAGE_[A-Z_]+\b", scripts)))


def test_architecture_is_short() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 135
