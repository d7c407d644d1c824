"""Single tables of a dataset as files: raw ones as they are, and the report's, of chosen trials."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from analysis.dataset import BATCH_ROWS, PARTITIONS, Dataset
from analysis.export import FORMULA, as_arrow
from analysis.host_classes import class_of_host, host_classes
from analysis.tables import table_modules
from contract.errors import UseError
from contract.nearest import did_you_mean
from contract.tables import TABLES, schema_of

Format = Literal["parquet", "csv", "arrow", "json"]

RAW_MEANINGS = {
    "trials": "one row per trial: what was asked for, how it ended, whether it may be believed, facts",
    "instances": "one row per planned instance, or injection of a fault: outcome and stamps",
    "samples": "one row per observation beside the instances: metrics over time",
}
_MEANINGS = {
    "outcomes": "how attempts ended, for the fleet and each host",
    "latency": "quantiles of every stage with intervals, for the fleet and each host",
    "comparison": "paired ratios between variants with verdict words",
    "reasons": "why instances did not end well",
    "distribution": "points of the distribution curve of every cell",
    "curves": "points of the curves that the report draws",
}
"""Of tables that several experiments have."""

WHERE = ("experiment", "host", "driver", "profile", "verdict", "class")
"""What trials can be chosen by."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One table that can be exported."""

    name: str
    rows: int
    meaning: str


def choose(dataset: Dataset, where: Mapping[str, Sequence[str]]) -> int:
    """Keep only trials that have, for every key, one of its values; how many these are.

    Everything that is exported afterwards is of these trials alone: a report's table is made anew from
    them. Raises UseError for a value that no trial has.
    """
    if not where:
        return len(dataset.trials())
    classes = class_of_host(host_classes(dataset))
    trials = [trial | {"class": classes[trial["host"]]} for trial in dataset.trials()]
    for key, values in where.items():
        known = sorted({str(trial[key]) for trial in trials})
        wrong = [value for value in values if value not in known]
        if wrong:
            hint = did_you_mean(wrong[0], known)
            raise UseError(f"--where {key}: found {wrong[0]!r}; allowed: {', '.join(known)}{hint}")
    kept = [t["trial_id"] for t in trials if all(str(t[k]) in values for k, values in where.items())]
    dataset.keep_only(kept)
    return len(kept)


def names_of(dataset: Dataset) -> tuple[str, ...]:
    """Names of all tables that a dataset has: the raw ones, and those of its experiments."""
    modules = table_modules()
    found = [f"{e}-{name}" for e in dataset.experiments() if e in modules for name in modules[e].FIELDS]
    return (*TABLES, *found)


def list_tables(dataset: Dataset) -> list[Listed]:
    """All tables with their rows and what they hold. Makes every table of the report."""
    found = []
    for name in TABLES:
        rows = dataset.rows(f"SELECT count(*) AS n FROM {name}")[0]["n"]  # noqa: S608 - ours
        found.append(Listed(name, rows, RAW_MEANINGS[name]))
    modules = table_modules()
    for experiment in dataset.experiments():
        if experiment in modules:
            for name, table in modules[experiment].table(dataset).items():
                found.append(Listed(f"{experiment}-{name}", len(table), meaning_of(experiment, name)))
    return found


def meaning_of(experiment: str, table: str) -> str:
    """What a table of the report holds."""
    told = (import_module(f"analysis.tables.{experiment}").__doc__ or "").strip().split("\n")[0]
    about = told.partition(": ")[2].rstrip(".") or experiment
    return f"{about}: {_MEANINGS.get(table, table.replace('_', ' '))}"


