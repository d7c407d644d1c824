"""Files of columns: what a mapping says of them, and what is wrong with a row, by file and line."""

import hashlib
import json

import pytest
from imports import Importer

from contract.errors import CampaignError, ResultsError, SourceError

BASE = """
measured_by: a colleague
host: lab-1
params: {concurrency: 4}
stages: [{stage: e2e, column: 1, unit: ms}]
block: {every: 2}
"""
ONE = BASE + "entries: [{files: a.csv, driver: docker}]\n"
WIDE = """
measured_by: a colleague
layout: {header: true}
stages: [{stage: e2e, column: ready, unit: s}]
block: {column: round}
interleaved: true
entries:
  - files: "*.csv"
    driver: {column: engine}
    profile: {column: runtime}
    host: {column: host}
    params: {concurrency: {column: at once}, kernel: {column: kernel}}
"""


def test_rows_become_instances_in_blocks(importer: Importer) -> None:
    found = importer.run(ONE, a_csv="12.5\n13\n# a comment\n\n14\n")
    assert (len(found.records), found.rows, found.failed) == (2, 3, 0)
    rows = importer.rows()
    assert [(r["block"], r["instance"], r["t_ready"]) for r in rows] == [
        (0, 0, 12_500_000),
        (0, 1, 13_000_000),
        (1, 0, 14_000_000),
    ]
    assert {(r["driver"], r["host"], r["concurrency"], r["ready_level"]) for r in rows} == {
        ("docker", "lab-1", 4, "not said")
    }


def test_a_trial_says_that_it_is_imported_and_nothing_that_nobody_knows(importer: Importer) -> None:
    importer.run(ONE + "origin: https://example.org/data\nfacts: {cpu_count: 8}\n", a_csv="1\n2\n")
    (trial,) = importer.rows("SELECT * FROM trials")
    unknown = ("started_at", "duration_ns", "clock_offset_ns", "clock_error_ns", "seed", "deadline_ns")
    assert [trial[name] for name in unknown] == [None] * len(unknown)
    assert (trial["verdict"], trial["reasons"]) == ("valid", ["imported: not judged by Tonnage"])
    facts = json.loads(trial["facts"])
    assert facts["cpu_count"] == 8
    checksum = hashlib.sha256(b"1\n2\n").hexdigest()
    assert facts["imported"] == {
        "format": "columns",
        "measured_by": "a colleague",
        "origin": "https://example.org/data",
        "interleaved": False,
        "files": [{"file": "a.csv", "sha256": checksum}],
    }


def test_cells_come_from_columns(importer: Importer) -> None:
    text = (
        "engine,runtime,host,at once,kernel,round,ready\n"
        "docker,runc,h1,1,6.1,first,0.5\n"
        "docker,crun,h1,1,6.1,first,0.25\n"
        "docker,runc,h1,1,6.1,second,0.000000001\n"
        "docker,crun,h2,8,6.1,second,1e-1\n"
    )
    importer.run(WIDE, a_csv=text)
    rows = importer.rows()
    assert [(r["profile"], r["host"], r["concurrency"], r["block"], r["t_ready"]) for r in rows] == [
        ("crun", "h1", 1, 0, 250_000_000),
        ("crun", "h2", 8, 1, 100_000_000),
        ("runc", "h1", 1, 0, 500_000_000),
        ("runc", "h1", 1, 1, 1),
    ]
    assert json.loads(rows[0]["params"]) == {"concurrency": 1, "kernel": 6.1}


