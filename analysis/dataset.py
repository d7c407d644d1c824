"""Opening a gathered dataset: checked against its manifest, then read with DuckDB."""

import copy
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analysis.kept import Kept
from analysis.odd import odd_content
from contract.errors import DatasetError
from contract.tables import SCHEMA_VERSION, TABLES, schema_of

MEMORY_LIMIT = "1GB"
"""What DuckDB may hold before it uses a temporary folder."""
BATCH_ROWS = 100_000
"""Rows of one batch of a streamed answer."""
_ODD = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What code meets that expects facts as workers write them, and finds others."""
PARTITIONS = ("experiment", "host")


class _Read(BaseModel):
    """Base of what is read from a manifest: keys that a later release added are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FileEntry(_Read):
    """One Parquet file of the dataset."""

    path: str
    rows: int = Field(ge=0)
    sha256: str


class MissingTrial(_Read):
    """A planned trial without a complete measurement."""

    trial_id: str = ""
    host: str = ""
    experiment: str = ""
    driver: str = ""
    profile: str = ""
    block: int | None = None
    reason: str = ""


class Manifest(_Read):
    """What the gathering wrote beside the data."""

    schema_version: int
    campaign: str
    tonnage: str = ""
    created_at: str = ""
    planned: int = 0
    gathered: int = 0
    outcomes: dict[str, int] = {}
    missing: tuple[MissingTrial, ...] = ()
    files: tuple[FileEntry, ...]
    hosts: tuple[Any, ...] = ()
    campaign_file: str = ""
    rerun: str = ""


