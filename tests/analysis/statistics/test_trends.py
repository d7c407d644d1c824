import numpy as np
import pytest
from scipy import stats

from analysis.statistics.resampling import mean_of_blocks
from analysis.statistics.trends import MOST_POINTS, theil_sen


def test_the_slope_is_that_of_scipy():
    rng = np.random.default_rng(1)
    times = np.arange(40.0)
    values = 0.3 * times + rng.standard_t(2, 40)
    assert theil_sen(times, values) == pytest.approx(stats.theilslopes(values, times).slope)


def test_a_few_wild_points_do_not_move_it():
    times = np.arange(50.0)
    values = 2 * times
    values[::10] = 1e6
    assert theil_sen(times, values) == pytest.approx(2)


def test_a_long_line_is_thinned():
    times = np.arange(50.0 * MOST_POINTS)
    assert theil_sen(times, -0.5 * times) == pytest.approx(-0.5)


@pytest.mark.parametrize("times", [[], [1.0], [2.0, 2.0]])
def test_without_two_moments_there_is_no_slope(times):
    assert theil_sen(np.array(times), np.ones(len(times))) is None


def test_a_mean_over_blocks_has_students_interval():
    values = np.array([1.0, 2.0, 4.0, 7.0])
    found = mean_of_blocks(values)
    low, high = stats.t.interval(0.95, 3, loc=3.5, scale=stats.sem(values))
    assert (found.value, found.low, found.high) == (3.5, pytest.approx(low), pytest.approx(high))


def test_below_three_blocks_there_is_no_interval():
    found = mean_of_blocks(np.array([1.0, 2.0]))
    assert (found.value, found.low, found.high) == (1.5, None, None)
    assert mean_of_blocks(np.array([])).value is None
