"""Parts of a hostile worker: small files that would fill the memory, and tables that lie."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trials import make_part

from contract import part_tables
from contract.errors import PartError
from contract.parts import MAX_RECORD_BYTES, peek_record, read_part, trials_table
from contract.tables import schema_of

GOOD = make_part()


def entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_record(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The good part with another record."""
    content = entries(GOOD.data)
    record = json.loads(content["trial.json"])
    change(record)
    return zipped(content | {"trial.json": json.dumps(record).encode()})


def with_table(name: str, table: pa.Table, rows: int | None = None, **options: Any) -> bytes:
    """The good part with another table under a checksum and a count that fit."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **({"compression": "zstd"} | options))
    data, content = sink.getvalue(), entries(GOOD.data)
    record = json.loads(content["trial.json"])
    check = {"rows": table.num_rows if rows is None else rows}
    record["tables"][name] = check | {"sha256": hashlib.sha256(data).hexdigest()}
    return zipped(content | {f"{name}.parquet": data, "trial.json": json.dumps(record).encode()})


def table_of(name: str, rows: int, **columns: Any) -> pa.Table:
    """So many copies of the good table's first row, with some columns of another value."""
    first = read_part(GOOD.data).tables[name].slice(0, 1).to_pylist()[0] | columns
    arrays = [pa.repeat(pa.scalar(first[field.name], field.type), rows) for field in schema_of(name)]
    return pa.Table.from_arrays(arrays, schema=schema_of(name))