@pytest.mark.parametrize(
    ("rule", "blocks"), [("file", [0, 0, 0, 1, 1]), ("{every: 2}", [0, 0, 1, 2, 2])]
)
def test_a_file_begins_a_block(importer: Importer, rule: str, blocks: list[int]) -> None:
    mapping = BASE.replace("{every: 2}", rule) + 'entries: [{files: "run-*.csv", driver: docker}]\n'
    importer.file("run-10.csv", "4\n5\n")
    importer.file("run-9.csv", "1\n2\n3\n")
    importer.run(mapping)
    rows = importer.rows()
    assert [r["block"] for r in rows] == blocks
    assert [r["t_ready"] // 1_000_000 for r in rows] == [1, 2, 3, 4, 5]


def test_failures_are_marked_in_many_ways(importer: Importer) -> None:
    mapping = BASE + (
        'failure: {values: ["", NaN, -1], negative: true, column: 2, ok: [ok], outcome: timeout}\n'
        "entries: [{files: a.csv, driver: docker, warm_ups: 1}]\n"
    )
    found = importer.run(mapping, a_csv="5,ok\n,ok\nNaN,ok\n-1,ok\n-3,ok\n7,out of memory\n9,ok\n")
    assert found.failed == 5
    rows = importer.rows()
    assert [r["t_ready"] for r in rows] == [5_000_000, *[None] * 5, 9_000_000]
    assert [r["outcome"] for r in rows] == ["ok", *["timeout"] * 5, "ok"]
    assert [r["warm_up"] for r in rows] == [True, *[False] * 6]
    assert rows[5]["error_text"] == "2: out of memory"
    assert all(r["t_intent"] == 0 for r in rows)


def test_columns_by_blanks_and_several_stages(importer: Importer) -> None:
    mapping = """
measured_by: a colleague
layout: {delimiter: whitespace, skip_lines: 1}
params: {concurrency: 1, ready: "tcp:80"}
stages:
  - {stage: queue, value: 0, unit: ns}
  - {stage: create, column: 1, unit: us}
  - {stage: e2e, column: 2, unit: ms}
  - {stage: delete, column: 3, unit: s}
  - {stage: guest_uptime, column: 4, unit: ms}
block: file
entries: [{files: a.txt, driver: qemu, profile: kvm, limits: {cpus: 1}}]
"""
    importer.run(mapping, a_txt="create ready gone uptime\n 250   10\t1  7\n 300 11 2 8 \n")
    first, _ = importer.rows()
    names = ("t_intent", "t_call", "t_created", "t_ready", "t_stop_call", "t_gone", "guest_uptime_ns")
    assert [first[name] for name in names] == [
        *(0, 0, 250_000, 10_000_000, 10_000_000, 1_010_000_000, 7_000_000)
    ]
    assert first["ready_level"] == "tcp:80"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1\nabc\n", r"a\.csv:2: e2e: found 'abc'; allowed: a number \(ms\)"),
        ("1\n\n# x\n2,3\n", r"a\.csv:4: columns: found 2; allowed: 1, as in the rows before"),
        ("nan\n", "found 'nan'; allowed: a number"),
        ("1_000\n", "found '1_000'; allowed: a number"),
        ("1\n-2\n", "found '-2'; allowed: a duration from 0"),
        ("1e30\n", "found '1e30'; allowed: at most a hundred years, in ms"),
        ('"1\n', "cannot be read as columns"),
        ("# nothing\n", "no row"),
        ("", "no row"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(importer: Importer, text: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        importer.run(ONE, a_csv=text)
    assert sorted(p.name for p in importer.folder.iterdir()) == ["mapping.yaml", "sources"]


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("column: ready", "column: redy", "found 'redy'; allowed: one of engine, runtime"),
        ("column: engine", "column: 12", "found 12; allowed: 1 to 7"),
    ],
)
def test_a_column_that_is_not_there(importer: Importer, wrong: str, right: str, said: str) -> None:
    text = "engine,runtime,host,at once,kernel,round,ready\nd,r,h,1,k,1,2\n"
    with pytest.raises(SourceError, match=said):
        importer.run(WIDE.replace(wrong, right), a_csv=text)


def test_names_in_columns_are_checked(importer: Importer) -> None:
    text = "engine,runtime,host,at once,kernel,round,ready\nDocker CE,r,h,1,k,1,2\n"
    with pytest.raises(SourceError, match=r"a\.csv:2: driver: found 'Docker CE'; allowed: 1 to 63"):
        importer.run(WIDE, a_csv=text)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (ONE.replace("measured_by: a colleague", ""), "key 'measured_by' is missing"),
        (ONE.replace("block: {every: 2}", ""), "key 'block' is missing"),
        (ONE.replace("{every: 2}", "{evry: 2}"), "evry"),
        (ONE.replace("unit: ms", "unit: min"), r"mapping\.yaml:5: .*found 'min'; allowed: 'ns', 'us'"),
        (ONE.replace("unit: ms", "unit: ms, value: 3"), "either a column or a value"),
        (ONE.replace("params: {concurrency: 4}", ""), "without 'concurrency'"),
        (ONE.replace("column: 1", "column: time"), "header"),
        (ONE.replace("files: a.csv", "files: b.csv"), r"'entries\[0\].files': found 'b.csv'; allowed"),
        (ONE + "experiment: density\n", "found 'density'; allowed: 'lifecycle'"),
        ("- 1\n", "a mapping with 'measured_by'"),
        (ONE.replace("driver: docker", "driver: Docker"), r"driver': found 'Docker'; allowed: 1 to 63"),
        (ONE.replace("driver: docker", "driver: {colum: 1}"), r"allowed: a name, or \{column: NAME\}"),
        (ONE.replace("files: a.csv", "files: 3"), "found 3; allowed: a name or pattern"),
        (ONE.replace("column: 1", "column: 0"), "found 0; allowed: a name in the header, or a number"),
        (ONE.replace("{every: 2}", "{every: 0}"), "greater than or equal to 1"),
        (ONE.replace("concurrency: 4", "concurrency: [4]"), r"found \[4\]; allowed: text, a number"),
        (ONE + "facts: {n: .inf}\n", "allowed: numbers that are finite"),
    ],
)
def test_a_bad_mapping_is_named_by_line(importer: Importer, mapping: str, said: str) -> None:
    with pytest.raises(CampaignError, match=said):
        importer.run(mapping, a_csv="1\n2\n")
    assert not importer.dataset.exists()


def test_what_is_there_is_left_alone(importer: Importer) -> None:
    importer.dataset.mkdir()
    (importer.dataset / "precious").write_text("x")
    with pytest.raises(ResultsError, match="something already"):
        importer.run(ONE, a_csv="1\n")
    assert [p.name for p in importer.dataset.iterdir()] == ["precious"]


def test_files_that_nobody_wanted_are_named(importer: Importer) -> None:
    assert importer.run(ONE, a_csv="1\n", LICENSE="free").unused == ["LICENSE"]
