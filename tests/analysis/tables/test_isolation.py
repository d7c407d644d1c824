"""isolation: what simulated neighbours were given to do is found again, within the intervals."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from simulated_campaign import run_simulated

from analysis.cells import Cells
from analysis.dataset import open_dataset
from analysis.isolation.answers import AllAnswers, Answers
from analysis.isolation.ratios import degradation, silent_blocks, tail_of
from analysis.isolation.returns import times_to_return
from analysis.isolation.rows import relief_rows
from analysis.isolation.shown import percent
from analysis.shown import marked
from analysis.tables import isolation as module
from analysis.tallies import Tally
from analysis.words import records

HARM, LEFT, FADES_S, LOST, STRESSORS = 0.5, 0.2, 1.5, 0.1, 2
SIGMA = 0.1
TRUTH = {
    "driver": "simulated",
    "work_ms": 20,
    "work_sigma": SIGMA,
    "block_sigma": 0.1,
    "harm_per_stressor": HARM,
    "harm_limited": LEFT,
}
PARAMS = {"stressors": STRESSORS, "limited": [True, False], "rate_per_s": 10, "phase_s": 15}
# What was lost counts as slower than all else: the median of all is a higher quantile of the answered.
AMONG_LOST = math.exp(SIGMA * NormalDist().inv_cdf(0.5 / (1 - LOST)))
UNLIMITED = (1 + HARM * STRESSORS) * AMONG_LOST
LIMITED = 1 + HARM * LEFT * STRESSORS
CAMPAIGN = {
    "campaign": "neighbours",
    "blocks": 8,
    "limits": {"cpus": 0.5, "memory_mib": 64},
    "profiles": {
        "fair": TRUTH | {"harm_fades_s": FADES_S, "harm_lost_share": LOST},
        "deaf": TRUTH | {"harm_lost_share": 1},
        "apart": TRUTH | {"harm_per_stressor": 0},
    },
    "experiments": [
        {"experiment": "isolation", "drivers": ["fair", "deaf", "apart"], "params": PARAMS},
    ],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A campaign on simulated engines, measured and reported."""
    return run_simulated(tmp_path_factory.mktemp("isolation"), CAMPAIGN)


@pytest.fixture(scope="module")
def tables(results):
    with open_dataset(results / "dataset") as dataset:
        found = module.table(dataset)
    for name, table in found.items():
        assert [f.name for f in module.FIELDS[name]] == list(table.columns)
    return {name: records(table) for name, table in found.items()}


def row_of(tables, profile, *, limited):
    (row,) = [
        r
        for r in tables["degradation"]
        if (r["scope"], r["profile"], r["limited"]) == ("fleet", profile, limited)
    ]
    return row


@pytest.mark.parametrize(("limited", "truth"), [(True, LIMITED), (False, UNLIMITED)])
def test_degradation_and_tail_are_found(tables, limited, truth):
    row = row_of(tables, "fair", limited=limited)
    assert row["degradation_low"] <= truth <= row["degradation_high"]
    assert row["degradation_high"] / row["degradation_low"] < 1.15  # or the check above says nothing
    assert row["verdict"] == "harmed"
    assert row["tail_p"] == 0.99
    assert (row["tail_ratio"] is None) == (not limited)  # a tenth was never answered
    assert (row["blocks"], row["stressors"], row["stressors_silent"]) == (8, 16, 0)


def test_the_share_that_did_not_report_is_found(tables):
    row = row_of(tables, "fair", limited=False)
    assert row["unanswered_share_low"] <= LOST <= row["unanswered_share_high"]
    assert row["unanswered_off_share"] == 0
    assert row_of(tables, "fair", limited=True)["unanswered_share"] == 0


