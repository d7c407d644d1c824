"""What becomes of more rows than are held one by one: every number stays within its bound."""

from dataclasses import replace

import numpy as np
import pytest
from make_dataset import Design, Variant, write_dataset

from analysis import distributions, first_values, histograms
from analysis.cells import Cells
from analysis.dataset import open_dataset
from analysis.diagnostics import section as diagnostics
from analysis.distributions import Reduction, Stage
from analysis.histograms import Histograms, packed
from analysis.metrics.lifecycle import measures
from analysis.scopes import FLEET
from analysis.statistics.blocks import blocked_sample
from analysis.statistics.buckets import INFINITE, bucket_sql, middles
from analysis.statistics.comparison import Ratio, with_grain
from analysis.statistics.quantiles import estimate_quantile
from analysis.tables import lifecycle
from analysis.words import records

BOUND = 0.0005 * 1.001
"""Half a bucket, and what floating point adds."""
DESIGN = Design(
    (Variant("process", 3, fails=0.02), Variant("docker", 170, sigma=0.4), Variant("podman", 180)),
    hosts=("h1", "h2", "h3"),
    blocks=5,
    instances=300,
    block_sigma=0.05,
    host_sigma=0.1,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("many") / "d", DESIGN)


@pytest.fixture
def many(monkeypatch):
    """Every dataset has more rows than are held one by one, and hosts are read one at a time."""
    monkeypatch.setattr(distributions, "EXACT_ROWS", 10)
    monkeypatch.setattr(histograms, "AT_ONCE_ROWS", 1000)


def rows_of(folder, make=lifecycle.table):
    with open_dataset(folder, check_sums=False) as dataset:
        return {name: records(table) for name, table in make(dataset).items()}


def test_values_fall_into_buckets_no_wider_than_the_bound(folder):
    exponents = np.random.default_rng(1).uniform(-280, 280, 500)
    values = [*(10**exponents).tolist(), 1.0, 0.5, 0.999_51, 3e12, 0.0, float("inf")]
    values += [-value for value in values[:20]]
    sql = f"SELECT v, {bucket_sql('v')} AS b FROM (SELECT unnest($values::DOUBLE[]) AS v)"
    with open_dataset(folder, check_sums=False) as dataset:
        found = dataset.query(sql, {"values": values})
    value, bucket = found["v"].to_numpy(), found["b"].to_numpy()
    assert middles(bucket) == pytest.approx(value, rel=BOUND)
    order = np.argsort(value)
    assert (np.diff(bucket[order]) >= 0).all()
    assert (bucket == INFINITE).sum() == 1


def test_quantiles_are_within_the_bound_and_intervals_nearly_the_same(folder, monkeypatch):
    exact = rows_of(folder)["latency"]
    monkeypatch.setattr(distributions, "EXACT_ROWS", 10)
    monkeypatch.setattr(histograms, "AT_ONCE_ROWS", 1000)
    rounded = rows_of(folder)["latency"]
    shifts = []
    for one, other in zip(exact, rounded, strict=True):
        for name in ("variant", "scope", "host", "metric", "basis", "n", "unreached"):
            assert one[name] == other[name]
        for quantile in ("p50", "p90", "p95", "p99"):
            assert other[f"{quantile}_ns"] == pytest.approx(one[f"{quantile}_ns"], rel=BOUND)
            lows, highs = (
                [row[f"{quantile}_{end}_ns"] for row in (one, other)] for end in ("low", "high")
            )
            assert (lows[0] is None) == (lows[1] is None)
            if lows[0] is None or one["n"] < 1000 or not np.isfinite(highs).all():
                continue
            width = highs[0] - lows[0]
            for ends in (lows, highs):
                moved = max(0.0, abs(ends[1] - ends[0]) - 2 * BOUND * ends[0])
                # the effective number hangs on which values share a bucket
                assert moved <= 0.2 * width
                shifts.append(moved / width if width else 0.0)
    assert np.median(shifts) < 0.01


