"""churn's tables find the truth of simulated hosts: capacity, growth beyond it, leak rates."""

import numpy as np
import pytest
from page import Page
from scipy.optimize import brentq
from simulated_campaign import run_simulated

from analysis.dataset import open_dataset
from analysis.tables import churn, table_modules
from analysis.words import records

pytestmark = pytest.mark.timeout(300)

SERVICE_S = np.array([0.020, 0.030, 0.020, 0.020])
"""Of the calls create, start, stop and remove: together 90 ms, so 11.1 lives per second."""
LEAK_SHARE = 0.02
RATES = (4, 9, 18)
SIMULATED = {
    "campaign": "churn-truth",
    "blocks": 6,
    "seed": 5,
    "deadline_s": 36_000,
    "profiles": {
        "narrow": {"driver": "simulated", "slots": 1, "sigma": 0.2, "leak_share": LEAK_SHARE},
        "tight": {"driver": "simulated", "slots": 1, "sigma": 0.2},
    },
    "experiments": [
        {
            "experiment": "churn",
            "drivers": ["narrow", "tight"],
            "params": {
                "rate_per_s": [*RATES],
                "duration_s": 120,
                "residents": 2,
                "max_in_flight": 100_000,
                "ready_deadline_s": 3600,
                "drain_s": 600,
            },
        }
    ],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A campaign on two simulated engines, measured and reported."""
    return run_simulated(tmp_path_factory.mktemp("churn"), SIMULATED)


@pytest.fixture(scope="module")
def tables(results):
    with open_dataset(results / "dataset") as dataset:
        return {name: records(found) for name, found in churn.table(dataset).items()}


def of_variant(rows, profile="narrow"):
    return [row for row in rows if row["scope"] == "fleet" and row["profile"] == profile]


def growth_of_queue(rate_per_s):
    """By how much a call's wait grows per second: α of a fluid that passes one server four times.

    A call made at t is answered at (1 + α)·t, so stage k gets (1 + α)^(1 − k) of the arrivals, and α is
    the work that comes in per second less what one server does.
    """

    def surplus(alpha):
        return rate_per_s * (SERVICE_S * (1 + alpha) ** -np.arange(4.0)).sum() - 1 - alpha

    return brentq(surplus, 0, 100) if surplus(0) > 0 else 0.0


def mean_factor(sigma=0.2):
    """Mean of a log-normal factor over its median: what a queue feels of it."""
    return np.exp(sigma**2 / 2)


def test_the_module_is_found_by_being_there():
    assert table_modules()["churn"] is churn


def test_tables_have_the_declared_columns(results):
    with open_dataset(results / "dataset") as dataset:
        for name, table in churn.table(dataset).items():
            assert [f.name for f in churn.FIELDS[name]] == list(table.columns)


def test_a_rate_is_told_from_one_beyond_capacity(tables):
    verdicts = {row["offered_per_s"]: row["verdict"] for row in of_variant(tables["load"])}
    assert verdicts == {4: "sustained", 9: "sustained", 18: "beyond capacity"}


@pytest.mark.parametrize("rate", RATES)
def test_growth_and_throughput_hold_the_truth(tables, rate):
    row = next(r for r in of_variant(tables["load"]) if r["offered_per_s"] == rate)
    alpha = growth_of_queue(rate * mean_factor())
    truth = {
        "growth_per_s": rate * (1 - (1 + alpha) ** -4),
        "backlog_growth_per_s": rate * (1 - (1 + alpha) ** -2),
        "achieved_per_s": rate * (1 + alpha) ** -2,
        "removed_per_s": rate * (1 + alpha) ** -4,
    }
    for name, value in truth.items():
        # The fluid leaves out boot and hold, which shift the stages by about a second of 120.
        slack = 0.03 * rate
        assert row[f"{name}_low"] - slack <= value <= row[f"{name}_high"] + slack, (name, row)
    assert row["achieved_per_s_high"] / row["achieved_per_s_low"] < 1.5  # or all this says nothing


def test_leaks_per_removal_hold_the_truth(tables):
    for row in of_variant(tables["leaks"]):
        if row["kind"] == "mounts":
            assert row["per_1000_low"] <= 1000 * LEAK_SHARE <= row["per_1000_high"]
            assert row["leaked"] > 10
        else:
            assert row["leaked"] == 0


def test_where_nothing_leaks_the_rule_of_three_bounds_it(tables):
    for row in of_variant(tables["leaks"], "tight"):
        assert (row["per_1000"], row["per_1000_low"]) == (0, 0)
        assert row["per_1000_high"] == pytest.approx(1000 * 3 / row["removals"], rel=0.01)


def test_the_backlog_over_time_rises_and_falls_again(tables):
    line = [r for r in tables["backlog"] if r["variant"].endswith("tight") and "18" in r["conditions"]]
    at = {row["second"]: row["backlog"] for row in line}
    most = max(at, key=at.__getitem__)
    assert most == pytest.approx(120, abs=6)
    assert at[max(at)] == 0


def test_the_report_says_what_is_borne(results):
    page = Page((results / "report" / "report.html").read_text())
    text = " ".join(page.root.text.split())
    assert "keeps up with 4.00/s and 9.00/s; beyond capacity at 18.0/s" in text
    assert "left behind" in text
    assert "Achieved against offered" in text
    assert "Arrived and not ready yet, over time" in text


def judged(**changes):
    row = {"blocks": 5, "shed_share": 0.0, "offered_per_s": 10.0}
    row |= {"growth_per_s_low": -0.1, "growth_per_s_high": 0.1}
    failed_share = changes.pop("failed_share", 0.0)
    return churn.judge(row | changes, failed_share)


def test_words_for_a_rate():
    assert judged() == ("sustained", None)
    assert judged(growth_per_s_low=1.5, growth_per_s_high=3.0)[0] == "beyond capacity"
    assert judged(growth_per_s_high=1.5) == ("undecided", "the data cannot tell")
    assert judged(shed_share=0.02)[0] == "beyond capacity"
    assert judged(failed_share=0.2)[0] == "failing"
    nothing = {"growth_per_s_low": None, "growth_per_s_high": None}
    assert judged(blocks=2, **nothing) == ("undecided", "fewer than 3 blocks")
    assert judged(**nothing) == ("undecided", "arrivals were too short")
