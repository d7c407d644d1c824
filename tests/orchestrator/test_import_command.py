"""tonnage import and export as commands, up to a report of data that others published."""

import csv
import json
from pathlib import Path
from typing import Any, Literal

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from make_dataset import Design, Variant, pair, write_dataset
from page import Page, check_page
from typer.testing import CliRunner, Result

from analysis.dataset import open_dataset
from analysis.exporting import Tables, write_stream
from analysis.report import write_report
from contract.errors import ResultsError, TonnageError, UseError
from contract.tables import schema_of
from orchestrator.cli import app

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT.parent / "shared" / "data" / "firecracker-nsdi2020"
MAPPING = ROOT / "deploy/imports/firecracker-nsdi2020.yaml"
PRINTED = {
    ("firecracker", 1): (161, 173),
    ("cloud-hypervisor", 1): (103, 110),
    ("qemu/qboot", 1): (214, 221),
    ("qemu", 1): (244, 258),
    ("firecracker", 50): (206, 246),
    ("cloud-hypervisor", 50): (128, 159),
    ("qemu/qboot", 50): (231, 279),
    ("firecracker", 100): (217, 262),
    ("cloud-hypervisor", 100): (134, 168),
    ("qemu/qboot", 100): (240, 296),
}
"""Median and 99th percentile of boot times, ms, by variant and boots at a time."""
RATIOS = {1: 214 / 161, 10: 197 / 157, 50: 231 / 206, 100: 240 / 217}
"""QEMU (qboot) over Firecracker, of the printed medians."""


def run(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)), catch_exceptions=True)


