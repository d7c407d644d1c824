"""A part is either read whole and true, or refused; it is either published whole, or not at all."""

import contextlib
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import make_part, make_record, make_rows, make_trial

from contract.errors import PartError, ResultsError
from contract.part_names import last_parts
from contract.parts import (
    MAX_PART_BYTES,
    list_parts,
    pack_part,
    part_name,
    read_part,
    store_part,
    trials_table,
)
from contract.rows import Rows
from contract.tables import SCHEMA_VERSION, schema_of

GOOD = make_part()


def rezip(data: bytes, change: Callable[[dict[str, bytes]], None], method: int = 0) -> bytes:
    """The same archive with its entries changed, as somebody else's program would write it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def rerecord(data: bytes, change: Callable[[dict], None]) -> bytes:
    """The same part with another trial record."""

    def rewrite(entries: dict[str, bytes]) -> None:
        record = json.loads(entries["trial.json"])
        change(record)
        entries["trial.json"] = json.dumps(record).encode()

    return rezip(data, rewrite)


def test_what_goes_in_comes_out() -> None:
    part = read_part(GOOD.data)
    assert part.record.trial == make_trial()
    assert part.record.tables["instances"].rows == 3
    rows = part.tables["instances"].to_pylist()
    assert [row["t_ready"] for row in rows] == [500, 1500, 2500]
    assert {(row["trial_id"], row["attempt"]) for row in rows} == {(make_trial().trial_id, 1)}
    assert part.tables["samples"].column("metric").to_pylist() == ["host.cpu_busy"] * 2


def test_the_receipt_announces_the_part() -> None:
    receipt = GOOD.receipt
    assert (receipt.trial_id, receipt.attempt, receipt.host) == (make_trial().trial_id, 1, "h1")
    assert (receipt.outcome, receipt.verdict) == ("completed", "valid")
    assert receipt.size_bytes == len(GOOD.data)
    assert GOOD.name == f"{make_trial().trial_id}.1.part"


def test_a_trial_without_rows_has_a_part_too() -> None:
    part = read_part(make_part(rows=Rows(), outcome="skipped", verdict="invalid").data)
    assert part.tables["instances"].num_rows == 0
    assert part.tables["samples"].schema == schema_of("samples")


def test_the_trial_record_is_written_last() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD.data)) as archive:
        assert archive.namelist()[-1] == "trial.json"


def test_no_beginning_of_a_part_is_a_part() -> None:
    for length in range(len(GOOD.data)):
        with pytest.raises(PartError):
            read_part(GOOD.data[:length])


def test_a_flipped_byte_is_refused_or_harmless() -> None:
    """Harmless are the fields of the archive that nobody reads, such as the time of an entry."""
    good = read_part(GOOD.data)
    harmless = 0
    places = range(0, len(GOOD.data), 11)
    for place in places:
        damaged = bytearray(GOOD.data)
        damaged[place] ^= 0xFF
        try:
            part = read_part(bytes(damaged))
        except PartError:
            continue
        harmless += 1
        assert part == good
    assert harmless < len(places) / 20


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, len(GOOD.data)), st.integers(0, 60))
def test_garbage_is_refused(garbage: bytes, place: int, cut: int) -> None:
    with pytest.raises(PartError):
        read_part(garbage)
    with contextlib.suppress(PartError):
        read_part(GOOD.data[:place] + garbage + GOOD.data[place + cut :])


def test_another_schema_version_is_refused() -> None:
    data = rerecord(GOOD.data, lambda record: record.update(schema_version=SCHEMA_VERSION + 1))
    with pytest.raises(
        PartError,
        match=f"schema version {SCHEMA_VERSION + 1}, and this release reads {SCHEMA_VERSION}: use the",
    ):
        read_part(data)


def test_a_wrong_count_is_refused() -> None:
    data = rerecord(GOOD.data, lambda record: record["tables"]["samples"].update(rows=3))
    with pytest.raises(PartError, match="its 'samples' table has 2 rows, the record says 3"):
        read_part(data)


def test_another_table_is_refused() -> None:
    other = rezip(GOOD.data, lambda e: e.update({"samples.parquet": e["instances.parquet"]}))
    with pytest.raises(PartError, match="the checksum of its 'samples' table does not fit"):
        read_part(other)


def test_a_table_of_another_schema_is_refused() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"trial_id": ["x", "y"]}), sink)
    digest = hashlib.sha256(sink.getvalue()).hexdigest()
    data = rerecord(GOOD.data, lambda record: record["tables"]["samples"].update(sha256=digest))
    data = rezip(data, lambda entries: entries.update({"samples.parquet": sink.getvalue()}))
    with pytest.raises(PartError, match="its 'samples' table has another schema"):
        read_part(data)


@pytest.mark.parametrize("name", ["trial.json", "instances.parquet", "samples.parquet"])
def test_a_missing_entry_is_refused(name: str) -> None:
    with pytest.raises(PartError, match=f"no item named '{name}'"):
        read_part(rezip(GOOD.data, lambda entries: entries.pop(name)))


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{}", b"[" * 100_000, b"\xff"])
def test_a_record_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(PartError, match="a damaged part"):
        read_part(rezip(GOOD.data, lambda entries: entries.update({"trial.json": content})))


def test_a_compressed_archive_is_refused() -> None:
    """What inflates has grown already when its declared size is found to be a lie."""
    with pytest.raises(PartError, match="compressed entries"):
        read_part(rezip(GOOD.data, lambda _: None, zipfile.ZIP_DEFLATED))


def test_an_archive_of_a_huge_declared_size_is_refused() -> None:
    data = bytearray(rezip(GOOD.data, lambda _: None))
    entry = data.index(b"PK\x01\x02")
    struct.pack_into("<II", data, entry + 20, MAX_PART_BYTES + 1, MAX_PART_BYTES + 1)
    with pytest.raises(PartError, match=f"larger than {MAX_PART_BYTES} bytes"):
        read_part(bytes(data))


def test_storing_leaves_the_part_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "parts"
    path = store_part(folder, GOOD.name, GOOD.data)
    assert path.read_bytes() == GOOD.data
    assert [p.name for p in folder.iterdir()] == [GOOD.name]


def test_storing_twice_is_harmless(tmp_path: Path) -> None:
    for _ in range(2):
        store_part(tmp_path, GOOD.name, GOOD.data)
    assert list_parts(tmp_path) == {GOOD.receipt.trial_id: (1,)}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match="file: a part cannot be written: File exists"):
        store_part(tmp_path / "file", GOOD.name, GOOD.data)
    with pytest.raises(ResultsError, match="file/parts: a part cannot be written: Not a directory"):
        store_part(tmp_path / "file" / "parts", GOOD.name, GOOD.data)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResultsError, match="No space left on device"):
        store_part(tmp_path, GOOD.name, GOOD.data)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x.1.part", "a" * 32 + ".1.part\n", "a" * 32 + ".part", ""])
def test_only_names_of_parts_are_stored(tmp_path: Path, name: str) -> None:
    with pytest.raises(PartError, match="not a part's name"):
        store_part(tmp_path, name, b"")


def test_listing_knows_parts_from_other_files(tmp_path: Path) -> None:
    trial = "0123456789abcdef" * 2
    for name in (f"{trial}.2.part", f"{trial}.10.part", f"{trial}.0.part"):
        (tmp_path / name).touch()
    for name in (f".{trial}.1.part.x", f"{trial}.1.part.tmp", f"{trial}.x.part", "README", f"{trial}.1"):
        (tmp_path / name).touch()
    assert list_parts(tmp_path) == {trial: (0, 2, 10)}
    assert last_parts(tmp_path) == {trial: f"{trial}.10.part"}
    (tmp_path / f"{trial}.10.part").unlink()
    (tmp_path / f"{trial}.0.part").unlink()
    assert last_parts(tmp_path) == {trial: f"{trial}.2.part"}
    assert list_parts(tmp_path / "absent") == {}


def test_a_part_is_named_by_trial_and_attempt() -> None:
    packed = pack_part(make_record(attempt=12), make_rows())
    assert packed.name == part_name(make_trial().trial_id, 12)


def test_records_become_the_trials_table() -> None:
    table = trials_table([make_record(reasons=("a", "b"), facts={"b": 1, "a": None})])
    row = table.to_pylist()[0]
    assert table.schema == schema_of("trials")
    assert row["trial_id"] == make_trial().trial_id
    assert row["facts"] == '{"a":null,"b":1}'
    assert row["reasons"] == ["a", "b"]
    assert row["deadline_ns"] == 60_000_000_000
    assert table.column("started_at").cast(pa.int64()).to_pylist() == [1_790_000_000_123_456_789]
