import math

import pytest
from make_together import Failovers, failovers
from make_trials import SECOND, Where, write_trials
from page import Page, check_page

from analysis.dataset import open_dataset
from analysis.report import write_report
from analysis.tables import failover as module
from analysis.tables import table_modules
from analysis.words import records

HOSTS = ("h1", "h2", "h3")


def made(tmp_path, *truths):
    return write_trials(tmp_path / "d", *(failovers(truth) for truth in truths))


def tables_of(tmp_path, *truths, **options):
    with open_dataset(made(tmp_path, *truths), **options) as dataset:
        return {name: records(table) for name, table in module.table(dataset).items()}


def where(**changes):
    return Where(**({"hosts": HOSTS} | changes))


def test_the_module_is_found_and_has_the_declared_columns(tmp_path):
    assert table_modules()["failover"] is module
    with open_dataset(made(tmp_path, Failovers())) as dataset:
        for name, table in module.table(dataset).items():
            assert [f.name for f in module.FIELDS[name]] == list(table.columns)


def test_what_came_back_is_counted_and_timed(tmp_path):
    tables = tables_of(tmp_path, Failovers(where(blocks=8), detect_s=2.0, ready_s=0.5))
    (row,) = tables["fleet"]
    assert (row["blocks"], row["instances"], row["back"], row["unplaced"]) == (8, 32, 32, 0)
    assert row["back_share"] == 1
    assert row["median_low_ns"] < 2.5 * SECOND < row["median_high_ns"]
    assert row["down_low_ns"] < 2.5 * SECOND * math.exp(0.1**2 / 2) < row["down_high_ns"]
    assert row["last_ns"] > row["median_ns"]
    assert row["capacity_left"] == 4  # two hosts with four free places, of which four are taken
    assert all(r["loss_ns"] == SECOND // 50 for r in tables["losses"])


def test_what_found_no_place_is_censored_at_the_deadline(tmp_path):
    tables = tables_of(tmp_path, Failovers(where(blocks=8), capacity=5))
    (row,) = tables["fleet"]
    assert (row["back"], row["unplaced"]) == (16, 16)
    assert row["back_share"] == 0.5
    assert row["capacity_left"] == 0
    assert row["last_ns"] is None
    assert 11 * SECOND < row["down_ns"] < 12 * SECOND
    assert tables["curves"][-1]["share"] == 0.5
    assert tables["curves"][-1]["value_ns"] == 20 * SECOND
    assert [(r["outcome"], r["error_class"]) for r in tables["reasons"]] == [("censored", "capacity")]


def test_detect_place_and_ready_are_apart(tmp_path):
    tables = tables_of(tmp_path, Failovers(where(blocks=6), detect_s=3.0, ready_s=1.0, sigma=0.0))
    medians = {r["metric"]: r["p50_ns"] for r in tables["latency"] if r["scope"] == "fleet"}
    assert medians["detect"] == 3 * SECOND
    assert medians["place"] == 0
    assert medians["ready"] == SECOND
    assert medians["return"] == 4 * SECOND


def test_a_loss_counts_only_with_all_of_its_hosts(tmp_path):
    whole = failovers(Failovers(where(blocks=4)))
    gone = [one for one in whole if (one.record.trial.host, one.record.trial.block) != ("h2", 3)]
    with open_dataset(write_trials(tmp_path / "d", gone)) as dataset:
        tables = {name: records(table) for name, table in module.table(dataset).items()}
    assert (tables["fleet"][0]["blocks"], tables["fleet"][0]["set_aside"]) == (3, 1)
    assert tables["fleet"][0]["instances"] == 12


CASES = {
    "plain": [Failovers()],
    "one block": [Failovers(where(blocks=1))],
    "nothing back": [Failovers(where(), capacity=4)],
    "failed": [Failovers(where(outcome="failed", verdict="invalid"))],
    "suspect": [Failovers(where(verdict="suspect", reasons=("host not quiet",)))],
    "simulated": [Failovers(where(driver="simulated", virtual=True))],
    "false alarms": [Failovers(where(), alarms=2)],
    "two capacities": [Failovers(where(), capacity=n) for n in (5, 8)],
}


@pytest.mark.parametrize("case", CASES)
def test_the_report_is_written_whatever_was_measured(tmp_path, case):
    report = write_report(made(tmp_path, *CASES[case]), tmp_path / "report")
    check_page(Page(report.read_text()), tmp_path / "report")


def test_the_words_say_what_was_found(tmp_path):
    truth = Failovers(where(blocks=6), capacity=5, alarms=1)
    with open_dataset(made(tmp_path, truth)) as dataset:
        section = module.section(dataset, module.table(dataset))
    said = " ".join(section.summary)
    assert "was lost 6 times, and 12 of 24 instances came back elsewhere within 20.0 s" in said
    assert "12 found no place" in said
    assert any("taken for lost" in caveat for caveat in section.caveats)
