"""compare and gate on the command line: outputs, files, exit codes."""

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pyarrow.parquet as pq
import pytest
from make_dataset import Design, Variant, write_dataset

from orchestrator.cli import main

DESIGN = Design((Variant("docker", 100),), hosts=("h1", "h2"), blocks=4, instances=10)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    top = tmp_path_factory.mktemp("compare")
    write_dataset(top / "old", DESIGN)
    write_dataset(top / "new", replace(DESIGN, variants=(Variant("docker", 200),), seed=2))
    (top / "gate.yaml").write_text(
        "rules:\n  - {experiment: lifecycle, metric: e2e, at_most: 150ms}\n"
        "  - {experiment: lifecycle, metric: e2e, against_baseline: {at_most_slower: 30%}}\n"
    )
    return top


@pytest.fixture
def tonnage(folders, monkeypatch, capsys):
    """Run a command in the folder of the datasets: its exit code and what it printed."""

    def run(*arguments):
        monkeypatch.chdir(folders)
        monkeypatch.setattr("sys.argv", ["tonnage", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


def test_compare_says_the_summary_first_and_ends_with_0(tonnage):
    code, out, _ = tonnage("compare", "old", "new")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "A: old"
    assert lines[3].startswith("slower: ")
    assert any(line.startswith("lifecycle docker") and " slower" in line for line in lines)
    assert "stages and tails are not shown: --all shows them" in out
    assert len(tonnage("compare", "old", "new", "--all")[1].splitlines()) > len(lines)


def test_compare_writes_json_markdown_and_tables(tonnage, folders, tmp_path):
    where = ("--out", str(tmp_path / "t"), "--markdown", str(tmp_path / "m.md"))
    code, out, _ = tonnage("compare", "old", "new", "--json", "--metric", "e2e", *where)
    assert code == 0
    document = json.loads(out)
    assert document["verdicts"]["slower"] >= 1
    assert {row["metric"] for row in document["rows"]} == {"e2e"}
    assert (tmp_path / "m.md").read_text().startswith("### Tonnage: comparison")
    assert pq.read_table(tmp_path / "t/comparison.parquet").num_rows == len(document["rows"])
    assert {p.stem for p in (tmp_path / "t").glob("*.csv")} == {"comparison", "differs", "alone"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compare", "old"), "say with --a and --b"),
        (("compare", "old", "gone"), "there is no folder"),
        (("compare", "old", "new", "--floor", "many"), "--floor: found 'many'"),
        (("compare", "old", "new", "--run-drift", "150%"), "--run-drift: found '150%'"),
        (("compare", "old", "new", "--a", "driver=podman"), "has driver docker"),
        (("compare", "old", "new", "--metric", "e3e"), "--metric: found 'e3e'"),
        (("compare", "old", "new", "--json", "--markdown", "-"), "only one of them"),
        (("gate", "new", "--rules", "gate.yaml"), "needs --baseline"),
        (("gate", "gone", "--rules", "gate.yaml"), "there is no folder"),
    ],
)
def test_errors_in_use_end_with_1(tonnage, arguments, said):
    code, _, err = tonnage(*arguments)
    assert code == 1
    assert said in err


def test_a_gate_that_fails_ends_with_4_and_one_that_passes_with_0(tonnage, tmp_path):
    files = ("--junit", str(tmp_path / "g.xml"), "--markdown", str(tmp_path / "g.md"))
    code, out, _ = tonnage("gate", "new", "--rules", "gate.yaml", "--baseline", "old", *files)
    assert code == 4
    assert out.startswith("Gate gate failed: of 2 rules 2 fail.")
    suite = ET.parse(tmp_path / "g.xml").getroot()[0]  # noqa: S314 - our own
    assert suite.get("failures") == "2"
    assert "❌ fail" in (tmp_path / "g.md").read_text()
    code, out, _ = tonnage("gate", "old", "--rules", "gate.yaml", "--baseline", "old", "--json")
    assert code == 0
    assert json.loads(out)["passed"] is True


def test_rules_that_cannot_be_read_end_with_2(tonnage, folders):
    (folders / "bad.yaml").write_text("rules:\n  - {experiment: lifecycle, metric: e2e, at_most: 5}\n")
    code, _, err = tonnage("gate", "new", "--rules", "bad.yaml")
    assert code == 2
    assert "bad.yaml:2: 'rules[0].at_most': found 5" in err


def test_suspect_trials_count_on_request_and_carry_no_verdict(folders, tonnage):
    doubted = replace(DESIGN, verdict="suspect", seed=3)
    write_dataset(folders / "doubted", doubted)
    write_dataset(folders / "mixed", DESIGN, replace(doubted, blocks=2))
    code, out, _ = tonnage("compare", "old", "doubted", "--metric", "e2e")
    assert (code, "B has suspect trials only" in out, "as was asked" in out) == (0, True, False)
    for side, words in (
        ("doubted", "suspect trials only"),
        ("mixed", "suspect trials among its trials"),
    ):
        code, out, _ = tonnage("compare", "old", side, "--metric", "e2e", "--include-suspect", "--json")
        said = json.loads(out)
        assert {(row["verdict"], row["why"]) for row in said["rows"]} == {("withheld", f"B has {words}")}
        assert any("count in these numbers, as was asked" in note for note in said["notes"])
