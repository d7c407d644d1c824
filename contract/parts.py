"""The part: what one trial leaves, as one file that either exists whole or not at all.

A part is an uncompressed zip holding ``instances.parquet``, ``samples.parquet`` and, written last,
``trial.json``: the trial record with the row count and SHA-256 of each table. Its name says trial and
attempt, so what is left of a campaign can be told from a listing alone.
"""

import hashlib
import io
import os
import uuid
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import pyarrow as pa
from pydantic import Field

from contract.campaign import Frozen
from contract.errors import PartError, ResultsError
from contract.part_names import is_part_name, list_parts, part_name
from contract.part_tables import read_table, write_table
from contract.rows import Rows
from contract.strict_json import read_json
from contract.tables import SCHEMA_VERSION, schema_of, to_table, trial_tables
from contract.trial import (
    MAX_ATTEMPT,
    Outcome,
    Receipt,
    Trial,
    VerdictWord,
    canonical_json,
    canonical_json_again,
)

__all__ = [
    "IMPORTED",
    "MAX_PART_BYTES",
    "MAX_RECORD_BYTES",
    "WRITERS",
    "Nanoseconds",
    "PackedPart",
    "Part",
    "TableCheck",
    "TrialRecord",
    "check_part",
    "is_part_name",
    "list_parts",
    "pack_part",
    "part_name",
    "peek_record",
    "read_part",
    "store_part",
    "store_parts",
    "trials_table",
]

IMPORTED = "imported"
"""Among a trial's facts: that others measured it, with format, files and what is known of its origin."""
WRITERS = 8
"""Parts that are written at once: a file system writes what many wait for about as fast as one."""
MAX_PART_BYTES = 512 * 1024 * 1024
MAX_RECORD_BYTES = 4 * 1024 * 1024
"""Of a trial record: some 15 KiB are usual."""
_RECORD = "trial.json"
_ENTRIES = {_RECORD, "instances.parquet", "samples.parquet"}
_OF_TRIAL = ("campaign", "host", "block", "order", "experiment", "driver", "profile", "image")
_OF_RECORD = (
    *("attempt", "schema_version", "outcome", "verdict", "error_class", "error_text"),
    *("emulated", "virtual", "duration_ns", "clock_offset_ns", "clock_error_ns"),
)
"""Columns of the table of trials that are fields of a trial, or of its record, as they are."""


Nanoseconds = Annotated[int, Field(gt=-(2**62), lt=2**62)]
"""What columns and clocks can hold: some 146 years either way."""


class TableCheck(Frozen):
    """Row count and checksum of one table inside a part; a table without rows is not in there."""

    rows: int = Field(ge=0)
    sha256: str = ""

    @property
    def absent(self) -> bool:
        """Whether the part has no such table, for want of rows."""
        return self.rows == 0 and not self.sha256


class TrialRecord(Frozen):
    """How one trial ended, and everything that shaped its numbers."""

    schema_version: int = SCHEMA_VERSION
    trial: Trial
    attempt: int = Field(
        1, ge=0, le=MAX_ATTEMPT, description="0: the coordinator's word that nobody measured it"
    )
    outcome: Outcome
    verdict: VerdictWord
    reasons: tuple[str, ...] = ()
    error_class: str | None = None
    error_text: str | None = None
    emulated: bool = False
    virtual: bool = False
    started_at_ns: Nanoseconds | None = Field(description="host's wall clock, ns since 1970 UTC")
    duration_ns: Nanoseconds | None = None
    clock_offset_ns: Nanoseconds | None = None
    clock_error_ns: Nanoseconds | None = None
    facts: dict[str, Any] = {}
    versions: dict[str, str] = {}
    tables: dict[str, TableCheck] = {}

    def row(self) -> dict[str, Any]:
        """The record as a row of the ``trials`` table, its start in ns since 1970 UTC."""
        trial, imported = self.trial, IMPORTED in self.facts
        same = {name: getattr(trial, name) for name in _OF_TRIAL}
        same |= {name: getattr(self, name) for name in _OF_RECORD}
        return same | {
            "trial_id": trial.trial_id,
            "settings": canonical_json_again(trial.settings),
            "params": canonical_json_again(trial.params),
            "limits": canonical_json_again(trial.limits.model_dump()),
            "deadline_ns": None if imported else round(trial.deadline_s * 1e9),
            "seed": None if imported else trial.seed,
            "group": list(trial.group),
            "reasons": list(self.reasons),
            "started_at": self.started_at_ns,
            "facts": canonical_json_again(self.facts),
            "versions": canonical_json_again(self.versions),
        }