def refused(result: Result) -> TonnageError:
    assert isinstance(result.exception, TonnageError), result.exception
    return result.exception


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a dataset of the published boot times, and its report."""
    if not PUBLISHED.is_dir():
        pytest.skip("the published data is not beside the project")
    folder = tmp_path_factory.mktemp("published")
    words = (PUBLISHED, "--format", "columns", "--mapping", MAPPING, "--out", folder / "dataset")
    said = run("import", *words)
    assert said.exit_code == 0, said.exception
    assert "430 trials with 11000 rows, 0 of them failed." in said.stdout
    assert "not used: LICENSE" in said.stdout
    write_report(folder / "dataset", folder / "report")
    return folder


def table(published: Path, name: str) -> pd.DataFrame:
    found = pd.read_parquet(published / f"report/tables/lifecycle-{name}.parquet")
    found["concurrency"] = [json.loads(params)["concurrency"] for params in found["params"]]
    return found


def test_published_quantiles_are_the_printed_ones(published: Path) -> None:
    latency = table(published, "latency")
    chosen = latency[(latency["scope"] == "fleet") & (latency["basis"] == "all attempts")]
    found = {(r["variant"], r["concurrency"]): r for r in chosen.to_dict("records")}
    for key, (p50_ms, p99_ms) in PRINTED.items():
        assert found[key]["p50_ns"] / 1e6 == pytest.approx(p50_ms, abs=1), key
        assert found[key]["p99_ns"] / 1e6 == pytest.approx(p99_ms, abs=1), key
        assert found[key]["p50_low_ns"] <= found[key]["p50_ns"] <= found[key]["p50_high_ns"]
    contended = found["qemu/qboot", 50]
    assert contended["p50_n_eff"] < contended["n"] / 3, "boots of one batch are not independent"


def test_the_ratio_falls_with_load_and_gets_no_verdict(published: Path) -> None:
    rows = table(published, "comparison")
    assert set(rows["verdict"]) == {"withheld"}
    assert set(rows["why"]) == {"imported, and not measured in turn"}
    chosen = rows[(rows["baseline"] == "firecracker") & (rows["other"] == "qemu/qboot")]
    found = dict(zip(chosen["concurrency"], chosen["ratio"], strict=True))
    assert found == {load: pytest.approx(ratio, abs=0.02) for load, ratio in RATIOS.items()}
    assert sorted(found.values(), reverse=True) == list(found.values())


def test_its_report_is_whole_and_says_whose_numbers_these_are(published: Path) -> None:
    page = Page((published / "report/report.html").read_text())
    check_page(page, published / "report")
    text = " ".join(page.root.text.split())
    assert "not measured by Tonnage but by the authors of the Firecracker paper" in text
    assert "All of it comes from one host" in text
    assert "Variants were not measured in turn" in text
    assert "Ready per second" not in text
    assert "firecracker from 161 ms to 217 ms" in text
    assert "qemu from" not in text, "it was measured at one level only"
    assert "boot-serial-fc-api.dat" in text
    assert all(figure.all("svg") for figure in page.all("figure"))


def test_its_rows_hold_the_guests_own_clock(published: Path) -> None:
    uptime = duckdb.sql(f"""
        SELECT median(guest_uptime_ns) / 1e6 AS ms, count(t_beacon) AS beacons
        FROM '{published}/dataset/instances/**/*.parquet' AS i
        JOIN '{published}/dataset/trials/*.parquet' AS t USING (trial_id)
        WHERE t.driver = 'firecracker' AND t.params->>'concurrency' = '1'
    """).fetchall()
    assert uptime == [(110.0, 0)]


THIN = {
    "one-row": "1\n",
    "all-failed": "x\n" * 30,
    "no-variance": "5\n" * 30,
    "outlier": "1\n" * 3 + "1e9\n" + "2\n" * 26,
}


def imported(folder: Path, form: str, mapping: str) -> Page:
    """The report of everything in ``folder/sources``."""
    (folder / "m.yaml").write_text(f"measured_by: me\n{mapping}")
    words = ("--format", form, "--mapping", folder / "m.yaml", "--out", folder / "d", "--json")
    said = run("import", folder / "sources", *words)
    assert said.exit_code == 0, said.exception
    assert json.loads(said.stdout)["unused"] == []
    page = Page(write_report(folder / "d", folder / "report").read_text())
    check_page(page, folder / "report")
    return page


@pytest.mark.parametrize("names", [["one-row"], list(THIN)], ids=["one row", "all together"])
def test_thin_failed_and_odd_imports_are_reported(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "sources").mkdir()
    for name in names:
        (tmp_path / f"sources/{name}.csv").write_text(THIN[name])
    mapping = (
        "params: {concurrency: 1}\nblock: {every: 10}\nfailure: {values: [x]}\n"
        "stages: [{stage: e2e, column: 1, unit: ms}]\nentries:\n"
    ) + "".join(f"  - {{files: {name}.csv, driver: {name}}}\n" for name in names)
    text = imported(tmp_path, "columns", mapping).root.text
    assert "Intervals and verdicts need 3 or more; import more of them." in text
    assert "raise 'blocks'" not in text


def test_imports_without_a_way_up_are_reported(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    for label in ("init", "stop", "delete"):
        rows = f"1764000000000,10,{label},,true\n" * 4
        text = f"timeStamp,elapsed,label,responseCode,success\n{rows}"
        (tmp_path / f"sources/{label}.csv").write_text(text)
    page = imported(tmp_path, "incus-benchmark", "count: 5\nparallel: 5\n")
    assert "Each time is that of a whole batch of instances" in page.root.text


def test_passes_of_hyperfine_get_a_verdict(tmp_path: Path) -> None:
    for number in range(6):
        results = [
            {"command": name, "times": [t + 0.01 * number, t + 0.02], "exit_codes": [0, 0]}
            for name, t in (("fast", 0.1), ("slow", 0.3))
        ]
        (tmp_path / f"{number}.json").write_text(json.dumps({"results": results}))
    sources = sorted(tmp_path.glob("*.json"))
    assert run("import", *sources, "--format", "hyperfine", "--out", tmp_path / "d").exit_code == 0
    said = run("export", tmp_path / "d", "--table", "lifecycle-comparison", "--format", "json")
    (row,) = json.loads(said.stdout)
    assert (row["other"], row["verdict"], row["blocks"]) == ("command/slow", "slower", 6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--campaign", "No Name"), "--campaign: found 'No Name'"),
        (("--format", "incus-benchmark"), "needs --mapping"),
    ],
)
def test_a_wrong_import_is_named(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "a.json").write_text('{"results": []}')
    given = ("--format", "hyperfine", "--out", tmp_path / "d", *words)
    assert said in str(refused(run("import", tmp_path / "a.json", *given)))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "dataset"
    fragile = Design(
        (Variant("docker", 90, profile="crun", fails=0.5),), error_text="=cmd|' /C calc'!A0", seed=3
    )
    return write_dataset(folder, pair(100, 120, hosts=("h1", "h2"), instances=5), fragile)


FORMATS: tuple[Literal["parquet", "csv", "arrow", "json"], ...] = ("parquet", "csv", "arrow", "json")


def read(path: Path) -> list[dict[str, Any]]:
    """A file's rows, as the programs read it that it was written for."""
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    if path.suffix == ".arrow":
        return list(pa.ipc.open_file(path).read_all().to_pylist())
    if path.suffix == ".json":
        return list(json.loads(path.read_text()))
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("form", FORMATS)
def test_raw_rows_are_the_same_in_every_format(dataset: Path, tmp_path: Path, form: str) -> None:
    words = ("--table", "instances", "--where", "driver=docker", "--where", "profile=crun")
    out = tmp_path / f"some.{form}"
    assert run("export", dataset, *words, "--out", out).stdout == f"{out}: 155 rows\n"
    wanted = duckdb.sql(f"""
        SELECT i.instance, i.t_ready, i.error_text FROM '{dataset}/instances/**/*.parquet' AS i
        JOIN '{dataset}/trials/*.parquet' AS t USING (trial_id)
        WHERE t.profile = 'crun' ORDER BY t.block, i.instance
    """).fetchall()
    found = [(r["instance"], r["t_ready"], r["error_text"]) for r in read(out)]
    if form == "csv":  # text: missing is empty, and no spreadsheet runs a cell
        wanted = [
            (str(i), "" if ready is None else str(ready), f"'{text}" if text else "")
            for i, ready, text in wanted
        ]
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_types_and_infinities_survive(dataset: Path, tmp_path: Path) -> None:
    with open_dataset(dataset) as opened:
        tables = Tables(opened)
        for name in ("trials", "lifecycle-latency"):
            for form in FORMATS:
                with (tmp_path / f"{name}.{form}").open("wb") as file:
                    assert write_stream(tables.stream(name), form, file) > 0
    found, published = pq.read_schema(tmp_path / "trials.parquet"), schema_of("trials")
    assert [(f.name, f.type, f.nullable) for f in found] == [
        (f.name, f.type, f.nullable) for f in published
    ]
    assert found.metadata == published.metadata
    (first, *_) = read(tmp_path / "trials.json")
    assert first["started_at"].startswith("2026-02-02T")
    assert isinstance(first["deadline_ns"], int)
    assert read(tmp_path / "trials.csv")[0]["group"] == "[]"
    tails = {f: [r["p95_ns"] for r in read(tmp_path / f"lifecycle-latency.{f}")] for f in FORMATS}
    assert float("inf") in tails["parquet"]
    assert "inf" in tails["csv"]
    assert "inf" in tails["json"]
    assert [float(value) for value in tails["csv"]] == pytest.approx(tails["arrow"])