def test_the_return_to_normal_is_found(tables):
    period_ns = 1e9 / PARAMS["rate_per_s"]
    row = row_of(tables, "fair", limited=False)
    assert FADES_S * 1e9 - period_ns <= row["return_ns"] <= FADES_S * 1e9 + 10 * period_ns
    assert row["return_low_ns"] <= row["return_ns"] <= row["return_high_ns"]
    assert row_of(tables, "apart", limited=False)["return_ns"] <= 5 * period_ns
    assert row["not_returned"] == 0


def test_a_victim_that_never_reports_has_no_ratio(tables):
    row = row_of(tables, "deaf", limited=False)
    assert row["verdict"] == "did not report"
    assert row["silent_blocks"] == 8
    assert row["degradation"] is None
    assert math.isinf(row["p50_on_ns"])


def test_no_harm_is_found_where_there_is_none(tables):
    for limited in (True, False):
        assert row_of(tables, "apart", limited=limited)["verdict"] == "unharmed"


def test_what_limits_change_is_found(tables):
    rows = {r["variant"]: r for r in tables["relief"]}
    fair = rows["simulated/fair"]
    assert fair["relief_low"] <= UNLIMITED / LIMITED <= fair["relief_high"]
    assert fair["relief_high"] / fair["relief_low"] < 1.15
    assert fair["verdict"] == "limits help"
    assert rows["simulated/apart"]["verdict"] == "no difference"
    assert rows["simulated/deaf"]["relief"] is None


def test_the_timeline_rises_and_falls(tables):
    line = [r for r in tables["timeline"] if r["variant"] == "simulated/fair" and not r["limited"]]
    phases = [[r["p50_ns"] for r in line if int(r["at_s"] // 15) == n] for n in range(3)]
    assert min(phases[1]) > 1.5 * max(phases[0])
    assert phases[2][-1] < 1.2 * max(phases[0])


def test_the_report_shows_the_matrix(results):
    page = (results / "report" / "report.html").read_text()
    assert "The victim and its bad neighbours" in page
    assert "DNR in 8 of 8 blocks" in page


def answers(latency_ns, step):
    """Of one trial, a request a second."""
    count = len(step)
    zeros, ones = np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)
    settled, latency = np.ones(count, dtype=bool), np.array(latency_ns, dtype=float)
    asked = {"trial": zeros, "step": np.array(step), "settled": settled, "latency_ns": latency}
    returned = times_to_return(asked | {"since_ns": np.arange(count) * 1e9})["return_ns"]
    some = slice(returned.size)
    return Answers(
        Tally(latency, ones, zeros, zeros),
        np.array(step),
        settled,
        1,
        Tally(returned, ones[some], zeros[some], zeros[some]),
    )


def test_a_victim_that_does_not_come_back_is_seen():
    slow = answers([10.0] * 20 + [50.0] * 40, [0] * 20 + [1] * 20 + [2] * 20)
    assert math.isinf(slow.returns().values[0])
    rng = np.random.default_rng(1)
    assert degradation(slow, rng).value == pytest.approx(5)
    assert degradation(slow, rng).low is None  # a single block
    assert (tail_of(slow), silent_blocks(slow)) == (0.95, 0)


def test_nothing_gives_nothing():
    nothing = answers([], [])
    assert degradation(nothing, np.random.default_rng(1)).value is None
    assert (tail_of(nothing), silent_blocks(nothing), nothing.returns().n) == (None, 0, 0)


def test_percent():
    assert [percent(ratio) for ratio in (1.5, 0.9, 1.0, None)] == ["+50.0 %", "−10.0 %", "0 %", "n/a"]


def test_limits_that_no_valid_trial_met_are_not_said_to_have_failed(results):
    """Its trials came to an end; only nobody may believe them."""
    with open_dataset(results / "dataset") as dataset:
        cells = Cells(dataset, "isolation")
        for index, scope in list(cells.evidence):
            if cells.cells[index].conditions["limited"]:
                del cells.evidence[index, scope]
        rows = relief_rows(AllAnswers(cells))
    assert "simulated/fair (invalid trials only)" in {marked(row) for row in rows}