def refused(data: bytes) -> str:
    with pytest.raises(PartError) as caught:
        read_part(data)
    return str(caught.value)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small bound, so that its attacks are small as well."""
    monkeypatch.setattr(part_tables, "MAX_TABLE_BYTES", 10_000_000)


def test_what_the_attacks_are_made_of_is_a_good_part() -> None:
    assert read_part(with_table("samples", table_of("samples", 5))).tables["samples"].num_rows == 5


def test_a_long_text_that_a_dictionary_names_many_times_is_refused_unread(small: None) -> None:
    rows = 20_000
    table = table_of("samples", rows)
    place = table.schema.get_field_index("unit")
    long = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), ["A" * 100_000])
    table = table.set_column(place, pa.field("unit", long.type, nullable=False), long)
    data = with_table("samples", table, store_schema=False, dictionary_pagesize_limit=1 << 30)
    assert len(data) < 50_000
    before = pa.total_allocated_bytes()
    assert "its 'samples' table would take 2000" in refused(data)
    assert pa.total_allocated_bytes() < before + part_tables.MAX_TABLE_BYTES


def test_a_text_that_is_long_once_is_no_bomb(small: None) -> None:
    units = pa.array(["A" * 100_000, *["ns"] * 999])
    table = table_of("samples", 1000)
    place, field = table.schema.get_field_index("unit"), table.schema.field("unit")
    part = read_part(with_table("samples", table.set_column(place, field, units)))
    assert part.tables["samples"].column("unit").to_pylist() == units.to_pylist()


def test_more_rows_than_fit_are_refused_by_the_footer(small: None) -> None:
    data = with_table("samples", table_of("samples", 200_000))
    assert len(data) < 100_000
    assert "would take 12800000 bytes of memory" in refused(data)
    assert part_tables.MAX_TABLE_BYTES < 12_800_000


@pytest.mark.parametrize("codec", ["gzip", "brotli", "snappy"])
def test_what_packs_more_into_less_is_refused(codec: str) -> None:
    data = with_table("samples", table_of("samples", 5), compression=codec)
    assert f"compressed with {codec.upper()}" in refused(data)


@pytest.mark.parametrize(("column", "value"), [("trial_id", "f" * 32), ("attempt", 7)])
@pytest.mark.parametrize("name", ["instances", "samples"])
def test_rows_of_another_trial_are_refused(name: str, column: str, value: object) -> None:
    data = with_table(name, table_of(name, 3, **{column: value}))
    assert f"its '{name}' table has rows of another {column}" in refused(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    assert "no numbers" in refused(with_table("samples", table_of("samples", 3, value=value)))
    read_part(with_table("samples", table_of("samples", 3, value=None)))


def test_an_outcome_of_somebodys_own_is_refused() -> None:
    data = with_table("instances", table_of("instances", 3, outcome="<b>fine</b>"))
    assert "an outcome that is none: '<b>fine</b>'" in refused(data)


def test_text_that_is_no_text_is_refused() -> None:
    table = table_of("samples", 1)
    place, field = table.schema.get_field_index("unit"), table.schema.field("unit")
    offsets, content = pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")
    broken = pa.StringArray.from_buffers(1, offsets, content)
    assert "UTF8" in refused(with_table("samples", table.set_column(place, field, broken)))


def test_a_page_that_unfolds_to_more_than_its_footer_says_is_refused_unread(small: None) -> None:
    options = {"use_dictionary": False, "write_statistics": False, "store_schema": False}
    sink = io.BytesIO()
    pq.write_table(table_of("samples", 1, unit="A" * 20_000_000), sink, compression="zstd", **options)
    lying, place = sink.getvalue(), schema_of("samples").get_field_index("unit")
    group = pq.ParquetFile(sink).metadata.row_group(0)
    for said in (group.column(place).total_uncompressed_size, group.total_byte_size):
        true = zigzag(said)
        assert lying.count(true) == 1
        lying = lying.replace(true, zigzag(100, len(true)))
    assert len(lying) < 10_000
    footer = pq.ParquetFile(io.BytesIO(lying)).metadata
    assert footer.row_group(0).column(place).total_uncompressed_size == 100
    content = entries(GOOD.data)
    record = json.loads(content["trial.json"])
    record["tables"]["samples"] = {"rows": 1, "sha256": hashlib.sha256(lying).hexdigest()}
    content |= {"samples.parquet": lying, "trial.json": json.dumps(record).encode()}
    before = pa.total_allocated_bytes()
    assert "its 'samples' table would take 20000" in refused(zipped(content))
    assert pa.total_allocated_bytes() < before + part_tables.MAX_TABLE_BYTES


def zigzag(value: int, width: int = 1) -> bytes:
    """A number as Thrift writes it, in so many bytes at least."""
    digits, value = [], value * 2
    while value or len(digits) < width:
        digits.append(value & 0x7F)
        value >>= 7
    return bytes([*(digit | 0x80 for digit in digits[:-1]), digits[-1]])


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_texts_that_are_built_out_of_others_are_refused(encoding: str) -> None:
    options = {"use_dictionary": False, "column_encoding": {"unit": encoding}}
    data = with_table("samples", table_of("samples", 100, unit="A" * 1000), **options)
    assert "pages that no part has" in refused(data)


def test_more_columns_are_refused_before_they_are_read() -> None:
    extra = pa.array([["x" * 1000] * 1000] * 3)
    table = table_of("samples", 3).append_column("extra", extra)
    assert "another schema" in refused(with_table("samples", table))


def test_an_entry_that_no_part_has_is_refused() -> None:
    for name in ("../../etc/passwd", "/etc/passwd", "more.parquet"):
        assert "entries that no part has" in refused(zipped(entries(GOOD.data) | {name: b"x"}))


HOSTILE_RECORDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "an attempt that has no name": lambda r: r.update(attempt=10_000),
    "a time beyond all clocks": lambda r: r.update(started_at_ns=2**63),
    "a duration beyond all columns": lambda r: r.update(duration_ns=-(2**70)),
    "a place beyond its column": lambda r: r["trial"].update(order=2**31),
    "a schema beyond its column, as a text": lambda r: r.update(schema_version=str(2**31)),
    "a schema beyond its column, as a fraction": lambda r: r.update(schema_version=2.0**31),
    "a fact that is no number": lambda r: r.update(facts={"a": [float("nan")]}),
    "a fact of half a character": lambda r: r.update(facts={"a": "\ud800"}),
    "an error of half a character": lambda r: r.update(error_text="\udc00"),
    "a fact of very many digits": lambda r: r.update(facts={"a": 10**400}),
    "settings that are nested deeply": lambda r: r["trial"].update(settings={"a": deep(50)}),
    "facts that are nested deeply": lambda r: r.update(facts={"a": deep(300)}),
    "an image that is a way out": lambda r: r["trial"].update(image="/srv/../etc"),
    "a profile that steers a terminal": lambda r: r["trial"].update(profile="\x1b[2J"),
    "a host that is a path": lambda r: r["trial"].update(host="../h1"),
}


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("name", HOSTILE_RECORDS)
def test_a_record_that_no_table_can_hold_is_refused(name: str) -> None:
    data = with_record(HOSTILE_RECORDS[name])
    refused(data)
    with pytest.raises(PartError):
        peek_record(io.BytesIO(data))


def test_the_extremes_that_are_allowed_can_be_gathered() -> None:
    extremes = {"started_at_ns": 2**62 - 1, "duration_ns": 2**62 - 1, "clock_offset_ns": -(2**62) + 1}
    record = read_part(with_record(lambda r: r.update(extremes | {"facts": {"a": 2**64 - 1}}))).record
    assert trials_table([record]).to_pylist()[0]["duration_ns"] == 2**62 - 1


def test_a_record_of_millions_of_small_things_is_refused_unread() -> None:
    data = with_record(lambda r: r.update(facts={"a": [[]] * (MAX_RECORD_BYTES // 4)}))
    assert f"where {MAX_RECORD_BYTES} are allowed" in refused(data)