def test_report_tables_are_of_the_chosen_trials(dataset: Path) -> None:
    words = ("--table", "lifecycle-outcomes", "--format", "json", "--where", "host=h2")
    rows = json.loads(run("export", dataset, *words).stdout)
    assert {r["host"] for r in rows} == {None, "h2"}
    assert {r["blocks"] for r in rows} == {5}
    said = run("export", dataset, "--list", "--json", "--where", "driver=process")
    listed = {r["name"]: r for r in json.loads(said.stdout)}
    assert listed["trials"]["rows"] == 10
    assert listed["lifecycle-comparison"]["rows"] == 0
    assert all(r["meaning"] for r in listed.values())


def test_a_results_folder_and_a_host_class_will_do(dataset: Path) -> None:
    by_class = "class=class not known"
    said = run("export", dataset.parent, "--table", "samples", "--where", by_class)
    assert said.stdout.splitlines() == [
        '"experiment","host","trial_id","attempt","t_ns","instance","step","metric","value","unit"'
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "which table"),
        (("--table", "nothing"), "found 'nothing'; allowed: trials, instances"),
        (("--table", "density-costs"), "found 'density-costs'"),
        (("--table", "trials", "--where", "colour=red"), "allowed: KEY=VALUE with experiment"),
        (("--table", "trials", "--where", "host=h9"), "found 'h9'; allowed: h1, h2"),
        (("--table", "trials", "--out", "x.xlsx"), "names no format"),
        (("--table", "trials", "--table", "samples"), "say --out FOLDER"),
    ],
)
def test_a_wrong_export_is_named(dataset: Path, words: tuple[str, ...], said: str) -> None:
    error = refused(run("export", dataset, *words))
    assert isinstance(error, UseError)
    assert said in str(error)


def test_a_file_that_cannot_be_written_is_named(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    error = refused(run("export", dataset, "--table", "trials", "--out", tmp_path / "file/x.csv"))
    assert isinstance(error, ResultsError)
