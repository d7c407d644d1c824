"""The Parquet files of a dataset: many small tables into few large files, each with its checksum."""

import hashlib
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from contract.tables import schema_of

ROW_GROUP_ROWS = 500_000
TOGETHER = 128
"""So many small tables are made one while they wait: alone, each takes several times its rows."""
ROW_TABLES = ("instances", "samples")


def place_of(dataset: Path, table: str, experiment: str, host: str) -> Path:
    """The file that holds a table's rows of one experiment on one host."""
    return dataset / table / f"experiment={experiment}" / f"host={host}" / "data-0.parquet"


class CompactFile:
    """One Parquet file that many small tables go into, in row groups worth reading.

    Without rows there is no file, unless ``keep_empty`` asks for one.
    """

    def __init__(self, path: Path, table: str, *, keep_empty: bool = False) -> None:
        self._path, self._schema = path, schema_of(table)
        self._small: list[pa.Table] = []
        self._pending: list[pa.Table] = []
        self._rows = 0
        self._writer: pq.ParquetWriter | None = None
        self._keep_empty = keep_empty

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._rows or (self._keep_empty and self._writer is None):
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def append(self, table: pa.Table) -> None:
        """Add rows; they are written once there are enough of them."""
        if table.num_rows:
            self._small.append(table)
            self._rows += table.num_rows
        if len(self._small) >= TOGETHER:
            self._pending.append(pa.concat_tables(self._small).combine_chunks())
            self._small = []
        if self._rows >= ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            self._path.parent.mkdir(parents=True)
            self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        if self._rows:
            self._writer.write_table(pa.concat_tables([*self._pending, *self._small]))
        self._small, self._pending, self._rows = [], [], 0


def described(path: Path, root: Path) -> dict[str, Any]:
    """A file as the manifest lists it: path, rows, checksum."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    rows = pq.read_metadata(path).num_rows
    return {"path": str(path.relative_to(root)), "rows": rows, "sha256": digest}
