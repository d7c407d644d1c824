import numpy as np
import pytest
from scipy import stats

from analysis.statistics import resampling
from analysis.statistics.resampling import around, block_draws, mean_of_blocks


def test_every_resample_has_as_many_blocks():
    drawn = np.concatenate(list(block_draws(7, 10, np.random.default_rng(1))))
    assert drawn.shape == (resampling.DRAWS, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert drawn.mean() == pytest.approx(1)


def test_wide_draws_are_fewer_and_come_in_portions():
    portions = list(block_draws(3, 600_000, np.random.default_rng(1)))
    assert sum(len(portion) for portion in portions) == resampling.FEWEST_DRAWS
    assert all(len(portion) == 1 for portion in portions)


def test_a_resampled_mean_has_students_interval():
    values = np.array([3.0, 5, 4, 8, 6])
    weights = np.concatenate(list(block_draws(5, 5, np.random.default_rng(1))))
    found = around(float(values.mean()), weights @ values / 5, 5)
    exact = mean_of_blocks(values)
    scipys = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (exact.low, exact.high) == pytest.approx((scipys.low, scipys.high))
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), rel=0.1)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_below_three_blocks_there_is_no_interval(values):
    found = mean_of_blocks(np.array(values))
    assert (found.low, found.high) == (None, None)
    assert found.value == (None if not values else pytest.approx(np.mean(values)))
    assert around(1.0, np.ones(5), len(values)).low is None
