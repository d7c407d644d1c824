"""Whatever is measured, no statistic fails, warns, or gives NaN or a number that nobody can read.

Values are nothing, the same over and over, tied, tiny, huge, infinite (a failed attempt), in one block
or many, on one host or many. An end of an interval is a finite number or missing; infinite only where
infinite is a meaning: a quantile among failures, a median that was not reached, a peak beyond reach.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.statistics import counts, proportions, resampling, trends
from analysis.statistics.blocks import blocked_sample
from analysis.statistics.comparison import block_medians, paired_ratio
from analysis.statistics.knees import Reached, knee_of, latency_knee_of, limit_of
from analysis.statistics.quantiles import estimate_quantile
from analysis.statistics.slopes import Climb, slope_of
from analysis.statistics.survival import lifetimes, median_time, restricted_mean, survival_curve
from analysis.statistics.usl import Load, scaling_of

FINITE = st.one_of(st.sampled_from([0.0, 1.0, 1.0, 1e-9, 5.0, 7.0, 1e18]), st.floats(1e-9, 1e18))
SIGNED = st.one_of(FINITE, FINITE.map(lambda v: -v))
TIMED = st.one_of(FINITE, FINITE, st.just(math.inf))
"""Values of attempts: infinite is one that never got there."""
SMALL = st.integers(0, 3)
LEVELS = (1, 2, 3, 4, 8, 16, 32, 64)
FEW = settings(max_examples=60, deadline=None)


def rng():
    return np.random.default_rng(1)


def ordered(value, low, high, *, infinite=False):
    """Missing, or numbers in order."""
    known = [v for v in (low, value, high) if v is not None]
    assert not any(math.isnan(v) for v in known), known
    assert infinite or all(math.isfinite(v) for v in known), known
    assert (low is None) == (high is None)
    assert value is not None or low is None
    if low is not None:
        slack = 1e-9 * max(1e-300, *(abs(v) for v in known if math.isfinite(v)), 0.0)
        assert low <= value + slack
        assert value <= high + slack


def whole(found, **options):
    ordered(found.value, found.low, found.high, **options)


rows = st.lists(st.tuples(TIMED, SMALL, SMALL), max_size=30)


def columns(some):
    return [list(column) for column in zip(*some, strict=True)] or [[], [], []]


@FEW
@given(rows, st.sampled_from([0.5, 0.9, 0.99]))
def test_quantiles(some, p):
    value, block, host = columns(some)
    sample = blocked_sample(
        np.array(value, dtype=float), np.array(block, dtype=int), np.array(host, int)
    )
    whole(estimate_quantile(sample, p), infinite=True)


@FEW
@given(rows, rows)
def test_ratios(one, other):
    sides = []
    for some in (one, other):
        value, block, host = columns(some)
        sample = blocked_sample(np.array(value, float), np.array(block, int), np.array(host, int))
        sides.append(block_medians(sample, rng(), 100))
    found = paired_ratio(*sides, rng(), 100)
    whole(found)
    assert found.p_value is None or 0 <= found.p_value <= 1


@FEW
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), SMALL), max_size=8))
def test_shares(some):
    size, hits, host = columns([(max(a, b), min(a, b), h) for a, b, h in some])
    found = proportions.estimate_share(
        np.array(hits, float), np.array(size, float), np.array(host, float)
    )
    whole(found)
    assert found.value is None or 0 <= found.value <= 1
    assert found.low is None or 0 <= found.low <= found.high <= 1


@FEW
@given(st.lists(st.tuples(st.integers(0, 10**6), FINITE), max_size=8))
def test_rates_and_rare_events(some):
    count, span = columns(some)[:2] if some else ([], [])
    whole(proportions.estimate_rate(np.array(count, float), np.array(span, float)))
    whole(counts.estimate_events(np.array(count, float), np.array(span, float)))


@FEW
@given(st.lists(SIGNED, max_size=8))
def test_means_of_blocks(values):
    whole(resampling.mean_of_blocks(np.array(values, float)))
    found = trends.theil_sen(np.arange(len(values), dtype=float), np.array(values, float))
    assert found is None or math.isfinite(found)


some_steps = st.lists(st.tuples(st.integers(0, 12), FINITE), max_size=14)
all_steps = st.lists(FINITE, min_size=9, max_size=9).map(lambda values: list(enumerate(values)))
climbs = st.lists(st.one_of(some_steps, all_steps, all_steps), max_size=5)


def climbs_of(some, positive=False):
    found = [Climb(*(np.array(column, float) for column in columns(one)[:2])) for one in some]
    return [Climb(c.n, np.maximum(c.value, 1e-9)) for c in found] if positive else found


@FEW
@given(climbs)
def test_slopes(some):
    found = slope_of(climbs_of(some), rng())
    whole(found.each)
    assert found.intercept is None or math.isfinite(found.intercept)


@settings(max_examples=60, deadline=None)
@given(climbs, st.booleans())
def test_knees(some, latency):
    found = (latency_knee_of if latency else knee_of)(climbs_of(some, latency), rng())
    whole(found.at)
    for number in (found.gain, found.below, found.above):
        assert number is None or math.isfinite(number)


@FEW
@given(st.lists(st.tuples(FINITE, st.booleans()), max_size=12))
def test_limits(some):
    found = limit_of([Reached(n, more) for n, more in some])
    ends = [None if end is None else end.n for end in (found.value, found.low, found.high)]
    ordered(*ends)


@FEW
@given(st.lists(st.tuples(FINITE, st.booleans(), SMALL, SMALL), max_size=30), FINITE)
def test_survival(some, horizon):
    time, happened, block, host = [list(c) for c in zip(*some, strict=True)] or [[], [], [], []]
    life = lifetimes(time, happened, np.array(block, int) * 4 + np.array(host, int), host)
    whole(median_time(life, rng()), infinite=True)
    down = restricted_mean(life, horizon, rng())
    whole(down)
    assert down.high is None or 0 <= down.low <= down.high <= horizon
    curve = survival_curve(life)
    assert np.isfinite(curve.share).all()
    assert ((curve.share >= 0) & (curve.share <= 1)).all()


sparse = st.lists(st.tuples(st.sampled_from(LEVELS), FINITE), max_size=10)
dense = st.lists(FINITE, min_size=8, max_size=8).map(lambda rates: list(zip(LEVELS, rates, strict=True)))
loads = st.lists(st.one_of(sparse, dense, dense), max_size=5)


@settings(max_examples=60, deadline=None)
@given(loads)
def test_scaling(some):
    found = scaling_of([Load(*(np.array(c, float) for c in columns(one)[:2])) for one in some], rng())
    for estimate in (found.gamma, found.alpha, found.beta, found.peak_rate):
        whole(estimate)
    whole(found.peak_n, infinite=True)
    assert found.misfit is None or math.isfinite(found.misfit)


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("value", [0.0, 1.0, 1e18, math.inf])
def test_next_to_nothing_was_measured(n, value):
    sample = blocked_sample(np.full(n, value), np.arange(n))
    found = estimate_quantile(sample, 0.5)
    assert (found.value, found.low, found.high) == (value if n else None, None, None)
    both = block_medians(sample, rng())
    assert paired_ratio(both, both, rng()).low is None


def test_one_huge_outlier_moves_no_median_and_no_slope():
    source = rng()
    values = source.lognormal(0, 0.2, 300)
    block = np.repeat(np.arange(10), 30)
    plain = estimate_quantile(blocked_sample(values, block), 0.5)
    values[0] = 1e18
    shaken = estimate_quantile(blocked_sample(values, block), 0.5)
    assert shaken.value == pytest.approx(plain.value, rel=0.02)
    assert shaken.high == pytest.approx(plain.high, rel=0.02)
    steps = np.arange(0, 101, 10.0)
    some = [Climb(steps, 5 * steps + source.normal(0, 1, steps.size)) for _ in range(5)]
    some[0].value[3] = 1e18
    each = slope_of(some, rng()).each
    assert each.low <= 5 <= each.high
    assert each.high - each.low < 1