# RuntimeError: an encrypted entry, a method that zipfile does not know, JSON of too many levels.
_DAMAGE = (
    zipfile.BadZipFile,
    LookupError,
    ValueError,
    RuntimeError,
    EOFError,
    OSError,
    pa.ArrowException,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part that was read and verified."""

    record: TrialRecord
    tables: dict[str, pa.Table]


@dataclass(frozen=True, slots=True)
class PackedPart:
    """A part as bytes, with the receipt that announces it."""

    data: bytes
    receipt: Receipt

    @property
    def name(self) -> str:
        """File name of the part."""
        return part_name(self.receipt.trial_id, self.receipt.attempt)


def pack_part(record: TrialRecord, rows: Rows) -> PackedPart:
    """Build a part from a trial record and its rows. Table checks are filled in here."""
    trial_id = record.trial.trial_id
    checks: dict[str, TableCheck] = {}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, table in trial_tables(rows, trial_id, record.attempt).items():
            if not table.num_rows:
                checks[name] = TableCheck(rows=0)
                continue
            data = write_table(name, table)
            checks[name] = TableCheck(rows=table.num_rows, sha256=hashlib.sha256(data).hexdigest())
            archive.writestr(f"{name}.parquet", data)
        record = record.model_copy(update={"tables": checks})
        archive.writestr(_RECORD, canonical_json(record.model_dump(mode="json")))
    data = buffer.getvalue()
    receipt = Receipt(
        trial_id=trial_id,
        attempt=record.attempt,
        host=record.trial.host,
        outcome=record.outcome,
        verdict=record.verdict,
        reasons=record.reasons,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
    )
    return PackedPart(data, receipt)


def read_part(data: bytes) -> Part:
    """Read a part and verify schema, counts and checksums. Raises PartError that says what is off."""
    record, checked = _checked(data)
    try:
        return Part(record, {name: _decoded(name, table, record) for name, table in checked.items()})
    except _DAMAGE as error:
        raise PartError(f"a damaged part: {error!r:.300}") from error


def check_part(data: bytes) -> TrialRecord:
    """The record of a part whose tables have their checksums, undecoded. Raises PartError."""
    return _checked(data)[0]


def peek_record(part: Path | BinaryIO) -> TrialRecord:
    """The record of a part, its tables unread and unchecked. Raises PartError."""
    try:
        with zipfile.ZipFile(part) as archive:
            _refuse_bomb(archive)
            return _record_in(archive)
    except _DAMAGE as error:
        raise PartError(f"a damaged part: {error!r:.300}") from error


def store_part(folder: Path, name: str, data: bytes) -> Path:
    """Publish a part in ``folder``: hidden temporary name, fsync, rename, fsync of the folder.

    Storing the same name again is harmless: attempts never change once published. Raises
    ResultsError when the folder cannot take it.
    """
    store_parts(folder, {name: data})
    return folder / name


def store_parts(folder: Path, parts: Mapping[str, bytes]) -> None:
    """Publish several parts, each as ``store_part`` does; the folder is synced once, for all of them."""
    if wrong := [name for name in parts if not is_part_name(name)]:
        raise PartError(f"not a part's name: {wrong[0]!r}")
    if not parts:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if len(parts) == 1:
            for name, data in parts.items():
                _publish(folder / name, data)
        else:
            with ThreadPoolExecutor(min(WRITERS, len(parts))) as writers:
                list(writers.map(_publish, (folder / name for name in parts), parts.values()))
        _fsync_folder(folder)
    except OSError as error:
        raise ResultsError(f"{folder}: a part cannot be written: {error.strerror}") from error


def _publish(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def _refuse_bomb(archive: zipfile.ZipFile) -> None:
    """We never compress: what does may grow to any size before its declared one is noticed."""
    entries = archive.infolist()
    if {entry.filename for entry in entries} - _ENTRIES or len(entries) > len(_ENTRIES):
        raise PartError("a damaged part: it has entries that no part has")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise PartError("a damaged part: it has compressed entries")
    if sum(entry.file_size for entry in entries) > MAX_PART_BYTES:
        raise PartError(f"a part larger than {MAX_PART_BYTES} bytes")


def _checked(data: bytes) -> tuple[TrialRecord, dict[str, bytes]]:
    """The record of a part, and its tables as they were written; one without rows is empty."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _refuse_bomb(archive)
            record = _record_in(archive)
            tables = {name: _checked_table(archive, name, record) for name in ("instances", "samples")}
    except _DAMAGE as error:
        raise PartError(f"a damaged part: {error!r:.300}") from error
    return record, tables


def _record_in(archive: zipfile.ZipFile) -> TrialRecord:
    size = archive.getinfo(_RECORD).file_size
    if size > MAX_RECORD_BYTES:
        raise PartError(f"a trial record of {size} bytes, where {MAX_RECORD_BYTES} are allowed")
    content = read_json(archive.read(_RECORD), MAX_RECORD_BYTES)
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int):  # of a later one perhaps nothing else is a record's
        _refuse_another_schema(version)
    record = TrialRecord.model_validate(content)
    _refuse_another_schema(record.schema_version)  # which may have been said as a text
    return record


def _refuse_another_schema(version: int) -> None:
    if version != SCHEMA_VERSION:
        raise PartError(
            f"a part of schema version {version}, and this release reads {SCHEMA_VERSION}: use the "
            "release of Tonnage that measured it"
        )


def _checked_table(archive: zipfile.ZipFile, name: str, record: TrialRecord) -> bytes:
    if record.tables[name].absent:
        return b""
    data = archive.read(f"{name}.parquet")
    if hashlib.sha256(data).hexdigest() != record.tables[name].sha256:
        raise PartError(f"the checksum of its '{name}' table does not fit")
    return data


def _decoded(name: str, data: bytes, record: TrialRecord) -> pa.Table:
    check = record.tables[name]
    if check.absent:
        return schema_of(name).empty_table()
    return read_table(name, data, check.rows, record.trial.trial_id, record.attempt)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def trials_table(records: list[TrialRecord]) -> pa.Table:
    """Trial records as the published ``trials`` table."""
    return to_table("trials", [record.row() for record in records])
