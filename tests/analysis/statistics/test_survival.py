import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics import survival
from analysis.statistics.proportions import wilson
from analysis.statistics.survival import lifetimes, median_time, restricted_mean, survival_curve

REMISSION = [6, 6, 6, 7, 10, 13, 16, 22, 23]
REMISSION_CUT = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
"""6-mercaptopurine against leukaemia, weeks: Freireich et al., Blood 21 (1963)."""


def rng(seed=1):
    return np.random.default_rng(seed)


def life(happened, cut=(), blocks=1):
    times = [*happened, *cut]
    return lifetimes(times, [True] * len(happened) + [False] * len(cut), np.arange(len(times)) % blocks)


def test_the_curve_is_the_published_one():
    curve = survival_curve(life(REMISSION, REMISSION_CUT))
    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    expected = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert curve.share == pytest.approx(expected, abs=5e-4)
    assert (curve.low[0], curve.high[0]) == pytest.approx((0.6197, 0.9516), abs=5e-4)
    assert (curve.low[-1], curve.high[-1]) == pytest.approx((0.1878, 0.6801), abs=5e-4)


@given(
    st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=2, max_size=30).filter(
        lambda rows: any(happened for _, happened in rows)
    )
)
def test_the_curve_is_scipys(rows):
    happened = [t for t, yes in rows if yes]
    cut = [t for t, yes in rows if not yes]
    curve = survival_curve(life(happened, cut))
    scipys = stats.ecdf(stats.CensoredData(uncensored=happened, right=cut)).sf
    assert curve.share == pytest.approx(scipys.evaluate(curve.times))
    assert (np.diff(curve.share) < 0).all()
    known = ~np.isnan(curve.low)
    assert (curve.low[known] <= curve.share[known]).all()
    assert (curve.share[known] <= curve.high[known]).all()


def test_area_and_median_by_hand():
    some = life([1, 3], [4, 4])
    assert restricted_mean(some, 4, rng()).value == pytest.approx(1 + 2 * 0.75 + 1 * 0.5)
    assert median_time(some, rng()).value == 3


def test_without_censoring_the_area_is_the_mean():
    times = [1.0, 2.0, 2.0, 7.0]
    assert restricted_mean(life(times), 100, rng()).value == pytest.approx(3.0)
    assert restricted_mean(life(times), 5, rng()).value == pytest.approx((1 + 2 + 2 + 5) / 4)


def test_what_was_cut_off_early_counts_until_then():
    assert restricted_mean(life([2], [1]), 2, rng()).value == pytest.approx(2)
    assert restricted_mean(life([1], [2]), 2, rng()).value == pytest.approx(1.5)


def test_nothing_recovered():
    some = life([], [60.0] * 12, blocks=4)
    assert survival_curve(some).times.size == 0
    down, median = restricted_mean(some, 60, rng()), median_time(some, rng())
    assert (down.value, down.low, down.high) == (60, None, None)
    assert (median.value, median.low, median.high) == (math.inf, math.inf, math.inf)


def test_all_at_the_same_moment():
    some = life([5.0] * 12, blocks=4)
    curve = survival_curve(some)
    assert (curve.share.tolist(), np.isnan(curve.low).tolist()) == ([0.0], [True])
    median, down = median_time(some, rng()), restricted_mean(some, 60, rng())
    assert (median.low, median.value, median.high) == (5, 5, 5)
    assert (down.low, down.value) == pytest.approx((5, 5))
    assert down.high == pytest.approx(5 + wilson(0, 12)[1] * 55)  # none of 12 is not none of all


def test_no_times():
    some = life([])
    assert median_time(some, rng()).value is None
    assert restricted_mean(some, 60, rng()).value is None


@pytest.mark.parametrize("blocks", [1, 2])
def test_few_blocks_have_no_interval(blocks):
    some = life([1.0, 2, 3, 4], [60], blocks=blocks)
    for found in (median_time(some, rng()), restricted_mean(some, 60, rng())):
        assert found.value is not None
        assert (found.low, found.high) == (None, None)


def test_a_median_that_was_not_reached_has_a_lower_end_at_most():
    some = life([1.0, 2, 3, 4, 5], [60.0] * 7, blocks=4)
    found = median_time(some, rng())
    assert found.value == found.high == math.inf
    assert math.isfinite(found.low)


