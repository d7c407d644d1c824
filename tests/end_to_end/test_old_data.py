"""Results of schema version 1 open, report and compare for ever; those of later releases are refused.

The golden results were written by the first release, and are never written anew.
"""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.tables import SCHEMA_VERSION
from orchestrator.cli import main
from orchestrator.gather import gather
from orchestrator.outline import PLAN_VERSION
from orchestrator.results import Results

GOLDEN = Path(__file__).parents[1] / "data/schema-1"
NEWER = SCHEMA_VERSION + 1
RULES = "rules:\n  - {experiment: lifecycle, metric: e2e, at_most: 10s, confidence: estimate}\n"
DEMAND = "demand: d\nshapes: [{name: s, count: 3, variants: [simulated]}]\n"
CAMPAIGN = "campaign: golden\nexperiments: [{experiment: lifecycle, drivers: [simulated]}]\n"

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A copy: nobody writes into the real ones."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "golden"))


@pytest.fixture
def tonnage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command: its exit code and what it said."""
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "demand.yaml").write_text(DEMAND)
    (tmp_path / "c.yaml").write_text(CAMPAIGN)

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["tonnage", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out + said.err

    return run


def test_golden_parts_are_read_and_gathered_to_the_golden_rows(golden: Path) -> None:
    results = Results(golden)
    trials = results.planned()
    before = json.loads((golden / "dataset/manifest.json").read_text())
    found = gather(results, trials)
    after = json.loads((found.dataset / "manifest.json").read_text())
    assert (found.planned, found.outcomes, len(found.missing)) == (8, {"completed": 4}, 4)
    assert [file["path"] for file in after["files"]] == [file["path"] for file in before["files"]]
    assert [file["rows"] * 2 for file in after["files"][:3]] == [8, 28, 12]
    assert not (golden / "damaged").exists()


def test_a_trial_has_the_id_that_it_had(golden: Path) -> None:
    outline = Results(golden).outline().planned()
    assert [trial.trial_id for trial in Results(golden).planned()] == [t.trial_id for t in outline]


def test_the_golden_dataset_is_reported_and_compared(golden: Path, tonnage: Command) -> None:
    code, said = tonnage("report", "golden/dataset", "--out", "page")
    assert (code, said.endswith("page/report.html\n")) == (0, True)
    page = Path("page/report.html").read_text()
    for section in ("lifecycle", "overhead", "recovery"):
        assert f'<section id="{section}"' in page
    code, said = tonnage(
        "compare", "golden/dataset", "--a", "profile=default", "--b", "profile=narrow", "--json"
    )
    assert code == 0
    assert json.loads(said)
    code, said = tonnage("gate", "golden/dataset", "--rules", "rules.yaml")
    assert (code, "passed" in said) == (0, True)
    code, said = tonnage("export", "golden/dataset", "--table", "trials", "--out", "t.csv")
    assert (code, len(Path("t.csv").read_text().splitlines())) == (0, 9)


COMMANDS = [
    ("report", "golden/dataset", "--out", "page"),
    ("compare", "golden/dataset", "golden/dataset"),
    ("gate", "golden/dataset", "--rules", "rules.yaml"),
    ("capacity", "golden/dataset", "--demand", "demand.yaml"),
    ("export", "golden/dataset", "--table", "trials"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_dataset_of_a_later_release_is_refused_in_plain_words(
    command: tuple[str, ...], golden: Path, tonnage: Command
) -> None:
    change(golden / "dataset/manifest.json", rb'"schema_version": 1', f'"schema_version": {NEWER}')
    code, said = tonnage(*command)
    assert code == 1
    assert f"has schema version {NEWER}, this release reads {SCHEMA_VERSION}; use the release" in said


@pytest.mark.parametrize(
    "command",
    [
        ("status", "golden"),
        ("watch", "golden"),
        ("report", "golden"),
        ("run", "c.yaml", "--local", "--name", "h1", "--state-dir", "state", "--results", "golden"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            rb"\A\{",
            f'{{"version": {PLAN_VERSION + 1},\n',
            f"of version {PLAN_VERSION + 1}, and this release reads {PLAN_VERSION}",
        ),
    ],
)
def test_a_plan_of_a_later_release_is_refused_and_left_as_it_is(
    command: tuple[str, ...], old: bytes, new: str, says: str, golden: Path, tonnage: Command
) -> None:
    shutil.rmtree(golden / "dataset")
    change(golden / "plan.json", old, new)
    before = (golden / "plan.json").read_bytes()
    code, said = tonnage(*command)
    assert code == 1
    assert says in said
    assert "use the release of Tonnage that wrote it" in said
    assert (golden / "plan.json").read_bytes() == before
    assert len(list((golden / "parts").iterdir())) == 4


@pytest.mark.parametrize("layout", ["[]", "{}", '{"trials": []}', "[[1, 2]]"])
def test_a_folder_of_another_layout_says_so(layout: str, golden: Path, tonnage: Command) -> None:
    (golden / "plan.json").write_text(layout)
    code, said = tonnage("status", "golden")
    assert code == 1
    assert "plan.json is laid out as no plan of version 1 is; use the release of Tonnage" in said


def test_trials_of_another_contract_are_not_taken_for_ours(golden: Path, tonnage: Command) -> None:
    change(golden / "plan.json", rb'"contract": 1', '"contract": 2')
    code, said = tonnage("status", "golden")
    assert (code, "its trials are of contract version 2" in said) == (1, True)


def test_a_part_of_a_later_release_is_missing_with_the_reason_in_plain_words(golden: Path) -> None:
    part = next(path for path in (golden / "parts").iterdir())
    with zipfile.ZipFile(part) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    record = json.loads(entries["trial.json"]) | {"schema_version": NEWER, "new": "field"}
    with zipfile.ZipFile(part, "w") as archive:
        for name, data in (entries | {"trial.json": json.dumps(record).encode()}).items():
            archive.writestr(name, data)
    found = gather(Results(golden), Results(golden).planned())
    reasons = [missing["reason"] for missing in found.missing]
    said = f"a part of schema version {NEWER}, and this release reads {SCHEMA_VERSION}: use the release"
    assert sum(said in reason for reason in reasons) == 1
    assert (golden / "damaged" / part.name).exists()


def change(path: Path, old: bytes, new: str) -> None:
    """Replace the first occurrence in a file."""
    data = path.read_bytes()
    changed = re.sub(old, new.encode(), data, count=1)
    assert changed != data
    path.write_bytes(changed)
