import numpy as np
import pytest
from scipy import stats

from analysis.statistics import resampling
from analysis.statistics.resampling import Replication, around, block_draws, mean_of_blocks


def test_every_resample_has_as_many_blocks():
    drawn = np.concatenate(list(block_draws(Replication.alone(7), 10, np.random.default_rng(1))))
    assert drawn.shape == (resampling.DRAWS, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert drawn.mean() == pytest.approx(1)


def test_wide_draws_are_fewer_and_come_in_portions():
    portions = list(block_draws(Replication.alone(3), 600_000, np.random.default_rng(1)))
    assert sum(len(portion) for portion in portions) == resampling.FEWEST_DRAWS
    assert all(len(portion) == 1 for portion in portions)


def test_a_resampled_mean_has_students_interval():
    values = np.array([3.0, 5, 4, 8, 6])
    weights = np.concatenate(list(block_draws(Replication.alone(5), 5, np.random.default_rng(1))))
    found = around(float(values.mean()), weights @ values / 5, Replication.alone(5))
    exact = mean_of_blocks(values)
    scipys = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (exact.low, exact.high) == pytest.approx((scipys.low, scipys.high))
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), rel=0.1)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_below_three_blocks_there_is_no_interval(values):
    found = mean_of_blocks(np.array(values))
    assert (found.low, found.high) == (None, None)
    assert found.value == (None if not values else pytest.approx(np.mean(values)))
    assert around(1.0, np.ones(5), Replication.alone(len(values))).low is None


def test_blocks_are_drawn_within_their_host():
    replication = Replication.of([7, 7, 7, 9, 9])
    drawn = np.concatenate(list(block_draws(replication, 10, np.random.default_rng(1))))
    assert (drawn[:, :3].sum(axis=1) == 3).all()
    assert (drawn[:, 3:].sum(axis=1) == 2).all()
    assert (replication.df, replication.enough) == (3, True)


def test_hosts_with_a_block_each_are_the_blocks():
    assert Replication.of([4, 5, 6]).df == 2
    assert not Replication.of([4, 4, 5]).enough


def test_what_hosts_differ_by_is_no_noise():
    """Two hosts, alike within themselves: their mean is known as it is."""
    values = np.array([1.0, 1, 1, 9, 9, 9])
    apart = Replication.of([0, 0, 0, 1, 1, 1])
    weights = np.concatenate(list(block_draws(apart, 6, np.random.default_rng(1))))
    found = around(5.0, weights @ values / 6, apart)
    assert (found.low, found.high) == pytest.approx((5, 5))
