"""Reports of incus-benchmark: one row per run, whose time is that of the whole batch."""

import json

import pytest
from imports import Importer

from contract.errors import SourceError, UseError
from orchestrator.importing import Form

HEAD = "timeStamp,elapsed,label,responseCode,success\n"
MAPPING = "measured_by: a colleague\nhost: lab-1\ncount: 20\nparallel: 4\n"


@pytest.fixture
def incus(importer: Importer) -> Importer:
    importer.form = Form.INCUS
    return importer


def test_every_row_is_a_block_of_one_batch(incus: Importer) -> None:
    rows = "1764000010000,10000,launch,,true\n1764000020000,2000,delete,,true\n"
    rows += "1764000030000,9000,launch,,true\n1764000031000,500,init,,true\n"
    found = incus.run(MAPPING, report_csv=HEAD + rows)
    assert (len(found.records), found.rows) == (4, 4)
    of = {(json.loads(r["params"])["action"], r["block"]): r for r in incus.rows()}
    assert of["launch", 0]["t_ready"] == 10_000_000_000
    assert of["launch", 1]["t_ready"] == 9_000_000_000
    assert of["delete", 0]["t_gone"] - of["delete", 0]["t_stop_call"] == 2_000_000_000
    assert of["init", 0]["t_created"] == 500_000_000
    assert json.loads(of["launch", 0]["params"]) == {"action": "launch", "batch": 20, "concurrency": 4}
    sql = "SELECT CAST(min(started_at) AS VARCHAR) AS began FROM trials"
    assert incus.rows(sql)[0]["began"].startswith("2025-11-24 16:00:00")


def test_labels_of_ones_own_and_failures_of_other_tools(incus: Importer) -> None:
    mapping = MAPPING + "labels_of_rows: {alpine: {stage: e2e, profile: alpine}}\n"
    found = incus.run(mapping, r_csv=HEAD + "1764000010000,10,alpine,,false\n")
    assert found.failed == 1
    assert [(r["profile"], r["t_ready"]) for r in incus.rows()] == [("alpine", None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", r"r\.csv:1: found 'a,b'; allowed: timeStamp,elapsed"),
        (HEAD, "no row"),
        (HEAD + "1,2,launch\n", r"r\.csv:2: columns: found 3; allowed: 5"),
        (HEAD + "1,2,lunch,,true\n", "label: found 'lunch'; allowed: launch"),
        (HEAD + "1,2.5,launch,,true\n", "elapsed: found '2.5'"),
        (HEAD + "1e9,2,launch,,true\n", "timeStamp: found '1e9'"),
        (HEAD + "99999999999999999,2,launch,,true\n", "timeStamp"),
        (HEAD + "1,2,launch,,yes\n", "success: found 'yes'"),
    ],
)
def test_what_is_no_report_is_named(incus: Importer, text: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        incus.run(MAPPING, r_csv=text)
    assert not incus.dataset.exists()


def test_without_a_mapping_nobody_knows_what_a_row_is(incus: Importer) -> None:
    with pytest.raises(UseError, match="needs --mapping"):
        incus.run(None, r_csv=HEAD + "1,2,launch,,true\n")