class Dataset:
    """An open dataset: views ``trials``, ``instances`` and ``samples`` in DuckDB. Use with ``with``.

    The views hold everything. Which trials may be believed is for ``analysis.cells``, which hands out
    suspect ones only where there is nothing else, or where ``include_suspect`` asks for them.
    """

    def __init__(self, path: Path, manifest: Manifest, *, include_suspect: bool = False) -> None:
        self.path = path
        self.manifest = manifest
        self.include_suspect = include_suspect
        self.kept: Kept[Any] = Kept()
        self._chosen: frozenset[str] | None = None
        self._known: dict[str, list[dict[str, Any]]] = {}
        self._duckdb = duckdb.connect(
            config={
                "memory_limit": MEMORY_LIMIT,
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
        )
        self._duckdb.execute("SET SESSION enable_progress_bar = false")
        for table in TABLES:
            self._view(table, [f.path for f in manifest.files if f.path.startswith(f"{table}/")])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, _ODD):
            raise DatasetError(odd_content(self.path, error, trace)) from error

    def close(self) -> None:
        """Let go of DuckDB and its temporary folder."""
        self._duckdb.close()

    def query(self, sql: str, values: Mapping[str, Any] | None = None, **tables: pa.Table) -> pa.Table:
        """The answer to a query. ``values`` fill its ``$names``; keywords are tables it may name."""
        with self._naming(tables):
            return self._duckdb.sql(sql, params=dict(values or {})).to_arrow_table()

    def rows(
        self, sql: str, values: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> list[dict[str, Any]]:
        """The answer to a query whose answer is small, a mapping per row."""
        found: list[dict[str, Any]] = self.query(sql, values, **tables).to_pylist()
        return found

    def rows_once(self, sql: str) -> list[dict[str, Any]]:
        """As ``rows``, kept for all who ask the same: every experiment asks for all trials.

        Nobody may change what it returns.
        """
        if sql not in self._known:
            self._known[sql] = self.rows(sql)
        return self._known[sql]

    @contextmanager
    def holding(
        self, name: str, sql: str, values: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> Iterator[None]:
        """As long as it is open, queries may read the answer to this one by ``name``.

        DuckDB holds it, within its memory limit; what is beyond goes to its temporary folder.
        """
        with self._naming(tables):
            self._duckdb.execute("SET preserve_insertion_order = false")  # nobody reads it in order
            try:
                self._duckdb.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}", dict(values or {}))
            finally:
                self._duckdb.execute("RESET preserve_insertion_order")
        try:
            yield
        finally:
            self._duckdb.execute(f"DROP TABLE {name}")

    @contextmanager
    def _naming(self, tables: Mapping[str, pa.Table]) -> Iterator[None]:
        """Let queries name some tables. That the files cannot be read becomes a DatasetError."""
        for name, table in tables.items():
            self._duckdb.register(name, table)
        try:
            yield
        except (duckdb.OperationalError, duckdb.DataError, duckdb.InvalidInputException) as error:
            raise DatasetError(f"{self.path}: cannot be read: {error}") from error
        finally:
            for name in tables:
                self._duckdb.unregister(name)

    def stream(self, sql: str, values: Mapping[str, Any] | None = None) -> pa.RecordBatchReader:
        """The answer to a query in batches, for answers larger than the memory. Read it to its end."""
        try:
            return self._duckdb.sql(sql, params=dict(values or {})).to_arrow_reader(BATCH_ROWS)
        except (duckdb.OperationalError, duckdb.DataError, duckdb.InvalidInputException) as error:
            raise DatasetError(f"{self.path}: cannot be read: {error}") from error

    def keep_only(self, trial_ids: Sequence[str]) -> None:
        """Leave all other trials out of every table, until the dataset is closed."""
        self._known.clear()
        self.kept = Kept()
        self._duckdb.register("kept_trials", pa.table({"trial_id": pa.array(trial_ids, pa.string())}))
        for table in TABLES:
            self._duckdb.execute(
                f"CREATE OR REPLACE TEMP VIEW {table} AS SELECT * FROM all_{table} "  # noqa: S608 - ours
                "WHERE trial_id IN (SELECT trial_id FROM kept_trials)"
            )

    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments that have trials, sorted."""
        if self._chosen is not None:
            return tuple(sorted({trial["experiment"] for trial in self.trials()}))
        found = self.query("SELECT DISTINCT experiment FROM trials ORDER BY 1")
        return tuple(found.column(0).to_pylist())

    def trials(self) -> list[dict[str, Any]]:
        """All trial rows without their facts and versions, in the order of host, block and place."""
        sql = """
            SELECT * EXCLUDE (facts, versions, settings, deadline_ns, seed)
            FROM trials ORDER BY host, block, "order", trial_id
        """
        rows = self.rows_once(sql)
        return [*rows] if self._chosen is None else [r for r in rows if r["trial_id"] in self._chosen]

    def selected(self, trial_ids: Collection[str]) -> "Dataset":
        """The same dataset with these trials only in ``trials``, from which cells are made.

        It shares the views, and closes with this one.
        """
        view = copy.copy(self)
        view._chosen, view.kept = frozenset(trial_ids), Kept()
        return view

    def _view(self, table: str, paths: list[str]) -> None:
        if not paths:
            names = [*PARTITIONS] if table != "trials" else []
            columns = [*schema_of(table), *(pa.field(name, pa.string()) for name in names)]
            self._duckdb.register(f"all_{table}", pa.schema(columns).empty_table())
            self._duckdb.execute(f"CREATE TEMP VIEW {table} AS FROM all_{table}")
            return
        # a path may hold what DuckDB would take for a pattern
        files = [re.sub(r"([\[*?])", r"[\1]", str(self.path / path)) for path in paths]
        read = "SELECT * FROM read_parquet($f, hive_partitioning=true, hive_types_autocast=false)"
        self._duckdb.sql(read, params={"f": files}).create_view(f"all_{table}")
        self._duckdb.execute(f"CREATE TEMP VIEW {table} AS FROM all_{table}")


def open_dataset(path: Path, *, check_sums: bool = True, include_suspect: bool = False) -> Dataset:
    """Open the dataset in folder ``path`` after checking it.

    Every file of the manifest must be there with the published schema, the row count and (unless
    ``check_sums`` is off) the SHA-256 that the manifest says. Raises DatasetError in plain words.
    """
    manifest = _read_manifest(path)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a checksum is worked out beside Python
        for _ in pool.map(lambda entry: _check_file(path, entry, check_sums=check_sums), manifest.files):
            pass
    if not any(entry.path.startswith("trials/") for entry in manifest.files):
        raise DatasetError(f"{path}: its manifest names no trials table; gather the campaign again")
    try:
        dataset = Dataset(path, manifest, include_suspect=include_suspect)
    except duckdb.Error as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    _check_trials(dataset)
    return dataset


def _check_trials(dataset: Dataset) -> None:
    """Refuse trials that another release's workers wrote."""
    sql = "SELECT DISTINCT schema_version AS v FROM trials WHERE schema_version <> $own ORDER BY 1"
    others = [str(row["v"]) for row in dataset.rows(sql, {"own": SCHEMA_VERSION})]
    if others:
        dataset.close()
        raise DatasetError(
            f"{dataset.path / 'trials'}: some trials have schema version {', '.join(others)}, the "
            f"manifest beside them {SCHEMA_VERSION}; measure them again with this "
            "release, or gather them apart"
        )


def _read_manifest(path: Path) -> Manifest:
    try:
        content = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(
            f"{path} is no dataset: manifest.json cannot be read ({error.strerror}); "
            "`tonnage run` writes one when it gathers"
        ) from error
    except ValueError as error:
        raise DatasetError(f"{path}: manifest.json is damaged: {error}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise DatasetError(
            f"{path / 'manifest.json'}: the dataset has schema version {version!r}, this release reads "
            f"{SCHEMA_VERSION}; use the release of Tonnage that gathered it"
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise DatasetError(f"{path}: manifest.json is damaged: {error}") from error


def _check_file(folder: Path, entry: FileEntry, *, check_sums: bool) -> None:
    relative = PurePosixPath(entry.path)
    table = relative.parts[0] if relative.parts else ""
    if relative.is_absolute() or ".." in relative.parts or table not in TABLES:
        raise DatasetError(f"{folder}: its manifest names a file outside the tables: {entry.path!r}")
    file = folder / relative
    try:
        footer = pq.ParquetFile(file)
        rows, schema = footer.metadata.num_rows, footer.schema_arrow
        footer.close()
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{file}: cannot be read: {error}; gather the campaign again") from error
    if rows != entry.rows:
        raise DatasetError(f"{file}: holds {rows} rows, the manifest says {entry.rows}")
    _check_version(file, schema)
    _check_schema(file, schema, table)
    if check_sums and _sha256(file) != entry.sha256:
        raise DatasetError(f"{file}: its checksum is not the manifest's; gather the campaign again")


def _check_version(file: Path, schema: pa.Schema) -> None:
    """A file of another release's schema among those of this one's: columns may mean something else."""
    version = (schema.metadata or {}).get(b"tonnage_schema_version", b"").decode(errors="replace")
    if version not in ("", str(SCHEMA_VERSION)):
        raise DatasetError(
            f"{file}: this file has schema version {version}, the manifest beside it {SCHEMA_VERSION}; "
            "results of different releases are mixed: gather them apart, each with its own release"
        )


def _check_schema(file: Path, schema: pa.Schema, table: str) -> None:
    found = {field.name: field.type for field in schema if field.name not in PARTITIONS}
    wanted = {field.name: field.type for field in schema_of(table) if field.name not in PARTITIONS}
    wrong = sorted(name for name in wanted if found.get(name) != wanted[name])
    if wrong:
        raise DatasetError(f"{file}: columns missing or of another type: {', '.join(wrong)}")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
