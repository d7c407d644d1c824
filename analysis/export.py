"""Every table as CSV, Parquet and JSON beside the report, with a description of its columns."""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.section import Field
from contract.errors import ResultsError

FORMATS = ("csv", "parquet", "json")
_ARROW = {"string": pa.string(), "Int64": pa.int64(), "Float64": pa.float64(), "boolean": pa.bool_()}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet would run text that begins so."""


def export_tables(
    folder: Path,
    tables: Mapping[str, pd.DataFrame],
    fields: Mapping[str, Sequence[Field]],
) -> None:
    """Write every table in every format, and ``columns.json`` that says what each column means.

    Infinity, a quantile among failures, is ``inf`` in CSV and JSON. In CSV, text that a spreadsheet
    would take for a formula gets an apostrophe in front. Raises ResultsError when it cannot be written.
    """
    for name, table in tables.items():
        write_file(folder / f"{name}.csv", as_csv(table).encode())
        write_file(folder / f"{name}.json", _as_json(table).encode())
        arrow = as_arrow(table, fields[name])
        replace_file(folder / f"{name}.parquet", partial(pq.write_table, arrow, compression="zstd"))
    described = {
        name: {"rows": len(table), "columns": {f.name: f.meaning for f in fields[name]}}
        for name, table in tables.items()
    }
    write_file(folder / "columns.json", json.dumps(described, indent=1, ensure_ascii=False).encode())


def as_csv(table: pd.DataFrame) -> str:
    """A table as CSV text."""
    safe = table.copy()
    for column in safe.columns:
        if pd.api.types.is_string_dtype(safe[column]):
            risky = safe[column].str.startswith(FORMULA).fillna(value=False)
            safe.loc[risky, column] = "'" + safe.loc[risky, column]
    return safe.to_csv(index=False, lineterminator="\n")


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file or none. Raises ResultsError when it cannot be written."""
    replace_file(path, lambda temporary: temporary.write_bytes(data))


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a temporary file, then put it in place of ``path``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise ResultsError(f"{path}: cannot be written: {error.strerror}") from error


def _as_json(table: pd.DataFrame) -> str:
    plain = table.astype(object).where(table.notna(), None)
    return json.dumps(
        [{k: _finite(v) for k, v in row.items()} for row in plain.to_dict("records")],
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def as_arrow(table: pd.DataFrame, fields: Sequence[Field]) -> pa.Table:
    """A table with the types and meanings that its fields declare."""
    schema = pa.schema(
        [pa.field(f.name, _ARROW[f.dtype], metadata={"meaning": f.meaning}) for f in fields]
    )
    return pa.Table.from_pandas(table, schema=schema, preserve_index=False).replace_schema_metadata(None)
