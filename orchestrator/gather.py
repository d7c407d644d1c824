"""From parts to dataset: verify every part, compact, and write a manifest with provenance.

Layout of a dataset, version 1: ``trials/trials.parquet``; ``instances`` and ``samples`` as one file per
experiment and host under ``experiment=…/host=…/``, which DuckDB, pandas and Spark read as columns.
"""

import json
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from contract.errors import PartError, ResultsError
from contract.parts import Part, TrialRecord, trials_table
from contract.tables import SCHEMA_VERSION
from contract.trial import Trial
from orchestrator.compact import ROW_TABLES, CompactFile, described, place_of
from orchestrator.results import Results

GROUPS_AT_ONCE = 2
"""Arrow reads and writes beside Python: two make use of that, and more would only hold more rows."""
RECORDS_AT_ONCE = 500
"""So many records are made rows of the table of trials together; each takes some 15 KiB until then."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_RANK = {"completed": 0, "partial": 1, "failed": 2, "lost": 3, "skipped": 3}


@dataclass(slots=True)
class Gathered:
    """What gathering found."""

    dataset: Path
    planned: int
    outcomes: Counter[str] = field(default_factory=Counter)
    """How many trials ended how."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """How many trials may be believed."""
    doubts: Counter[str] = field(default_factory=Counter)
    """Why trials that were measured are not valid: the first reason of each, its numbers left out."""
    missing: list[dict[str, Any]] = field(default_factory=list)
    """Trials of the plan without a usable measurement, each with the reason."""

    def add(self, other: "Gathered") -> None:
        """Take in what was found among some of the planned trials."""
        self.outcomes += other.outcomes
        self.verdicts += other.verdicts
        self.doubts += other.doubts
        self.missing += other.missing

    def note(self, record: TrialRecord) -> None:
        """Count a trial that is there."""
        self.outcomes[record.outcome] += 1
        self.verdicts[record.verdict] += 1
        if record.verdict != "valid" and record.outcome in ("completed", "partial"):
            self.doubts.update(_NUMBER.sub("…", reason) for reason in record.reasons[:1])


def gather(results: Results, trials: tuple[Trial, ...], rerun: str = "") -> Gathered:
    """Build ``results.dataset`` from its parts, replacing an older one whole.

    ``rerun`` is the command that measures again what failed, kept for whoever reads the dataset; by
    default one that says all but where to measure.
    Raises ResultsError when the folder cannot be written.
    """
    building = results.folder / ".dataset"
    found = Gathered(results.dataset, len(trials))
    try:
        shutil.rmtree(building, ignore_errors=True)
        files = _write_tables(results, trials, building, found)
        manifest = _manifest(results, trials, found, files)
        manifest["rerun"] = rerun or _rerun_of(results.folder)
        (building / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        shutil.rmtree(results.dataset, ignore_errors=True)
        building.replace(results.dataset)
    except OSError as error:
        raise ResultsError(f"{results.folder}: the dataset cannot be written: {error}") from error
    return found


@dataclass(slots=True)
class _Group:
    """What came of the trials of one experiment on one host."""

    found: Gathered
    files: list[dict[str, Any]] = field(default_factory=list)
    trials: list[pa.Table] = field(default_factory=list)
    """Its rows of the table of trials."""


def _write_tables(
    results: Results, trials: tuple[Trial, ...], building: Path, found: Gathered
) -> list[dict[str, Any]]:
    """All tables; one pass over the parts, the rows of few groups in memory at a time."""
    files = []
    ordered = sorted(trials, key=lambda t: (t.experiment, t.host, t.block, t.order))
    groups = [list(group) for _, group in groupby(ordered, key=lambda t: (t.experiment, t.host))]
    attempts = results.attempts()
    target = building / "trials" / "trials.parquet"
    threads = ThreadPoolExecutor(GROUPS_AT_ONCE, thread_name_prefix="gather")
    try:
        with CompactFile(target, "trials", keep_empty=True) as all_trials:
            for group in threads.map(partial(_write_group, results, attempts, building), groups):
                found.add(group.found)
                files += group.files
                for table in group.trials:
                    all_trials.append(table)
    finally:
        threads.shutdown(cancel_futures=True)
    return [described(target, building), *files]


def _write_group(
    results: Results, attempts: dict[str, tuple[int, ...]], building: Path, trials: list[Trial]
) -> _Group:
    """Write the rows of one experiment on one host."""
    paths = {t: place_of(building, t, trials[0].experiment, trials[0].host) for t in ROW_TABLES}
    group = _Group(Gathered(results.dataset, len(trials)))
    records: list[TrialRecord] = []
    with ExitStack() as stack:
        files = {t: stack.enter_context(CompactFile(path, t)) for t, path in paths.items()}
        for part in _parts(results, trials, attempts, group.found):
            for table, file in files.items():
                file.append(part.tables[table])
            records.append(part.record)
            if len(records) >= RECORDS_AT_ONCE:
                group.trials.append(trials_table(records))
                records = []
    group.trials.append(trials_table(records))
    group.files = [described(path, building) for path in paths.values() if path.exists()]
    return group


def _parts(
    results: Results, trials: list[Trial], attempts: dict[str, tuple[int, ...]], found: Gathered
) -> Iterator[Part]:
    """The one part of each trial that counts: the best outcome, and of equals the first attempt."""
    for trial in trials:
        readable, damage = [], "not measured yet"
        for attempt in attempts.get(trial.trial_id, ()):
            try:
                readable.append(results.read(trial.trial_id, attempt))
            except PartError as error:
                damage = f"its part was damaged and set aside: {error}"
        if not readable:
            found.missing.append(_missing(trial, damage))
            continue
        part = min(readable, key=lambda p: (_RANK[p.record.outcome], p.record.attempt))
        found.note(part.record)
        if part.record.outcome != "completed":
            found.missing.append(_missing(trial, part.record.error_text or part.record.outcome))
        yield part


def _rerun_of(folder: Path) -> str:
    words = ["tonnage", "run", str(folder / "campaign.yaml"), "--retry-failed", "--results", str(folder)]
    return shlex.join(words)


def _missing(trial: Trial, reason: str) -> dict[str, Any]:
    keys = {"host", "experiment", "driver", "profile", "block"}
    return {"trial_id": trial.trial_id, "reason": reason} | trial.model_dump(include=keys)


def _manifest(
    results: Results, trials: tuple[Trial, ...], found: Gathered, files: list[dict[str, Any]]
) -> dict[str, Any]:
    campaign_file = results.folder / "campaign.yaml"
    return {
        "schema_version": SCHEMA_VERSION,
        "campaign": trials[0].campaign if trials else results.folder.name,
        "tonnage": version("tonnage"),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "planned": found.planned,
        "gathered": found.outcomes.total(),
        "outcomes": found.outcomes,
        "verdicts": found.verdicts,
        "missing": found.missing,
        "hosts": sorted({trial.host for trial in trials}),
        "files": files,
        "campaign_file": campaign_file.read_text(encoding="utf-8") if campaign_file.exists() else "",
    }
