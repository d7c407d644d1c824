"""Published examples, and values of libraries that share no code with ours, to the digits they print."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from analysis.statistics.blocks import blocked_sample
from analysis.statistics.knees import knee_of
from analysis.statistics.proportions import wilson
from analysis.statistics.quantiles import estimate_quantile
from analysis.statistics.slopes import Climb, slope_of
from analysis.statistics.survival import lifetimes, median_time, restricted_mean, survival_curve
from analysis.statistics.trends import theil_sen

REMISSION = [6, 6, 6, 7, 10, 13, 16, 22, 23]
REMISSION_CUT = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
"""Weeks in remission under 6-mercaptopurine: Freireich et al., Blood 21 (1963)."""
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
"""Without it: nobody is cut off."""


def rng():
    return np.random.default_rng(1)


def remission(blocks=21):
    times = [*REMISSION, *REMISSION_CUT]
    happened = [True] * len(REMISSION) + [False] * len(REMISSION_CUT)
    return lifetimes(times, happened, np.arange(len(times)) % blocks)


def test_the_curve_and_its_log_log_interval_are_scipys():
    curve = survival_curve(remission())
    scipys = stats.ecdf(stats.CensoredData(uncensored=REMISSION, right=REMISSION_CUT)).sf
    ends = scipys.confidence_interval(0.95, method="log-log")
    assert curve.share == pytest.approx(scipys.evaluate(curve.times), abs=1e-12)
    assert curve.low == pytest.approx(ends.low.evaluate(curve.times), abs=1e-9)
    assert curve.high == pytest.approx(ends.high.evaluate(curve.times), abs=1e-9)


def test_the_median_is_the_published_one():
    """Median remission 23 weeks, 8 under placebo; the log-log interval of the first begins at 13."""
    found = median_time(remission(), rng())
    assert found.value == 23
    assert found.low <= 13
    assert found.high == np.inf
    placebo = lifetimes(PLACEBO, [True] * 21, np.arange(21))
    assert median_time(placebo, rng()).value == 8
    curve = survival_curve(remission())
    assert curve.times[np.argmax(curve.low <= 0.5)] == 13


@pytest.mark.parametrize("horizon", [10, 23, 35])
def test_the_restricted_mean_is_the_integral_of_scipys_curve(horizon):
    scipys = stats.ecdf(stats.CensoredData(uncensored=REMISSION, right=REMISSION_CUT)).sf
    moments = sorted({*REMISSION, horizon})
    area, _ = integrate.quad(scipys.evaluate, 0, horizon, points=moments, limit=200)
    assert restricted_mean(remission(), horizon, rng()).value == pytest.approx(area, abs=1e-6)


def test_the_restricted_mean_is_the_published_one():
    """R's survival prints 23.29 weeks of 35; without censoring it is the mean, 8.67 weeks."""
    assert restricted_mean(remission(), 35, rng()).value == pytest.approx(23.29, abs=0.005)
    placebo = lifetimes(PLACEBO, [True] * 21, np.arange(21))
    assert restricted_mean(placebo, 35, rng()).value == pytest.approx(8.67, abs=0.005)


def test_the_restricted_mean_of_many_has_the_textbooks_standard_error():
    """Where the unrecovered are many, the interval is close to that of Irwin's variance."""
    source = np.random.default_rng(3)
    times = source.exponential(20, 600)
    some = lifetimes(np.minimum(times, 40), times < 40, np.arange(600) // 20)
    found = restricted_mean(some, 40, source)
    values = np.minimum(times, 40)
    half = 1.96 * values.std(ddof=1) / np.sqrt(600)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * half, rel=0.3)


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 7), (1, 7), (7, 7), (3, 30), (15, 148), (81, 263), (999, 1000), (0, 3000)]
)
def test_wilsons_interval_is_scipys(hits, n):
    expected = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [6, 9, 20, 59, 300])
@pytest.mark.parametrize("p", [0.5, 0.9, 0.95])
def test_order_statistics_are_those_of_scipys_quantile_test(n, p):
    """scipy bounds each tail by 2.5 %; where the upper one has no room we take the largest value."""
    values = np.random.default_rng(n).lognormal(size=n)
    found = estimate_quantile(blocked_sample(values, np.arange(n)), p)
    expected = stats.quantile_test(values, q=values.mean(), p=p).confidence_interval(0.95)
    if np.isfinite(expected.low) and np.isfinite(expected.high):
        assert (found.low, found.high) == (expected.low, expected.high)
    elif found.low is not None:
        assert found.high == values.max()
        below = int((values < found.low).sum())
        assert stats.binom.cdf(n - 1, n, p) - stats.binom.cdf(below, n, p) >= 0.95


def test_theil_and_sen_are_scipys():
    source = np.random.default_rng(4)
    n = np.arange(0, 201, 10.0)
    value = 100 + 3 * n + source.standard_t(2, n.size)
    expected = stats.theilslopes(value, n).slope
    assert slope_of([Climb(n, value)], rng()).each.value == pytest.approx(expected, rel=1e-12)
    assert theil_sen(n, value) == pytest.approx(expected, rel=1e-12)


def test_slopes_of_several_staircases_are_scipys_seasonal_ones():
    source = np.random.default_rng(5)
    n = np.arange(0, 101, 10.0)
    values = np.array([base + 2 * n + source.normal(0, 3, n.size) for base in (0, 500, 9000)])
    found = slope_of([Climb(n, value) for value in values], rng())
    expected = stats.mstats.sen_seasonal_slopes(values.T).inter_slope / 10
    assert found.each.value == pytest.approx(float(expected), rel=1e-9)


def test_the_knee_is_that_of_a_search_without_a_grid():
    """Two lines that meet, fitted by scipy's curve_fit from the best of many starts."""

    def two_lines(n, base, below, bend, at):
        return base + below * n + bend * np.maximum(0, n - at)

    source = np.random.default_rng(6)
    n = np.arange(0, 301, 10.0)
    value = two_lines(n, 5, 0.1, 0.4, 163) + source.normal(0, 2, n.size)
    fits = [
        optimize.curve_fit(two_lines, n, value, p0=(5, 0.1, 0.1, at))[0] for at in range(40, 280, 20)
    ]
    best = min(fits, key=lambda fit: float(((two_lines(n, *fit) - value) ** 2).sum()))
    found = knee_of([Climb(n, value)], rng())
    assert found.found
    assert found.at.value == pytest.approx(best[3], abs=1.3)  # the grid's step
    assert found.below == pytest.approx(best[1], rel=0.05)
    assert found.above == pytest.approx(best[1] + best[2], rel=0.02)
    line = stats.linregress(n, value)
    of_line = float(((line.intercept + line.slope * n - value) ** 2).sum())
    of_two = float(((two_lines(n, *best) - value) ** 2).sum())
    gain = n.size * np.log(of_line / of_two) - 2 * np.log(n.size)
    assert found.gain == pytest.approx(gain, rel=0.01)
