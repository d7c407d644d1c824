"""From the files of others to a dataset, as the gathering writes one from parts."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from contract.errors import ResultsError
from contract.parts import TrialRecord, trials_table
from contract.rows import Rows
from contract.tables import SCHEMA_VERSION, trial_tables
from orchestrator.compact import ROW_TABLES, CompactFile, described, place_of


@dataclass(slots=True)
class Imported:
    """What an import has made."""

    dataset: Path
    campaign: str
    records: list[TrialRecord] = field(default_factory=list)
    rows: int = 0
    failed: int = 0
    unused: Sequence[str] = ()
    """Files that were given and that no entry of the mapping wanted."""


def write_dataset(
    imported: Imported, trials: Iterator[tuple[TrialRecord, Rows]], mapping_text: str, again: str
) -> None:
    """Write all trials as the dataset in ``imported.dataset``, whole or not at all.

    ``again`` is the command that imports the same once more. Raises ResultsError when the folder exists
    with something in it, or cannot be written.
    """
    target = imported.dataset
    building = target.with_name(f".{target.name}.importing")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ResultsError(
                f"{target}: there is something already; choose another --out or remove it"
            )
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        files = _write_tables(imported, trials, building)
        manifest = _manifest(imported, files) | {"campaign_file": mapping_text, "rerun": again}
        (building / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        if target.exists():
            target.rmdir()
        building.replace(target)
    except OSError as error:
        raise ResultsError(f"{target}: the dataset cannot be written: {error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_tables(
    imported: Imported, trials: Iterator[tuple[TrialRecord, Rows]], building: Path
) -> list[dict[str, Any]]:
    paths: list[Path] = []
    with ExitStack() as stack:
        open_files: dict[tuple[str, str], dict[str, CompactFile]] = {}
        for record, rows in trials:
            key = record.trial.experiment, record.trial.host
            if key not in open_files:
                places = {table: place_of(building, table, *key) for table in ROW_TABLES}
                open_files[key] = {t: stack.enter_context(CompactFile(p, t)) for t, p in places.items()}
                paths += places.values()
            for table, content in trial_tables(rows, record.trial.trial_id, record.attempt).items():
                open_files[key][table].append(content)
            imported.records.append(record)
            imported.rows += len(rows.instances)
            imported.failed += sum(row.outcome != "ok" for row in rows.instances)
    target = building / "trials" / "trials.parquet"
    target.parent.mkdir(parents=True)
    pq.write_table(trials_table(imported.records), target, compression="zstd")
    return [described(path, building) for path in (target, *paths) if path.exists()]


def _manifest(imported: Imported, files: list[dict[str, Any]]) -> dict[str, Any]:
    records = imported.records
    return {
        "schema_version": SCHEMA_VERSION,
        "campaign": imported.campaign,
        "tonnage": version("tonnage"),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "planned": len(records),
        "gathered": len(records),
        "outcomes": dict(Counter(record.outcome for record in records)),
        "verdicts": dict(Counter(record.verdict for record in records)),
        "missing": [],
        "hosts": sorted({record.trial.host for record in records}),
        "files": files,
    }
