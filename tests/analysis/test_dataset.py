import json
import re
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from make_dataset import Design, Variant, pair, put, write_dataset

from analysis.dataset import open_dataset
from contract.errors import DatasetError

ONE = Design((Variant("docker", 170),), instances=3, blocks=2)


@pytest.fixture
def folder(tmp_path):
    return write_dataset(tmp_path / "dataset", ONE)


def change_manifest(folder, **changes):
    manifest = json.loads((folder / "manifest.json").read_text()) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))


def instances_file(folder):
    return next(folder.glob("instances/*/*/*.parquet"))


def test_an_intact_dataset_opens(folder):
    with open_dataset(folder) as dataset:
        assert dataset.experiments() == ("lifecycle",)
        assert len(dataset.trials()) == 2
        assert dataset.rows("SELECT count(*) AS n FROM instances") == [{"n": 8}]
        assert dataset.rows("SELECT DISTINCT host FROM instances") == [{"host": "h1"}]
        assert dataset.rows("SELECT count(*) AS n FROM samples") == [{"n": 0}]


def test_a_host_named_like_a_number_stays_a_name(tmp_path):
    folder = write_dataset(tmp_path / "d", Design((Variant("docker", 1),), hosts=("007",)))
    with open_dataset(folder) as dataset:
        assert dataset.rows("SELECT DISTINCT host FROM instances") == [{"host": "007"}]


def test_a_folder_with_odd_letters_opens(tmp_path):
    folder = write_dataset(tmp_path / "it's [a] *? day", ONE)
    with open_dataset(folder) as dataset:
        assert dataset.rows("SELECT count(*) AS n FROM instances") == [{"n": 8}]


def test_a_dataset_of_no_instances_opens(folder):
    files = json.loads((folder / "manifest.json").read_text())["files"]
    change_manifest(folder, files=[f for f in files if f["path"].startswith("trials/")])
    with open_dataset(folder) as dataset:
        assert dataset.rows("SELECT count(*) AS n FROM instances") == [{"n": 0}]


def test_keys_of_a_later_release_are_left_alone(folder):
    change_manifest(folder, novelty={"a": 1})
    open_dataset(folder).close()


def test_a_folder_without_manifest_is_no_dataset(tmp_path):
    with pytest.raises(DatasetError, match=r"is no dataset: manifest\.json"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 1}'])
def test_a_damaged_manifest_is_refused(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DatasetError, match=r"manifest\.json is damaged|schema version None"):
        open_dataset(folder)


def rewrite(folder, place, table):
    """Put another table in place of a file, and its numbers into the manifest."""
    files = json.loads((folder / "manifest.json").read_text())["files"]
    change_manifest(
        folder, files=[put(folder, place, table) if f["path"] == place else f for f in files]
    )


@pytest.mark.parametrize("version", ["0", "2"])
def test_a_file_of_another_schema_version_is_named(folder, version):
    place = str(instances_file(folder).relative_to(folder))
    table = pq.ParquetFile(folder / place).read()
    rewrite(folder, place, table.replace_schema_metadata({"tonnage_schema_version": version}))
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder)
    assert str(caught.value).startswith(
        f"{folder / place}: this file has schema version {version}, the "
    )


def test_trials_of_another_schema_version_are_refused(folder):
    place = "trials/trials.parquet"
    table = pq.ParquetFile(folder / place).read()
    column = table.schema.get_field_index("schema_version")
    mixed = pa.array([1, 2], pa.int32())
    rewrite(folder, place, table.set_column(column, table.schema.field(column), mixed))
    with pytest.raises(DatasetError, match="some trials have schema version 2, the manifest"):
        open_dataset(folder)


def test_another_schema_version_is_refused(folder):
    change_manifest(folder, schema_version=2)
    with pytest.raises(
        DatasetError, match=r"manifest\.json: the dataset has schema version 2, this release reads 1"
    ):
        open_dataset(folder)


@pytest.mark.parametrize("path", ["/etc/passwd", "instances/../../x.parquet", "other/x.parquet", ""])
def test_a_file_outside_the_tables_is_refused(folder, path):
    change_manifest(folder, files=[{"path": path, "rows": 0, "sha256": ""}])
    with pytest.raises(DatasetError, match="a file outside the tables"):
        open_dataset(folder)


def test_a_manifest_without_trials_is_refused(folder):
    change_manifest(folder, files=[])
    with pytest.raises(DatasetError, match="names no trials table"):
        open_dataset(folder)


def test_a_missing_file_is_named(folder):
    instances_file(folder).unlink()
    with pytest.raises(DatasetError, match=r"data-0\.parquet: cannot be read"):
        open_dataset(folder)


def test_a_file_that_is_no_parquet_is_named(folder):
    instances_file(folder).write_bytes(b"PAR1 not really")
    with pytest.raises(DatasetError, match=r"data-0\.parquet: cannot be read"):
        open_dataset(folder)


def test_a_wrong_row_count_is_named(folder):
    file = instances_file(folder)
    pq.write_table(pq.read_table(file, partitioning=None).slice(1), file)
    with pytest.raises(DatasetError, match="holds 7 rows, the manifest says 8"):
        open_dataset(folder)


def test_a_wrong_checksum_is_named_unless_nobody_asks(folder):
    file = instances_file(folder)
    pq.write_table(pq.read_table(file, partitioning=None), file, compression="none")
    with pytest.raises(DatasetError, match="checksum"):
        open_dataset(folder)
    open_dataset(folder, check_sums=False).close()


def test_another_schema_is_named(folder):
    file = instances_file(folder)
    table = pq.read_table(file, partitioning=None)
    place = table.schema.get_field_index("t_ready")
    pq.write_table(table.set_column(place, "t_ready", table["t_ready"].cast(pa.float64())), file)
    with pytest.raises(DatasetError, match="another type: t_ready"):
        open_dataset(folder)


def test_damage_found_while_reading_is_a_dataset_error(tmp_path):
    folder = write_dataset(tmp_path / "d", pair(3, 170, blocks=2))
    with open_dataset(folder) as dataset:
        shutil.rmtree(folder / "instances")
        with pytest.raises(DatasetError, match="cannot be read"):
            dataset.query("SELECT * FROM instances")


@pytest.mark.parametrize("facts", ["[1]", '{"a": [2]}', '{"a": {"b": 1}}', "5"])
def test_facts_that_no_worker_writes_end_in_words_and_not_in_a_traceback(folder, facts):
    """As the analysis meets them: it counts what it takes for plain values."""
    where = re.escape("test_dataset.py:")
    refused = pytest.raises(DatasetError, match=f"facts, parameters or settings .* {where}")
    with refused, open_dataset(folder):
        assert {json.loads(facts)["a"]}


def test_a_failed_assertion_is_no_odd_content(folder):
    with pytest.raises(AssertionError, match="ours"), open_dataset(folder):
        raise AssertionError("ours")
