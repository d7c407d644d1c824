"""gate: rules are read with line numbers, and every outcome is the one that the data deserve."""

import json
import textwrap
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from make_dataset import Design, Variant, write_dataset

from analysis.dataset import open_dataset
from analysis.gate.judge import Judged, judge_gate
from analysis.gate.junit import as_junit
from analysis.gate.outcome import CellOutcome, GateOutcome, RuleOutcome
from analysis.gate.rules import load_gate
from analysis.gate.shown import as_document, as_markdown, rows_of
from contract.errors import CampaignError, UseError

DESIGN = Design((Variant("docker", 100),), blocks=5, instances=20, concurrency=(1, 8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("d"), DESIGN)


def rules_file(tmp_path, text):
    path = tmp_path / "gate.yaml"
    path.write_text(textwrap.dedent(text))
    return path


def judged(tmp_path, folder, text, baseline=None, **options):
    gate, source = load_gate(rules_file(tmp_path, text))
    with open_dataset(folder) as dataset:
        if baseline is None:
            return judge_gate(gate, source, Judged(dataset, **options))
        with open_dataset(baseline) as other:
            return judge_gate(gate, source, Judged(dataset, other, **options))


def rule(**keys):
    given = {"experiment": "lifecycle", "metric": "e2e"} | keys
    lines = [f"{key}: {json.dumps(value)}" for key, value in given.items()]
    return "rules:\n  - " + "\n    ".join(lines) + "\n"


@pytest.mark.parametrize(
    ("keys", "word", "why"),
    [
        ({"at_most": "150ms"}, "pass", "far end of the interval meets"),
        ({"at_most": "50ms"}, "fail", "the value misses it"),
        ({"at_most": "101ms", "confidence": "estimate"}, "pass", "the value meets it"),
        ({"at_most": "101ms"}, "fail", "far end of its interval does not"),
        ({"at_least": "50ms"}, "pass", "far end of the interval meets"),
        ({"at_most": "1s", "quantile": "p99"}, "undecided", "too few data for an interval"),
        ({"at_most": "1s", "quantile": "p99", "confidence": "estimate"}, "pass", "the value meets"),
        ({"at_most": "5%", "metric": "failed_share"}, "pass", "far end"),
        ({"at_most": "1%", "metric": "failed_share"}, "fail", "far end of its interval does not"),
        ({"at_least": "1/s", "metric": "rate_per_s"}, "pass", "far end"),
        ({"at_most": "1s", "where": {"driver": "podman"}}, "nothing matched", "has driver docker"),
        ({"at_most": "1s", "where": {"colour": 1}}, "nothing matched", "unknown key 'colour'"),
        (
            {"at_most": "1MiB", "experiment": "density", "metric": "pss"},
            "nothing matched",
            "it has lifecycle",
        ),
    ],
)
def test_outcomes(tmp_path, folder, keys, word, why):
    outcome = judged(tmp_path, folder, rule(**keys))
    assert outcome.rules[0].word == word
    assert any(why in cell.why for cell in outcome.rules[0].cells)
    assert outcome.passed is (word == "pass")


def test_every_cell_that_fits_must_meet_the_rule(tmp_path):
    folder = write_dataset(
        tmp_path / "d", replace(DESIGN, variants=(Variant("docker", 100, per_level=0.2),))
    )
    outcome = judged(tmp_path, folder, rule(at_most="150ms"))
    assert [cell.word for cell in outcome.rules[0].cells] == ["pass", "fail"]
    assert not outcome.passed
    assert judged(tmp_path, folder, rule(at_most="150ms", where={"concurrency": 1})).passed


def test_undecided_may_pass_when_it_is_asked_for_and_nothing_matched_never(tmp_path, folder):
    thin = rule(at_most="1s", quantile="p99")
    assert not judged(tmp_path, folder, thin).passed
    assert judged(tmp_path, folder, thin, undecided="pass").passed
    nothing = rule(at_most="1s", where={"driver": "podman"})
    assert not judged(tmp_path, folder, nothing, undecided="pass").passed


@pytest.mark.parametrize("verdict", ["suspect", "invalid"])
def test_trials_that_are_not_believed_decide_nothing(tmp_path, verdict):
    design = replace(DESIGN, verdict=verdict, reasons=("load",))
    outcome = judged(tmp_path, write_dataset(tmp_path / "d", design), rule(at_most="10s"))
    assert outcome.rules[0].word == "undecided"


def test_what_never_got_ready_misses_every_limit(tmp_path):
    dead = replace(DESIGN, variants=(Variant("docker", 100, fails=1.0),), outcome="failed")
    outcome = judged(tmp_path, write_dataset(tmp_path / "d", dead), rule(at_most="10s"))
    assert outcome.rules[0].word == "fail"
    assert "> deadline" in outcome.rules[0].cells[0].found


@pytest.mark.parametrize(
    ("median", "limit", "word"),
    [(100, "30%", "pass"), (200, "30%", "fail"), (100, "1%", "undecided"), (60, "30%", "pass")],
)
def test_rules_about_a_baseline(tmp_path, folder, median, limit, word):
    new = replace(DESIGN, variants=(Variant("docker", median),), seed=4, pair_sigma=0.02)
    dataset = write_dataset(tmp_path / "new", new)
    text = rule(against_baseline={"at_most_slower": limit}, where={"concurrency": 8})
    outcome = judged(tmp_path, dataset, text, baseline=folder)
    assert [cell.word for cell in outcome.rules[0].cells] == [word]


def test_a_baseline_rule_says_what_has_no_partner(tmp_path, folder):
    dataset = write_dataset(tmp_path / "new", replace(DESIGN, variants=(Variant("process", 5),)))
    text = rule(against_baseline={"at_most_worse": "5%"})
    outcome = judged(tmp_path, dataset, text, baseline=folder)
    assert not outcome.passed
    cells = outcome.rules[0].cells
    assert all("no partner" in cell.why for cell in cells)
    assert len({cell.cell for cell in cells}) == len(cells) == 4
    with pytest.raises(UseError, match="needs --baseline DATASET"):
        judged(tmp_path, folder, text)


def test_hosts_that_the_baseline_lacks_are_noted(tmp_path, folder):
    dataset = write_dataset(tmp_path / "new", replace(DESIGN, hosts=("h1", "h2")))
    outcome = judged(tmp_path, dataset, rule(against_baseline={"at_most_slower": "50%"}), folder)
    assert any("Left out, because only B has it: h2." in note for note in outcome.notes)
    text = rule(against_baseline={"at_most_slower": "50%"}, where={"host": "h2"})
    outcome = judged(tmp_path, dataset, text, folder)
    assert outcome.rules[0].word == "nothing matched"
    assert "baseline: nothing in" in outcome.rules[0].cells[0].why


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: []", "'rules': found []; allowed: at least one entry"),
        ("[]", "allowed: a mapping with 'rules'"),
        ("rules:\n  - experiment: lifecycle\n    metrik: e2e\n    at_most: 1s", "did you mean 'metric'"),
        (rule(), "one of at_most, at_least and against_baseline"),
        (rule(at_most="1s", at_least="1s"), "one of at_most, at_least and against_baseline"),
        (rule(at_most="1s", quantile="p98"), "p50 or p90 or p95 or p99"),
        (rule(at_most="1s", confidence="sure"), "'bound' or 'estimate'"),
        (rule(against_baseline={}), "one of at_most_slower and at_most_worse"),
        (rule(at_most=500), "gate.yaml:4: 'rules[0].at_most': found 500; allowed: a number with a unit"),
        (
            rule(at_most="1s", metric="e3e"),
            "gate.yaml:3: 'rules[0].metric': found 'e3e'; allowed: e2e, queue",
        ),
        (rule(at_most="1s", experiment="lifecicle"), "allowed: one of churn, density"),
        (rule(at_most="1%", metric="failed_share", quantile="p50"), "failed_share has none"),
        (
            rule(against_baseline={"at_most_slower": "5%"}, metric="failed_share"),
            "at_most_worse: failed_share is no time",
        ),
    ],
)
def test_errors_name_file_line_key_found_and_allowed(tmp_path, folder, text, said):
    with pytest.raises(CampaignError, match=r".") as caught:
        judged(tmp_path, folder, text)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "gate.yaml"))


