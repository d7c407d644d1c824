"""From parts to a dataset that needs no Tonnage to be read, and that says what is missing."""

import hashlib
import json
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from trials import make_part, make_rows, make_trial

from contract.errors import ResultsError
from contract.parts import Part, TrialRecord
from contract.rows import Rows
from contract.tables import schema_of
from contract.trial import Trial
from orchestrator.gather import Gathered, gather
from orchestrator.results import Results

TRIALS = tuple(
    make_trial(host=host, block=block, order=order, profile=profile)
    for host in ("h1", "h2")
    for block in range(2)
    for order, profile in enumerate(("default", "quick"))
)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results(tmp_path / "results")
    made.parts.mkdir(parents=True)
    made.freeze("campaign: sample\n", TRIALS)
    return made


def store(results: Results, *trials: Trial, **changes: Any) -> None:
    for trial in trials:
        packed = make_part(trial, **changes)
        results.store(packed.name, packed.data)


def manifest(gathered: Gathered) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((gathered.dataset / "manifest.json").read_text())
    return content


def query(gathered: Gathered, sql: str) -> list[Any]:
    return duckdb.sql(sql.format(d=gathered.dataset)).fetchall()


def test_every_trial_is_one_row_and_every_instance_one(results: Results) -> None:
    store(results, *TRIALS)
    gathered = gather(results, TRIALS)
    assert (gathered.planned, gathered.outcomes, gathered.missing) == (8, {"completed": 8}, [])
    assert query(gathered, "select count(*), count(distinct trial_id) from '{d}/trials/*.parquet'") == [
        (8, 8)
    ]
    counted = "select count(*), count(distinct (trial_id, instance)) from '{d}/instances/**/*.parquet'"
    assert query(gathered, counted) == [(24, 24)]


def test_files_are_one_per_experiment_and_host_with_the_published_schema(results: Results) -> None:
    store(results, *TRIALS)
    gathered = gather(results, TRIALS)
    files = sorted(str(p.relative_to(gathered.dataset)) for p in gathered.dataset.rglob("*.parquet"))
    assert files == [
        "instances/experiment=lifecycle/host=h1/data-0.parquet",
        "instances/experiment=lifecycle/host=h2/data-0.parquet",
        "samples/experiment=lifecycle/host=h1/data-0.parquet",
        "samples/experiment=lifecycle/host=h2/data-0.parquet",
        "trials/trials.parquet",
    ]
    for name in files:
        schema, published = pq.read_schema(gathered.dataset / name), schema_of(name.split("/")[0])
        assert schema.equals(published)
        assert schema.metadata == published.metadata


