"""What hyperfine exported, in the form of 1.x and of 2.x: a file is a pass over its commands."""

import json
from typing import Any

import pytest
from imports import Importer

from contract.errors import CampaignError, SourceError
from orchestrator.importing import Form


@pytest.fixture
def hyperfine(importer: Importer) -> Importer:
    importer.form = Form.HYPERFINE
    return importer


def result(command: str, times: list[float], **more: Any) -> dict[str, Any]:
    return {"command": command, "mean": 1.0, "times": times, "exit_codes": [0] * len(times)} | more


def export(*results: dict[str, Any], **more: Any) -> str:
    return json.dumps({"results": list(results)} | more)


def of_2(command: str, times: list[float], **more: Any) -> dict[str, Any]:
    runs = [{"time_wall_clock": {"value": t, "unit": "second"}, "exit_code": 0} for t in times]
    return {"command": command, "measurements": runs} | more


def test_every_command_is_a_profile_and_every_file_a_block(hyperfine: Importer) -> None:
    for number in range(3):
        text = export(result("docker run a", [0.5, 0.25]), result("docker run b", [1.5]))
        hyperfine.file(f"pass-{number}.json", text)
    found = hyperfine.run(None)
    assert (len(found.records), found.rows) == (6, 9)
    rows = hyperfine.rows()
    assert {(r["driver"], r["profile"]) for r in rows} == {
        ("command", "docker-run-a"),
        ("command", "docker-run-b"),
    }
    assert {r["block"] for r in rows} == {0, 1, 2}
    assert [r["t_ready"] for r in rows if r["block"] == 1] == [500_000_000, 250_000_000, 1_500_000_000]
    (trial,) = hyperfine.rows("SELECT DISTINCT settings FROM trials WHERE profile = 'docker-run-a'")
    assert json.loads(trial["settings"])["command"] == "docker run a"
    interleaved = hyperfine.rows("SELECT DISTINCT facts->'$.imported.interleaved' AS it FROM trials")
    assert interleaved == [{"it": "true"}]


def test_the_form_of_2(hyperfine: Importer) -> None:
    content = export(
        of_2("sleep 1", [1.0, 1.5], name="one second", parameters={"n": {"value": "1"}}),
        schema_version=2,
        metadata={"hyperfine_version": "2.0.0", "start_time": "2026-11-25T03:00:00Z"},
    )
    hyperfine.run(None, a_json=content)
    assert [r["t_ready"] for r in hyperfine.rows()] == [1_000_000_000, 1_500_000_000]
    (trial,) = hyperfine.rows("SELECT *, CAST(started_at AS VARCHAR) AS began FROM trials")
    assert trial["profile"] == "one-second"
    assert trial["began"].startswith("2026-11-25 03:00:00")
    assert json.loads(trial["settings"])["parameters"] == {"n": "1"}


def test_runs_that_ended_badly_are_failures(hyperfine: Importer) -> None:
    found = hyperfine.run(None, a_json=export(result("x", [1, 2, 3], exit_codes=[0, 137, None])))
    assert found.failed == 2
    rows = hyperfine.rows()
    assert [r["error_text"] for r in rows] == [None, "exit code 137", "killed by a signal"]
    assert [r["t_ready"] for r in rows] == [1_000_000_000, None, None]


def test_parameters_become_conditions_where_the_mapping_says_so(hyperfine: Importer) -> None:
    mapping = """
measured_by: a colleague
host: lab-1
block: {every: 2}
commands:
  - {command: "docker run *", driver: docker, profile: runc, parameters: {concurrency: n}}
"""
    hyperfine.run(
        mapping,
        a_json=export(
            result("docker run --jobs 4", [1, 2, 3], parameters={"n": "4"}),
            result("true", [0.001]),
        ),
    )
    rows = hyperfine.rows()
    assert [(r["driver"], r["profile"], r["concurrency"], r["block"]) for r in rows] == [
        ("command", "true", 1, 0),
        ("docker", "runc", 4, 0),
        ("docker", "runc", 4, 0),
        ("docker", "runc", 4, 1),
    ]
    assert hyperfine.rows("SELECT DISTINCT facts->'$.imported.interleaved' AS it FROM trials") == [
        {"it": "false"}
    ]


def test_commands_whose_plain_names_are_one_stay_two(hyperfine: Importer) -> None:
    hyperfine.run(None, a_json=export(result("a/b", [1]), result("a b", [2]), result("a b", [3])))
    assert {r["profile"] for r in hyperfine.rows()} == {"a-b", "a-b-2", "a-b-3"}


def test_other_files_are_not_read(hyperfine: Importer) -> None:
    assert hyperfine.run(None, a_json=export(result("x", [1])), b_csv="x\n").unused == ["b.csv"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{\n,", r"a\.json:2: this is not JSON"),
        ("[]", "no list 'results'"),
        ("[" * 100_000, "not JSON"),
        (export(schema_version=3), "found 3; allowed: 1"),
        (export(), "found none"),
        (export({"times": [1]}), "no text 'command'"),
        (export({"command": "x"}), "times: found None; allowed: a list of seconds"),
        (export(result("x", [])), "no run"),
        (export(result("x", ["1"])), r"results\[0\]\.times\[0\]: found '1'; allowed: seconds"),
        ('{"results": [{"command": "x", "times": [NaN], "exit_codes": [0]}]}', "found nan"),
        (export(result("x", [1, 2], exit_codes=[0])), "one for each of 2"),
        (export(result("x", [1], exit_codes=["0"])), "exit code: found '0'"),
        (export(result("x", [-1])), "found -1; allowed: seconds from 0"),
        (export({"command": "x", "measurements": [{}]}, schema_version=2), "time_wall_clock"),
    ],
)
def test_what_is_no_export_is_named(hyperfine: Importer, text: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        hyperfine.run(None, a_json=text)
    assert not hyperfine.dataset.exists()


def test_a_parameter_that_is_not_there(hyperfine: Importer) -> None:
    mapping = 'measured_by: me\ncommands: [{command: "*", parameters: {threads: n}}]\n'
    with pytest.raises(SourceError, match="parameter: found 'n'; allowed: m"):
        hyperfine.run(mapping, a_json=export(result("x", [1], parameters={"m": "1"})))


def test_a_block_by_column_is_refused(hyperfine: Importer) -> None:
    with pytest.raises(CampaignError, match="no columns"):
        hyperfine.run("measured_by: me\nblock: {column: 1}\n", a_json=export(result("x", [1])))
