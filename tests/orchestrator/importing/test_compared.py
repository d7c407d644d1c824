"""Imported results are compared as far as their order allows."""

import json
from typing import Any

import pytest
from imports import Importer

from analysis.compare.comparison import Options, compare
from analysis.compare.selection import parse_selection
from analysis.compare.sides import sides_of
from analysis.dataset import open_dataset
from analysis.imported import NOT_IN_TURN
from orchestrator.importing import Form

FAST, SLOW = [1.0, 1.02, 0.98, 1.01], [2.0, 2.02, 1.98, 2.01]
COLUMNS = """
measured_by: a colleague
host: lab-1
params: {concurrency: 1}
stages: [{stage: e2e, column: 1, unit: s}]
block: {every: 4}
entries:
  - {files: a.csv, driver: docker, profile: a}
  - {files: b.csv, driver: docker, profile: b}
"""


def export(**times: list[float]) -> str:
    results = [{"command": name, "mean": 1.0, "times": some} for name, some in times.items()]
    return json.dumps({"results": results})


def lines(times: list[float]) -> str:
    return "\n".join(map(str, times * 5))


def verdict(importer: Importer) -> tuple[Any, Any]:
    selections = parse_selection(["profile=a"], "--a"), parse_selection(["profile=b"], "--b")
    with open_dataset(importer.dataset) as dataset:
        answer = compare(sides_of((dataset, dataset), selections), Options(metrics={"e2e"}))
    (row,) = [r for r in answer.rows if r["quantile"] == "p50"]
    return row["verdict"], row["why"]


def test_passes_in_turn_have_a_verdict(importer: Importer) -> None:
    importer.form = Form.HYPERFINE
    importer.run(None, **{f"pass{n}_json": export(a=FAST, b=SLOW) for n in range(5)})
    assert verdict(importer) == ("slower", None)


def test_what_was_not_measured_in_turn_has_none(importer: Importer) -> None:
    importer.run(COLUMNS, a_csv=lines(FAST), b_csv=lines(SLOW))
    assert verdict(importer) == ("withheld", NOT_IN_TURN)


def test_two_imports_without_times_can_be_compared(importer: Importer) -> None:
    other = Importer(importer.folder / "other")
    for one, times in ((importer, FAST), (other, SLOW)):
        one.folder.mkdir(exist_ok=True)
        one.form = Form.HYPERFINE
        one.run(None, **{f"pass{n}_json": export(a=times) for n in range(5)})
    nothing = parse_selection([], "--a"), parse_selection([], "--b")
    with open_dataset(importer.dataset) as a, open_dataset(other.dataset) as b:
        answer = compare(sides_of((a, b), nothing), Options(metrics={"e2e"}))
    (row,) = [r for r in answer.rows if r["quantile"] == "p50"]
    assert row["change"] == pytest.approx(2, rel=0.02)