def test_the_manifest_is_true(results: Results) -> None:
    store(results, *TRIALS)
    gathered = gather(results, TRIALS)
    content = manifest(gathered)
    assert (content["planned"], content["gathered"], content["missing"]) == (8, 8, [])
    assert content["hosts"] == ["h1", "h2"]
    assert content["campaign_file"] == "campaign: sample\n"
    assert {entry["path"] for entry in content["files"]} == {
        str(p.relative_to(gathered.dataset)) for p in gathered.dataset.rglob("*.parquet")
    }
    for entry in content["files"]:
        path = gathered.dataset / entry["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        assert pq.read_metadata(path).num_rows == entry["rows"]


READ_WITHOUT_US = """
import sys
import weakref
import duckdb
import pandas as pd

folder = sys.argv[1]
rows = duckdb.sql(f"select host, experiment, count(*) from '{folder}/instances/**/*.parquet' "
                  "group by all order by 1").fetchall()
frame = pd.read_parquet(f"{folder}/instances")
trials = pd.read_parquet(f"{folder}/trials/trials.parquet")
joined = frame.merge(trials[["trial_id", "profile"]], on="trial_id")
print(rows, len(frame), joined["profile"].nunique(), sorted(frame["host"].astype(str).unique()))
ours = {"contract", "workers", "orchestrator", "analysis"} & set(sys.modules)
assert not ours, ours
"""


def test_duckdb_and_pandas_read_it_without_us(results: Results, tmp_path: Path) -> None:
    store(results, *TRIALS)
    gathered = gather(results, TRIALS)
    read = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ_WITHOUT_US, str(gathered.dataset)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert read.stderr == ""
    assert read.stdout.strip() == (
        "[('h1', 'lifecycle', 12), ('h2', 'lifecycle', 12)] 24 2 ['h1', 'h2']"
    )


def test_of_several_attempts_the_best_counts(results: Results) -> None:
    store(results, *TRIALS, outcome="failed", verdict="invalid")
    store(results, TRIALS[0], attempt=2, outcome="completed")
    store(results, TRIALS[0], attempt=3, outcome="partial")
    store(results, TRIALS[1], attempt=2, outcome="partial")
    store(results, TRIALS[2], attempt=2, outcome="failed", verdict="invalid")
    store(results, TRIALS[3], attempt=0, outcome="lost", verdict="invalid")
    gathered = gather(results, TRIALS)
    rows = query(gathered, "select trial_id, outcome, attempt from '{d}/trials/*.parquet'")
    taken = {trial_id: (outcome, attempt) for trial_id, outcome, attempt in rows}
    assert [taken[trial.trial_id] for trial in TRIALS[:4]] == [
        ("completed", 2),
        ("partial", 2),
        ("failed", 1),
        ("failed", 1),
    ]
    attempts = "select distinct attempt from '{d}/instances/**/*.parquet' where trial_id = '"
    assert query(gathered, attempts + TRIALS[0].trial_id + "'") == [(2,)]


def test_a_damaged_part_is_set_aside_and_reported(results: Results) -> None:
    store(results, *TRIALS)
    path = results.parts / f"{TRIALS[5].trial_id}.1.part"
    path.write_bytes(path.read_bytes()[:-40])
    gathered = gather(results, TRIALS)
    (missing,) = gathered.missing
    assert missing["trial_id"] == TRIALS[5].trial_id
    assert missing["reason"].startswith("its part was damaged and set aside: ")
    assert (missing["host"], missing["block"], missing["profile"]) == ("h2", 0, "quick")
    assert gathered.outcomes == {"completed": 7}
    assert (results.folder / "damaged" / path.name).exists()
    assert TRIALS[5].trial_id not in results.attempts()  # so it is measured again


def test_a_good_attempt_outweighs_a_damaged_one(results: Results) -> None:
    store(results, *TRIALS)
    store(results, TRIALS[0], attempt=2)
    (results.parts / f"{TRIALS[0].trial_id}.2.part").write_bytes(b"damaged")
    assert gather(results, TRIALS).missing == []


def test_what_is_missing_is_said_with_its_reason(results: Results) -> None:
    store(results, *TRIALS[:6])
    store(results, TRIALS[6], outcome="failed", verdict="invalid", error_text="no kernel")
    store(
        results, TRIALS[7], attempt=0, outcome="skipped", verdict="invalid", error_text="no docker on h2"
    )
    store(results, TRIALS[5], attempt=0, outcome="lost", verdict="invalid")
    gathered = gather(results, (*TRIALS, make_trial(host="h3")))
    reasons = {missing["trial_id"]: missing["reason"] for missing in manifest(gathered)["missing"]}
    assert reasons == {
        TRIALS[6].trial_id: "no kernel",
        TRIALS[7].trial_id: "no docker on h2",
        make_trial(host="h3").trial_id: "not measured yet",
    }
    assert gathered.outcomes == {"completed": 6, "failed": 1, "skipped": 1}
    assert gathered.verdicts == {"valid": 6, "invalid": 2}


def test_why_trials_are_not_valid_is_counted_without_numbers() -> None:
    gathered = Gathered(Path("dataset"), 3)
    for trial, busy in zip(TRIALS[:2], ("52", "100.5"), strict=True):
        why = (f"host not quiet: {busy}% of its CPU in use", "another reason")
        gathered.note(
            TrialRecord(
                trial=trial,
                attempt=1,
                outcome="completed",
                verdict="suspect",
                reasons=why,
                started_at_ns=0,
            )
        )
    failed = TrialRecord(
        trial=TRIALS[2], attempt=1, outcome="failed", verdict="invalid", reasons=("no",), started_at_ns=0
    )
    gathered.note(failed)
    assert gathered.doubts == {"host not quiet: …% of its CPU in use": 2}


def test_parts_that_are_not_of_the_plan_stay_out(results: Results) -> None:
    store(results, *TRIALS, make_trial(seed=99))
    assert gather(results, TRIALS).outcomes == {"completed": 8}


def test_a_campaign_of_which_nothing_is_there_has_a_dataset(results: Results) -> None:
    gathered = gather(results, TRIALS)
    assert len(gathered.missing) == 8
    assert query(gathered, "select count(*) from '{d}/trials/trials.parquet'") == [(0,)]


def test_trials_without_rows_make_no_empty_files(results: Results) -> None:
    for trial in TRIALS:
        packed = make_part(trial, Rows(), outcome="failed", verdict="invalid")
        results.store(packed.name, packed.data)
    assert [p.name for p in gather(results, TRIALS).dataset.rglob("*.parquet")] == ["trials.parquet"]


def test_gathering_again_replaces_the_dataset_whole(results: Results) -> None:
    store(results, *TRIALS)
    gather(results, TRIALS)
    (results.dataset / "instances" / "stale.parquet").write_text("of another time")
    gathered = gather(results, TRIALS[:4])
    assert not (results.dataset / "instances" / "stale.parquet").exists()
    assert manifest(gathered)["hosts"] == ["h1"]
    assert {p.name for p in results.folder.iterdir()} == {
        "campaign.yaml",
        "plan.json",
        "received.jsonl",
        "parts",
        "dataset",
    }


def test_many_parts_are_compacted_into_few_row_groups(results: Results) -> None:
    trials = tuple(make_trial(block=block) for block in range(60))
    for trial in trials:
        packed = make_part(trial, make_rows(instances=5))
        results.store(packed.name, packed.data)
    dataset = gather(results, trials).dataset
    metadata = pq.read_metadata(dataset / "instances/experiment=lifecycle/host=h1/data-0.parquet")
    assert (metadata.num_rows, metadata.num_row_groups) == (300, 1)


def test_a_folder_that_cannot_be_written_is_named(results: Results) -> None:
    store(results, *TRIALS)
    (results.folder / ".dataset").touch()  # a file where the folder is to be built
    with pytest.raises(ResultsError, match="the dataset cannot be written"):
        gather(results, TRIALS)


def test_parts_are_let_go_of_while_more_are_read(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.gather.RECORDS_AT_ONCE", 10)
    monkeypatch.setattr("orchestrator.compact.TOGETHER", 8)
    monkeypatch.setattr("orchestrator.compact.ROW_GROUP_ROWS", 90)
    trials = tuple(make_trial(block=block) for block in range(45))
    alive: list[weakref.ref[TrialRecord]] = []
    most = 0
    read = Results.read

    def watched(self: Results, trial_id: str, attempt: int) -> Part:
        nonlocal most
        most = max(most, sum(part() is not None for part in alive))
        part = read(self, trial_id, attempt)
        alive.append(weakref.ref(part.record))
        return part

    monkeypatch.setattr(Results, "read", watched)
    store(results, *trials)
    gathered = gather(results, trials)
    assert most <= 11
    assert query(gathered, "select block from '{d}/trials/*.parquet'") == [(b,) for b in range(45)]
    instances = "'{d}/instances/**/*.parquet'"
    assert query(gathered, f"select count(*), count(distinct trial_id) from {instances}") == [(135, 45)]
    path = gathered.dataset / "instances/experiment=lifecycle/host=h1/data-0.parquet"
    assert pq.read_metadata(path).num_row_groups == 2