def test_all_other_tables_say_the_same(folder, monkeypatch):
    exact = rows_of(folder)
    monkeypatch.setattr(distributions, "EXACT_ROWS", 10)
    rounded = rows_of(folder)
    for name in ("outcomes", "reasons", "scaling"):
        assert rounded[name] == exact[name]
    for one, other in zip(exact["comparison"], rounded["comparison"], strict=True):
        assert other["verdict"] == one["verdict"]
        for number in ("ratio", "ratio_low", "ratio_high", "host_low", "host_high"):
            assert other[number] == pytest.approx(one[number], rel=2e-3)


def test_diagnostics_say_the_same(folder, monkeypatch):
    exact = rows_of(folder, diagnostics.table)
    monkeypatch.setattr(distributions, "EXACT_ROWS", 10)
    rounded = rows_of(folder, diagnostics.table)
    signs = [
        [(r["measure"], r["variant"], r["sign"], r["n"]) for r in t["course"]] for t in (exact, rounded)
    ]
    assert signs[0] == signs[1]
    for one, other in zip(exact["course"], rounded["course"], strict=True):
        if one["sign"] != "neighbours":  # a correlation of ranks, as good as their ties
            assert other["ratio"] == pytest.approx(one["ratio"], rel=2e-3)
    for one, other in zip(exact["variance"], rounded["variance"], strict=True):
        assert other["n"] == one["n"]
        assert other["within_blocks"] == pytest.approx(one["within_blocks"], rel=1e-3)


def test_first_values_of_a_trial_are_set_against_the_others(folder, many, monkeypatch):
    with open_dataset(folder, check_sums=False) as dataset:
        reduction = Reduction(Cells(dataset, "lifecycle"))
        rounded = reduction.firsts(lifecycle.READY)
        monkeypatch.setattr(distributions, "EXACT_ROWS", 10**9)
        exact = Reduction(reduction.cells).firsts(lifecycle.READY)
    assert len(rounded) == len(exact) == 45
    for one, other in zip(*(sorted(rows, key=by_first) for rows in (exact, rounded)), strict=True):
        assert by_first(other) == by_first(one)
        assert other["rest"] == pytest.approx(one["rest"], rel=BOUND)


def test_first_values_that_failures_push_far_back_are_found_all_the_same(folder, many, monkeypatch):
    monkeypatch.setattr(first_values, "_reach", lambda cells: 1)
    with open_dataset(folder, check_sums=False) as dataset:
        reduction = Reduction(Cells(dataset, "lifecycle"))
        near = reduction.firsts(lifecycle.READY)
        monkeypatch.setattr(first_values, "_reach", lambda cells: 10**6)
        far = reduction.firsts(lifecycle.READY)
    assert len(near) == 45
    assert near == far


def by_first(row):
    return row["cell"], row["host"], row["first"]


def test_stages_are_read_in_one_pass_and_kept(folder, many):
    with open_dataset(folder, check_sums=False) as dataset:
        passes = []
        holding = dataset.holding
        dataset.holding = lambda *given, **tables: passes.append(given) or holding(*given, **tables)
        lifecycle.table(dataset)
        diagnostics.table(dataset)
    assert len(passes) == len(DESIGN.hosts)


def test_metrics_that_are_compared_are_read_in_one_pass_too(folder, many):
    with open_dataset(folder, check_sums=False) as dataset:
        passes = []
        holding = dataset.holding
        dataset.holding = lambda *given, **tables: passes.append(given) or holding(*given, **tables)
        cells = Cells(dataset, "lifecycle")
        for measure in measures(cells):
            measure.of(cells.cells[0])
    assert len(passes) == len(DESIGN.hosts)


def test_a_host_with_too_many_rows_is_reduced_value_by_value(folder, many, monkeypatch):
    found = []
    for held in (10**9, 1):
        monkeypatch.setattr(histograms, "HELD_BYTES", held)
        with open_dataset(folder, check_sums=False) as dataset:
            reduction = Reduction(Cells(dataset, "lifecycle"))
            reduction.expect(lifecycle.STAGES)
            distributions_of = [reduction.distribution(stage) for stage in lifecycle.STAGES]
            found.append([one.sample(0).quantile(0.9) for one in distributions_of])
    assert found[0] == found[1]


