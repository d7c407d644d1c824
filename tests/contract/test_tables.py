"""The published tables: one schema, written down once, that rows always fit."""

from dataclasses import asdict, fields

import pyarrow as pa
import pytest
from trials import make_rows

from contract.rows import InstanceRow, Sample
from contract.tables import SCHEMA_VERSION, STAMPS, TABLES, schema_of, to_table, trial_tables


@pytest.mark.parametrize("table", TABLES)
def test_every_column_says_what_it_means(table: str) -> None:
    columns = TABLES[table]
    assert len({column.name for column in columns}) == len(columns)
    assert all(column.meaning for column in columns)


@pytest.mark.parametrize("table", TABLES)
def test_every_schema_says_its_version(table: str) -> None:
    assert schema_of(table).metadata == {b"tonnage_schema_version": str(SCHEMA_VERSION).encode()}


@pytest.mark.parametrize(
    ("table", "row"), [("instances", InstanceRow(0)), ("samples", Sample(0, "m", 1, "u"))]
)
def test_rows_have_just_the_columns(table: str, row: InstanceRow | Sample) -> None:
    names = [field.name for field in fields(row)]
    assert {*names, "trial_id", "attempt"} == {column.name for column in TABLES[table]}


def test_stamps_are_whole_nanoseconds_and_may_be_missing() -> None:
    assert all(column.type == pa.int64() and column.nullable for column in STAMPS)


def test_tables_of_a_trial_carry_its_key() -> None:
    tables = trial_tables(make_rows(2, 1), "a" * 32, 3)
    for name, count in {"instances": 2, "samples": 1}.items():
        assert tables[name].schema == schema_of(name)
        assert (
            tables[name].select(["trial_id", "attempt"]).to_pylist()
            == [{"trial_id": "a" * 32, "attempt": 3}] * count
        )


def test_a_missing_number_is_null() -> None:
    row = trial_tables(make_rows(1, 0), "a" * 32, 1)["instances"].to_pylist()[0]
    assert row["t_exited"] is None
    assert row["guest_uptime_ns"] is None


def test_large_stamps_stay_exact() -> None:
    rows = [asdict(InstanceRow(0, t_ready=2**63 - 1)) | {"trial_id": "a", "attempt": 1}]
    assert to_table("instances", rows).column("t_ready").to_pylist() == [2**63 - 1]


def test_a_key_that_is_no_column_is_refused() -> None:
    with pytest.raises(KeyError, match="not columns of 'samples': colour"):
        to_table("samples", [{"colour": 1}])
