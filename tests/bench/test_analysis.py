"""Datasets that the benchmark of the analysis draws, and how its figures are reckoned."""

import json
import math

import pytest
from drawn_rows import MS, Design, write_rows
from speed import analysis as benchmark

from analysis.cells import Cells
from analysis.dataset import open_dataset
from analysis.distributions import Reduction
from analysis.tables import lifecycle


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    design = Design(12_000, hosts=2, blocks=2, others=False, host_sigma=0.0, block_sigma=0.0)
    return write_rows(tmp_path_factory.mktemp("rows") / "d", design)


def test_what_is_drawn_is_a_dataset_with_the_truth_of_the_simulated_driver(drawn):
    with open_dataset(drawn) as dataset:
        assert dataset.rows("SELECT count(*) AS n FROM instances")[0]["n"] == 12_000
        reduction = Reduction(Cells(dataset, "lifecycle"))
        found = {
            cell.profile: reduction.distribution(lifecycle.READY).sample(cell.index)
            for cell in reduction.cells.cells
        }
    for profile, factor in Design(1).profiles:
        sample = found[profile]
        assert sample.n == 4000
        median = sample.quantile(0.5) / MS
        assert math.log(median / (100 * factor)) == pytest.approx(
            0, abs=4 * 0.2 * 1.25 / math.sqrt(4000)
        )
        assert 0 < sample.counts[sample.values == math.inf].sum() < 40


def test_stamps_are_in_order_and_nothing_follows_a_failure(drawn):
    with open_dataset(drawn, check_sums=False) as dataset:
        row = dataset.rows(
            """
            SELECT count(*) FILTER (outcome = 'ok') AS ok, count(t_ready) AS ready,
                count(*) FILTER (NOT (t_intent <= t_call AND t_call <= t_created
                    AND t_created <= coalesce(t_started, t_created) AND t_stop_call <= t_exited
                    AND t_exited <= t_gone AND t_gone <= t_reclaimed)) AS wrong,
                count(*) FILTER (t_ready > t_stop_call) AS late,
            FROM instances
            """
        )[0]
    assert row["ok"] == row["ready"] > 11_900
    assert (row["wrong"], row["late"]) == (0, 0)


def test_trials_that_no_campaign_may_ask_for_are_refused(tmp_path):
    with pytest.raises(ValueError, match="more hosts or blocks"):
        write_rows(tmp_path / "d", Design(10**9))


def test_tables_stand_beside_every_limit_and_the_budget_beside_one():
    ways = ("scans", "scan_once", "pandas", "tables", "report")
    found = {
        name: benchmark.Took(place + 1.0, place + 2.0, 100.0 * place) for place, name in enumerate(ways)
    }
    figures = list(benchmark.figures(benchmark.Amount(100_000_000, 1), found))
    tables = [f for f in figures if f.case.startswith("all tables") and f.limit is not None]
    used = [f for f in tables if f.case.endswith("processor seconds")]
    assert [(f.value, f.limit) for f in used] == [(5.0, 3.0), (5.0, 2.0), (5.0, 4.0)]
    tables = [f for f in tables if f not in used]
    assert [(f.value, f.limit) for f in tables] == [(4.0, 2.0), (4.0, 1.0), (4.0, 3.0)]
    assert [f.budget for f in tables] == [None, 2.0, None]
    peaks = {f.case: (f.value, f.budget) for f in figures if f.unit == "MiB"}
    assert peaks["whole report, 100 million rows: peak memory"] == (400.0, 2048.0)
    assert len(peaks) == len(ways)


def test_every_way_is_known_to_the_process_that_goes_it():
    from analysis_ways import WAYS

    assert {*benchmark.LIMITS, *benchmark.OURS} == set(WAYS)
    assert json.loads(json.dumps(list(WAYS)))
