"""A part's tables as bytes, and out of bytes that anybody may have written: checked, then read.

A few kilobytes of Parquet can stand for gigabytes: repeated rows, a long text that a dictionary names a
million times, a compressed page. So footer and pages are looked at first, and texts that could be many
are read as dictionaries.
"""

from functools import cache
from math import isfinite
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract.errors import PartError
from contract.parquet_pages import unfolded_bytes
from contract.tables import schema_of
from contract.trial import InstanceOutcome

MAX_TABLE_BYTES = 2**30
"""What one table of a part may take when it is read."""
_MOST_ROW_GROUPS = 10_000
_CODECS = ("ZSTD", "UNCOMPRESSED")
"""Others pack more into less, and nobody of ours writes them."""
_MOST_UNFOLDING = 33_000
"""Bytes that a byte of Zstandard stands for at most: a block of 128 KiB takes four."""
_FEW_ROWS = 20
"""Of so many a table is not compressed. It is a tenth larger at most, smaller up to ten, and packed and
read in half the time: Arrow makes room for Zstandard anew for every column."""
_OUTCOMES = frozenset(get_args(InstanceOutcome))


def write_table(name: str, table: pa.Table) -> bytes:
    """A table as the Parquet that a part holds: without what its reader knows already."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd" if table.num_rows > _FEW_ROWS else "none",
        use_dictionary=_texts(name),
        write_statistics=False,
        store_schema=False,
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


def read_table(name: str, data: bytes, rows: int, trial_id: str, attempt: int) -> pa.Table:
    """The table of a part, in the published schema and all of it about this trial and attempt.

    Raises PartError, and what Arrow raises for bytes that are no Parquet.
    """
    file = _opened(data)
    if not file.schema_arrow.equals(schema_of(name)):
        raise PartError(f"its '{name}' table has another schema")
    _check_footer(name, file.metadata, rows)
    if _most_text_bytes(name, file.metadata, data) > MAX_TABLE_BYTES:  # or far less: it is looked at
        table = _with_texts(name, _opened(data, _texts(name)).read(use_threads=False))
    else:
        table = file.read(use_threads=False)  # small: threads only cost
    if table.num_rows != rows:
        raise PartError(f"its '{name}' table has {table.num_rows} rows, the record says {rows}")
    for column in _texts(name):
        table.column(column).validate(full=True)  # that it is UTF-8
    _check_content(name, table, trial_id, attempt)
    return table


def _opened(data: bytes, dictionaries: list[str] | None = None) -> pq.ParquetFile:
    return pq.ParquetFile(
        pa.BufferReader(data),
        read_dictionary=dictionaries,
        thrift_string_size_limit=1 << 20,
        thrift_container_size_limit=_MOST_ROW_GROUPS,
    )


def _check_footer(name: str, footer: pq.FileMetaData, rows: int) -> None:
    if footer.num_rows != rows:
        raise PartError(f"its '{name}' table has {footer.num_rows} rows, the record says {rows}")
    _see_size(name, rows * 8 * footer.num_columns)
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    if sum(group.num_rows for group in groups) != rows:
        raise PartError(f"the row groups of its '{name}' table do not make {rows} rows")


def _most_text_bytes(name: str, footer: pq.FileMetaData, data: bytes) -> int:
    """Bytes that the texts may come to, if every row has all of its dictionary. Raises PartError.

    Pages of texts are all held, and looked at; of others one at a time, which is small unless its bytes
    are many.
    """
    most = held = 0
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for place, is_text in enumerate(_are_texts(name)):
            chunk = group.column(place)
            if (codec := chunk.compression) not in _CODECS:
                raise PartError(f"its '{name}' table is compressed with {codec}")
            size = chunk.total_compressed_size
            if is_text or size * _MOST_UNFOLDING > MAX_TABLE_BYTES:
                start = chunk.data_page_offset
                if chunk.has_dictionary_page:
                    start = min(start, chunk.dictionary_page_offset)
                pages, dictionaries = unfolded_bytes(data, start, size)
                held += pages + dictionaries
                most += pages + dictionaries * group.num_rows if is_text else 0
                _see_size(name, held)
    return most


def _see_size(name: str, size_bytes: int) -> None:
    if size_bytes > MAX_TABLE_BYTES:
        raise PartError(
            f"its '{name}' table would take {size_bytes} bytes of memory, "
            f"at most {MAX_TABLE_BYTES} are allowed"
        )


def _with_texts(name: str, table: pa.Table) -> pa.Table:
    """Dictionaries as the texts that they stand for, when that is not too much."""
    size_bytes, columns = 0, dict(zip(table.column_names, table.columns, strict=True))
    for column in _texts(name):
        for chunk in columns[column].chunks:
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
    if name == "samples" and not _are_finite(table.column("value")):
        raise PartError("its 'samples' table has values that are no numbers")
    strange = (
        set(pc.unique(table.column("outcome")).to_pylist()) - _OUTCOMES if name == "instances" else ()
    )
    if strange:
        raise PartError(f"its 'instances' table has an outcome that is none: {min(strange)[:40]!r}")


def _are_finite(values: pa.ChunkedArray) -> bool:
    """Whether all that are there are numbers: as nearly always, when their sum is one."""
    total: float | None = pc.sum(values).as_py()
    if total is None or isfinite(total):
        return True
    return bool(pc.all(pc.is_finite(values)).as_py())


@cache
def _texts(name: str) -> list[str]:
    return [field.name for field in schema_of(name) if pa.types.is_string(field.type)]


@cache
def _are_texts(name: str) -> tuple[bool, ...]:
    return tuple(pa.types.is_string(field.type) for field in schema_of(name))