class Tables:
    """Tables of one dataset as streams; what the report makes is made once per experiment."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._made: dict[str, dict[str, pd.DataFrame]] = {}

    def stream(self, name: str) -> pa.RecordBatchReader:
        """A table in batches. Raises UseError for a table that the dataset does not have."""
        known = names_of(self._dataset)
        if name not in known:
            hint = did_you_mean(name, known)
            raise UseError(f"--table: found {name!r}; allowed: {', '.join(known)}{hint}")
        if name in TABLES:
            return self._stream_raw(name)
        experiment, _, table = name.partition("-")
        module = table_modules()[experiment]
        if experiment not in self._made:
            self._made[experiment] = module.table(self._dataset)
        whole = as_arrow(self._made[experiment][table], module.FIELDS[table])
        return pa.RecordBatchReader.from_batches(whole.schema, whole.to_batches(BATCH_ROWS))

    def _stream_raw(self, name: str) -> pa.RecordBatchReader:
        """A raw table with the published types; the names of its folders are columns here."""
        partitions = [pa.field(key, pa.string()) for key in PARTITIONS if name != "trials"]
        schema = pa.schema([*partitions, *schema_of(name)], metadata=schema_of(name).metadata)
        columns = ", ".join(f'"{column}"' for column in schema.names)
        order = 'ORDER BY host, block, "order", trial_id' if name == "trials" else ""
        found = self._dataset.stream(f"SELECT {columns} FROM {name} {order}")  # noqa: S608 - ours
        return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in found))


def write_stream(reader: pa.RecordBatchReader, form: Format, out: IO[bytes]) -> int:
    """Write a stream of batches in one format, batch by batch; how many rows it had.

    Whole numbers stay whole, missing ones missing. In CSV and JSON, moments are ISO 8601 and an infinite
    quantile is ``inf``; in CSV lists are JSON, and text that a spreadsheet would take for a formula gets
    an apostrophe in front.
    """
    if form == "json":
        return _write_json(reader, out)
    batches = map(_plain, reader) if form == "csv" else iter(reader)
    first = next(batches, None)
    if first is None:
        empty = reader.schema.empty_table()
        first = _plain(empty.to_batches()[0]) if empty.to_batches() else None
    schema = first.schema if first is not None else reader.schema
    rows = 0
    with _writer(form, out, schema) as writer:
        for batch in _with_first(first, batches):
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _with_first(
    first: pa.RecordBatch | None, others: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    if first is not None:
        yield first
    yield from others


def _writer(form: Format, out: IO[bytes], schema: pa.Schema) -> Any:
    if form == "parquet":
        return pq.ParquetWriter(out, schema, compression="zstd")
    if form == "arrow":
        # the file has an index at its end; what goes to a pipe is read from the front
        return (pa.ipc.new_file if out.seekable() else pa.ipc.new_stream)(out, schema)
    return pyarrow.csv.CSVWriter(out, schema)


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch for CSV: only text, numbers and truth values, and no text that looks like a formula."""
    columns = {name: _as_text(batch.column(name)) for name in batch.schema.names}
    return pa.RecordBatch.from_pydict({name: _safe(column) for name, column in columns.items()})


def _as_text(column: pa.Array) -> pa.Array:
    """Lists as JSON, moments as ISO 8601; everything else as it is."""
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_list(column.type):
        texts = [None if v is None else json.dumps(v, ensure_ascii=False) for v in column.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    return column


def _safe(column: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        return column
    risky = pc.match_substring_regex(column, f"^[{''.join(FORMULA).replace('-', chr(92) + '-')}]")
    return pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)


def _write_json(reader: pa.RecordBatchReader, out: IO[bytes]) -> int:
    """An array of objects, a line each."""
    rows = 0
    out.write(b"[")
    for batch in reader:
        plain = {
            name: _as_text(column) if pa.types.is_timestamp(column.type) else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
        for row in pa.RecordBatch.from_pydict(plain).to_pylist():
            told = {key: _finite(value) for key, value in row.items()}
            text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            out.write((",\n" if rows else "\n").encode() + text.encode())
            rows += 1
    out.write(b"\n]\n")
    return rows


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and math.isinf(value) else value
