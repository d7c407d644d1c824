"""A part's tables, from bytes that anybody may have written: checked before they take memory, and after.

A few kilobytes of Parquet can stand for gigabytes: repeated rows, a long text that a dictionary names a
million times, a compressed page. So the footer is looked at first, and texts are read as dictionaries.
"""

from functools import cache
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract.errors import PartError
from contract.tables import schema_of
from contract.trial import InstanceOutcome

MAX_TABLE_BYTES = 2**30
"""What one table of a part may take when it is read."""
_MOST_ROW_GROUPS = 10_000
_CODECS = ("ZSTD", "UNCOMPRESSED")
"""Others pack more into less, and nobody of ours writes them."""
_OUTCOMES = frozenset(get_args(InstanceOutcome))


def read_table(name: str, data: bytes, rows: int, trial_id: str, attempt: int) -> pa.Table:
    """The table of a part, in the published schema and all of it about this trial and attempt.

    Raises PartError, and what Arrow raises for bytes that are no Parquet.
    """
    try:
        file = pq.ParquetFile(
            pa.BufferReader(data),
            read_dictionary=_texts(name),
            thrift_string_size_limit=1 << 20,
            thrift_container_size_limit=_MOST_ROW_GROUPS,
        )
    except KeyError as error:  # one of the columns is not there
        raise PartError(f"its '{name}' table has another schema: no column {error}") from error
    if not file.schema_arrow.equals(_as_read(name)):
        raise PartError(f"its '{name}' table has another schema")
    _check_footer(name, file.metadata, rows)
    table = file.read(use_threads=False)  # small: threads only cost
    if table.num_rows != rows:
        raise PartError(f"its '{name}' table has {table.num_rows} rows, the record says {rows}")
    table = _with_texts(name, table)
    _check_content(name, table, trial_id, attempt)
    return table


def _check_footer(name: str, footer: pq.FileMetaData, rows: int) -> None:
    if footer.num_rows != rows:
        raise PartError(f"its '{name}' table has {footer.num_rows} rows, the record says {rows}")
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    if sum(group.num_rows for group in groups) != rows:
        raise PartError(f"the row groups of its '{name}' table do not make {rows} rows")
    chunks = [group.column(i) for group in groups for i in range(footer.num_columns)]
    if other := {chunk.compression for chunk in chunks} - set(_CODECS):
        raise PartError(f"its '{name}' table is compressed with {', '.join(sorted(other))}")
    width = 8 * footer.num_columns
    _see_size(name, max(rows * width, sum(max(0, chunk.total_uncompressed_size) for chunk in chunks)))


def _see_size(name: str, size_bytes: int) -> None:
    if size_bytes > MAX_TABLE_BYTES:
        raise PartError(
            f"its '{name}' table would take {size_bytes} bytes of memory, "
            f"at most {MAX_TABLE_BYTES} are allowed"
        )


def _with_texts(name: str, table: pa.Table) -> pa.Table:
    """Dictionaries as the texts that they stand for: valid UTF-8, and not too much of it."""
    size_bytes, columns = 0, dict(zip(table.column_names, table.columns, strict=True))
    for column in _texts(name):
        for chunk in columns[column].chunks:
            chunk.validate(full=True)
            size_bytes += _text_bytes(chunk)
            _see_size(name, size_bytes)
        columns[column] = columns[column].cast(pa.string())
    return pa.Table.from_arrays(list(columns.values()), schema=schema_of(name))


def _text_bytes(chunk: pa.DictionaryArray) -> int:
    """Bytes of text that a dictionary's rows stand for: no fewer, and exact where they might be many."""
    lengths = pc.binary_length(chunk.dictionary)
    most: int = (pc.max(lengths).as_py() or 0) * len(chunk)
    if most <= MAX_TABLE_BYTES // 100:
        return most
    return pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0


def _check_content(name: str, table: pa.Table, trial_id: str, attempt: int) -> None:
    key = {"trial_id": trial_id, "attempt": attempt}
    for column, own in key.items():
        if table.num_rows and pc.unique(table.column(column)).to_pylist() != [own]:
            raise PartError(f"its '{name}' table has rows of another {column}")
    if name == "samples" and pc.all(pc.is_finite(table.column("value"))).as_py() not in (True, None):
        raise PartError("its 'samples' table has values that are no numbers")
    strange = (
        set(pc.unique(table.column("outcome")).to_pylist()) - _OUTCOMES if name == "instances" else ()
    )
    if strange:
        raise PartError(f"its 'instances' table has an outcome that is none: {min(strange)[:40]!r}")


@cache
def _texts(name: str) -> list[str]:
    return [field.name for field in schema_of(name) if pa.types.is_string(field.type)]


@cache
def _as_read(name: str) -> pa.Schema:
    """The published schema with dictionaries for texts."""
    fields = [
        field.with_type(pa.dictionary(pa.int32(), pa.string())) if field.name in _texts(name) else field
        for field in schema_of(name)
    ]
    return pa.schema(fields)