def test_selected_trials_have_histograms_of_their_own(folder, many):
    with open_dataset(folder, check_sums=False) as dataset:
        whole = Reduction(Cells(dataset, "lifecycle")).distribution(lifecycle.READY)
        chosen = [t["trial_id"] for t in dataset.trials() if t["host"] == "h2"]
        part = Reduction(Cells(dataset.selected(chosen), "lifecycle")).distribution(lifecycle.READY)
        assert (whole.n, part.n) == (3 * 15 * 300, 15 * 300)
        assert part.sample(0).n == 5 * 300


def test_a_value_that_nobody_has_makes_no_histogram(folder, many):
    nothing = Stage("nothing", "never", "i.t_pull", "i.t_pulled")
    with open_dataset(folder, check_sums=False) as dataset:
        distribution = Reduction(Cells(dataset, "lifecycle")).distribution(nothing)
        assert distribution.n == 0
        assert distribution.sample(0, FLEET).n == 0


def test_intervals_are_wider_by_what_a_bucket_hides():
    """Where all blocks fall into one bucket, an interval without width would claim too much."""
    plain = blocked_sample(np.full(400, 100.0), np.arange(400) // 40)
    coarse = estimate_quantile(replace(plain, grain=0.0005), 0.5)
    assert (estimate_quantile(plain, 0.5).low, estimate_quantile(plain, 0.5).high) == (100, 100)
    assert (coarse.value, coarse.low, coarse.high) == (100, pytest.approx(99.95), pytest.approx(100.05))
    known = Ratio(1.001, 1.001, 1.001, 1e-9, 10, 400)
    found = with_grain(known, 0.0005)
    assert (found.low, found.high) == (pytest.approx(1.0, abs=1e-5), pytest.approx(1.002, abs=1e-5))
    assert found.p_value > 0.99
    assert with_grain(known, 0.0) is known


def test_medians_of_trials():
    parts = [([0, 0], [3, 5], [1, 1]), ([2, 2], [7, 9], [4, 1])]
    found = Histograms.joined([packed(*map(np.int32, columns)) for columns in parts], trials=4)
    medians, sizes = found.medians(np.array([0, 1, 2], dtype=np.int32))
    assert sizes.tolist() == [2, 0, 5]
    assert medians[0] == middles(np.array([3, 5])).mean()
    assert np.isnan(medians[1])
    assert medians[2] == middles(np.array([7]))[0]
    assert found.some(np.array([2])).bucket.tolist() == [7, 9]
    assert found.some(np.array([1])).bucket.tolist() == []
    assert found.some(np.array([0, 2])).trial.tolist() == [0, 0, 2, 2]
    assert found.some(np.array([2, 3])).trial.tolist() == [2, 2]
    fewer = found.without(np.array([2, 2], dtype=np.int32), np.array([7, 9], dtype=np.int32))
    assert fewer.count.tolist() == [1, 1, 3, 0]


def test_counts_of_any_size_are_kept_and_small_ones_in_half_the_memory():
    few, many = (
        packed(*map(np.int32, ([trial, trial], [7, 9], [count, 1])))
        for trial, count in ((1, 2**16 - 1), (2, 2**16))
    )
    small = Histograms.joined([few], trials=3)
    assert (small.count.dtype, small.count.tolist()) == (np.uint16, [2**16 - 1, 1])
    both = Histograms.joined([few, many], trials=3)
    assert both.count.tolist() == [2**16 - 1, 1, 2**16, 1]
    assert both.trial.tolist() == [1, 1, 2, 2]
    assert both.finite().trial.tolist() == [1, 1, 2, 2]
    assert both.measurable().medians(np.array([0, 1, 2]))[1].tolist() == [0, 2**16, 2**16 + 1]
    infinite = Histograms.joined([packed(*map(np.int32, ([1, 2], [INFINITE, 5], [3, 4])))], trials=3)
    assert infinite.finite().trial.tolist() == [2]
