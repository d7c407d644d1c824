"""Headers of pages: the usual ones are read by a pattern, and it says what reading by fields says."""

import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trials import make_part, make_trial

from contract import parquet_pages, part_tables
from contract.errors import PartError
from contract.parquet_pages import unfolded_bytes
from contract.parts import read_part
from contract.rows import Rows, Sample

HEADERS = (
    bytes.fromhex("1504 15 48 15 50 4c 1502 1500 12 0000"),
    bytes.fromhex("1504 15 e48f2b 15 9008 4c 1502 1504 11 0000"),
    bytes.fromhex("1500 15 06 15 9003 2c 1564 1510 1506 1506 0000"),
    bytes.fromhex("1500 15 06 15 8401 2c 1564 1500 1506 1506 1c00 0000"),
)


@st.composite
def bent_headers(draw: st.DrawFn) -> bytes:
    """A usual header with a few bytes changed, put in or left out."""
    header = bytearray(draw(st.sampled_from(HEADERS)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(header) - 1))
        length = draw(st.integers(0, 1))
        header[place : place + length] = draw(st.binary(max_size=2))
        header += b"\0" * (not header)
    return bytes(header) + draw(st.binary(max_size=4))


@settings(max_examples=2000, deadline=None)
@given(bent_headers())
@example(HEADERS[0])
@example(HEADERS[3])
def test_the_pattern_takes_no_header_for_what_it_is_not(data: bytes) -> None:
    usual = parquet_pages._USUAL.match(data)
    if usual is None:
        return
    first = 1 if usual[1] else 3
    unpacked, packed = (parquet_pages._number(usual[n]) for n in (first, first + 1))
    kind = parquet_pages._DICTIONARY_PAGE if usual[1] else parquet_pages._DATA_PAGE
    assert parquet_pages._header(data, 0) == (kind, unpacked, packed, usual.end())


def test_every_usual_header_is_read_by_the_pattern() -> None:
    assert all(parquet_pages._USUAL.fullmatch(header) for header in HEADERS)


@pytest.mark.parametrize("rows", [1, 20, 21, 300])
def test_no_part_of_ours_needs_more(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading headers field by field took a seventh of gathering."""
    samples = [Sample(at, "host.cpu_busy", at / rows, "ratio") for at in range(rows)]
    monkeypatch.setattr(parquet_pages, "_header", lambda *_: pytest.fail("not a usual header"))
    assert read_part(make_part(rows=Rows(samples=samples)).data).tables["samples"].num_rows == rows


def test_a_part_of_an_earlier_writer_is_read_all_the_same() -> None:
    """With statistics, Arrow's schema and dictionaries of numbers, all of it compressed."""
    with zipfile.ZipFile(io.BytesIO(make_part().data)) as archive:
        table = pq.ParquetFile(io.BytesIO(archive.read("samples.parquet"))).read()
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    read = part_tables.read_table("samples", sink.getvalue(), 2, make_trial().trial_id, 1)
    assert read.equals(table)


@pytest.mark.parametrize("header", HEADERS)
def test_a_size_below_nothing_is_refused(header: bytes) -> None:
    """It would lead back, and round for ever."""
    back = header[:3] + b"\x07" + header[4:]
    with pytest.raises(PartError, match="pages that no part has"):
        unfolded_bytes(back + bytes(100), 0, len(back))


def test_pages_are_added_up_by_kind() -> None:
    pages = HEADERS[0] + bytes(40) + HEADERS[2] + bytes(200)
    assert unfolded_bytes(pages, 0, len(pages)) == (3, 36)


def test_small_tables_are_not_compressed_and_large_ones_are() -> None:
    for rows, codec in ((part_tables._FEW_ROWS, "UNCOMPRESSED"), (part_tables._FEW_ROWS + 1, "ZSTD")):
        samples = make_part(rows=Rows(samples=[Sample(at, "m", 1.0, "s") for at in range(rows)])).data
        with zipfile.ZipFile(io.BytesIO(samples)) as archive:
            footer = pq.read_metadata(pa.BufferReader(archive.read("samples.parquet")))
        found = {footer.row_group(0).column(place).compression for place in range(footer.num_columns)}
        assert found == {codec}