OUTCOME = GateOutcome(
    "release",
    (
        RuleOutcome("fast", "e2e p50 at most 1 s", (CellOutcome("docker", "pass", "1 s", "meets"),)),
        RuleOutcome(
            "a <b> & \x07|c|",
            "e2e p99 at most 1 s",
            (
                CellOutcome("docker", "fail", "2 s", "misses"),
                CellOutcome("process", "undecided", "1 s", "too few data"),
            ),
        ),
        RuleOutcome(
            "none", "pss at most 1 B", (CellOutcome("no cell", "nothing matched", "nothing", "gone"),)
        ),
    ),
    "fail",
)


def test_junit_is_what_continuous_integration_reads():
    suites = ET.fromstring(as_junit(OUTCOME))  # noqa: S314 - our own
    (suite,) = suites
    assert (suites.tag, suite.tag) == ("testsuites", "testsuite")
    counts = {"tests": "4", "failures": "2", "errors": "1", "time": "0"}
    assert suites.attrib == counts | {"name": "tonnage gate release"}
    assert suite.attrib == counts | {"name": "release", "skipped": "0"}
    cases = suite.findall("testcase")
    assert [[child.tag for child in case] for case in cases] == [
        ["system-out"], ["failure"], ["failure"], ["error"],
    ]  # fmt: skip
    assert all(case.get("name") and case.get("classname") == "gate.release" for case in cases)
    assert all(float(case.get("time")) >= 0 for case in cases)
    assert cases[1].get("name") == "a <b> & \ufffd|c|: docker"
    assert cases[1][0].get("message")
    assert cases[1][0].get("type") == "fail"
    allowed = ET.fromstring(as_junit(replace(OUTCOME, undecided="pass")))  # noqa: S314
    assert allowed[0].get("skipped") == "1"
    assert allowed[0].findall("testcase")[2][0].tag == "skipped"


def test_markdown_and_json():
    text = as_markdown(OUTCOME, "new", "old")
    assert text.startswith("### ❌ Gate release failed: of 3 rules 1 pass, 1 fail, 1 nothing matched.")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(rows_of(OUTCOME))
    assert all(line.replace("\\|", "").count("|") == 7 for line in rows)
    document = as_document(OUTCOME, "new", None)
    assert [one["outcome"] for one in document["rules"]] == ["pass", "fail", "nothing matched"]
    assert document["passed"] is False
