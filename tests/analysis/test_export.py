import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis.export import as_csv, export_tables
from analysis.section import Field, frame
from contract.errors import ResultsError

FIELDS = (
    Field("name", "string", "who"),
    Field("value_ns", "Float64", "how long; inf when never"),
    Field("n", "Int64", "how many"),
    Field("emulated", "boolean", "whether"),
)
ROWS = [
    {"name": "docker", "value_ns": 1.5, "n": 3, "emulated": False},
    {"name": "libvirt", "value_ns": float("inf"), "n": None, "emulated": True},
    {"name": None, "value_ns": None, "n": 2**60, "emulated": None},
]


@pytest.fixture
def folder(tmp_path):
    export_tables(tmp_path / "tables", {"t": frame(FIELDS, ROWS)}, {"t": FIELDS})
    return tmp_path / "tables"


def test_missing_stays_missing_in_every_format(folder):
    assert (folder / "t.csv").read_text().splitlines() == [
        "name,value_ns,n,emulated",
        "docker,1.5,3,False",
        "libvirt,inf,,True",
        ",,1152921504606846976,",
    ]
    assert pq.read_table(folder / "t.parquet").to_pylist() == ROWS
    written = json.loads((folder / "t.json").read_text())
    assert written == [ROWS[0], ROWS[1] | {"value_ns": "inf"}, ROWS[2]]


def test_columns_are_described(folder):
    described = json.loads((folder / "columns.json").read_text())
    assert described == {"t": {"rows": 3, "columns": {f.name: f.meaning for f in FIELDS}}}


def test_spreadsheets_get_no_formulas():
    for text in ("=1+1", "+1", "-1", "@a", "\t=1"):
        table = pd.DataFrame({"name": pd.array([text, "plain"], dtype="string")})
        assert as_csv(table).splitlines()[1].strip('"').startswith("'")
        assert table["name"][0] == text


def test_an_empty_table_has_its_header():
    assert as_csv(frame(FIELDS, [])) == "name,value_ns,n,emulated\n"


def test_nothing_half_written_is_left(tmp_path):
    (tmp_path / "tables").write_text("a file is in the way")
    with pytest.raises(ResultsError, match="cannot be written"):
        export_tables(tmp_path / "tables", {"t": frame(FIELDS, ROWS)}, {"t": FIELDS})
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]
