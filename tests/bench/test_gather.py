"""What gathering is measured against writes the same rows, and so do measured hosts and their copies."""

import json
from pathlib import Path

import duckdb
import hundred_hosts
import many_trials
import pytest
from speed import gather

from orchestrator.results import Results

ROWS = "SELECT * FROM '{0}/{1}/**/*.parquet' ORDER BY ALL"


def test_the_bare_rewrite_writes_the_same_rows(tmp_path: Path) -> None:
    many_trials.fill(Results(tmp_path), many_trials.plan(30, 10), (2, 5))
    for way in ("ours", "bare"):
        gather.WAYS[way](tmp_path)()
    for table in ("instances", "samples"):
        ours, bare = (
            duckdb.sql(ROWS.format(tmp_path / place, table)).to_arrow_table().to_pylist()
            for place in ("dataset", "bare")
        )
        assert ours == bare
        assert ours


def test_copied_hosts_have_trials_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hundred_hosts, "EXPERIMENTS", ("lifecycle", "overhead"))
    dataset = hundred_hosts.write(tmp_path, hosts=3, blocks=1)
    for table in ("instances", "samples"):
        found = duckdb.sql(
            f"SELECT host, count(*), count(DISTINCT trial_id) FROM '{dataset}/{table}/**/*.parquet' "
            "WHERE trial_id IN (SELECT trial_id FROM "
            f"'{dataset}/trials/trials.parquet' t WHERE t.host = host) GROUP BY host"
        ).fetchall()
        assert len(found) == 3
        assert len({(rows, trials) for _, rows, trials in found}) == 1
    planned = json.loads((dataset / "manifest.json").read_text())["planned"]
    ids = f"SELECT count(DISTINCT trial_id) FROM '{dataset}/trials/trials.parquet'"
    assert duckdb.sql(ids).fetchall() == [(planned,)]