def test_censored_recoveries_are_neither_dropped_nor_taken_for_recovered():
    """Some 4 % censored: the truth restricted to 60 s is 17.6 s, without the censored 16 s."""
    source = np.random.default_rng(7)
    kept, dropped = [], []
    for _ in range(100):
        times = source.exponential(18.3, 200)
        recovered = times < 60
        some = lifetimes(np.minimum(times, 60), recovered, np.arange(200) // 20)
        kept.append(restricted_mean(some, 60, source).value)
        dropped.append(times[recovered].mean())
    truth = 18.3 * (1 - math.exp(-60 / 18.3))
    assert truth == pytest.approx(17.6, abs=0.05)
    assert np.mean(kept) == pytest.approx(truth, rel=0.02)
    assert np.mean(dropped) < truth - 1.2


@pytest.mark.parametrize(("blocks", "block_sigma"), [(3, 0.0), (5, 0.0), (5, 0.4), (10, 0.4)])
def test_intervals_hold_the_truth_as_often_as_they_say(blocks, block_sigma):
    source = np.random.default_rng(blocks)
    many = source.lognormal(0, block_sigma, 200_000) * source.lognormal(math.log(12), 0.9, 200_000)
    truth = float(np.median(many)), float(np.minimum(many, 60).mean())
    held = np.zeros(2)
    for _ in range(80):
        times = source.lognormal(0, block_sigma, (blocks, 1)) * source.lognormal(
            math.log(12), 0.9, (blocks, 10)
        )
        some = lifetimes(
            np.minimum(times, 60).ravel(), (times < 60).ravel(), np.repeat(np.arange(blocks), 10)
        )
        found = median_time(some, source), restricted_mean(some, 60, source)
        held += [f.low <= true <= f.high for f, true in zip(found, truth, strict=True)]
    assert (held / 80 > 0.85).all()


times = st.lists(st.floats(0.01, 1e3), min_size=4, max_size=25)


@given(times, st.lists(st.floats(0.01, 1e3), max_size=10), st.floats(0.1, 100))
def test_a_change_of_unit_carries_through(happened, cut, scale):
    plain = life(happened, cut, blocks=4)
    scaled = life([t * scale for t in happened], [t * scale for t in cut], blocks=4)
    one, other = median_time(plain, rng()), median_time(scaled, rng())
    for end in ("value", "low", "high"):
        assert getattr(other, end) == pytest.approx(getattr(one, end) * scale)
    one, other = restricted_mean(plain, 500, rng()), restricted_mean(scaled, 500 * scale, rng())
    assert other.value == pytest.approx(one.value * scale)
    assert one.low is None or 0 <= one.low <= one.value <= one.high <= 500


@given(times, st.lists(st.floats(0.01, 1e3), max_size=10))
def test_a_longer_wait_is_never_shorter(happened, cut):
    shorter = life(happened, cut, blocks=4)
    longer = life([t + 1 for t in happened], [t + 1 for t in cut], blocks=4)
    assert median_time(longer, rng()).value >= median_time(shorter, rng()).value
    assert restricted_mean(longer, 100, rng()).value >= restricted_mean(shorter, 100, rng()).value - 1e-9


def test_many_times_in_many_blocks_do_not_take_the_product_of_both():
    """Dense, blocks by moments would be 800 MB: few of those places hold anything."""
    rng = np.random.default_rng(5)
    times = np.exp(rng.normal(0, 1, 100_000))
    life = lifetimes(times, times < 8, np.arange(times.size) % 500)
    tracemalloc.start()
    curve, peak = survival_curve(life), tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 2**20
    assert curve.share[-1] == pytest.approx((times >= 8).mean())


def test_times_that_are_alike_may_share_a_row():
    times, happened, block = [3.0, 3, 3, 5, 5, 9], [True] * 5 + [False], [0, 0, 1, 1, 1, 2]
    single = lifetimes(times, happened, block)
    shared = lifetimes([3.0, 3, 5, 9], [True] * 3 + [False], [0, 1, 1, 2], count=[2, 1, 2, 1])
    one, other = survival_curve(single), survival_curve(shared)
    assert (one.share.tolist(), one.at_risk.tolist()) == (other.share.tolist(), other.at_risk.tolist())
    for estimate in (lambda life, rng: restricted_mean(life, 6, rng), median_time):
        assert estimate(single, np.random.default_rng(1)) == estimate(shared, np.random.default_rng(1))
    assert single.fates(4)[1].tolist() == shared.fates(4)[1].tolist()


def test_intervals_of_times_in_buckets_are_wider_by_the_bucket():
    rng = np.random.default_rng(6)
    exact = lifetimes(np.exp(rng.normal(0, 1, 200)), np.ones(200), np.arange(200) % 10)
    for estimate in (lambda life, rng: restricted_mean(life, 6, rng), median_time):
        one, other = (
            estimate(life, np.random.default_rng(1)) for life in (exact, replace(exact, grain=0.01))
        )
        assert other.value == one.value
        assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=0.03)
        assert other.low < one.low < one.high < other.high


def test_intervals_of_very_many_different_times_are_nearly_those_of_all_of_them(monkeypatch):
    draw = rng(3)
    block = np.arange(6000) // 500
    times = 100 * np.exp(draw.normal(0, 0.3, 6000) + draw.normal(0, 0.1, 12)[block])
    some = lifetimes(np.minimum(times, 180), times < 180, block)
    fine = median_time(some, rng()), restricted_mean(some, 180, rng())
    monkeypatch.setattr(survival, "MOST_MOMENTS", 5000)
    many = replace(some)
    assert many.coarse.moments.size < many.moments.size / 2
    coarse = median_time(many, rng()), restricted_mean(many, 180, rng())
    for one, other in zip(fine, coarse, strict=True):
        assert other.value == one.value
        width = one.high - one.low
        assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=0.05 * width)
