"""Drift, first blocks and first instances, resemblance, and where the variance is."""

import numpy as np
import pytest

from analysis.statistics.diagnostics import (
    BlockLogs,
    components,
    course_of,
    drift_of,
    first_block_of,
    first_values_of,
    neighbours_of,
)


def logs(values, hosts=None):
    """Ratios per block, of one host or of several, as logarithms."""
    table = np.atleast_2d(np.log(np.asarray(values, dtype=np.float64)))
    numbers, blocks = table.shape
    return BlockLogs(
        table.ravel(), np.repeat(np.arange(numbers), blocks), np.tile(np.arange(blocks), numbers)
    )


def course(*values):
    return course_of([logs(values)])


def test_a_course_is_the_mean_of_hosts_without_their_levels():
    found = course([1, 2, 4], [10, 20, 40])
    assert found.orders.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.means, np.log([0.5, 1, 2]), atol=1e-8)


def test_a_place_that_few_hosts_reached_is_left_out():
    many = logs([[1, 2, 3], [1, 2, 3], [1, 2, 3]])
    late = BlockLogs(np.array([9.0]), np.array([0]), np.array([7]))
    assert course_of([many, late]).orders.tolist() == [0, 1, 2]


def test_a_perfect_order_of_five_blocks_has_the_exact_chance():
    found = drift_of(course(1.1 ** np.arange(5)))
    assert found.strength == pytest.approx(1.0)
    assert found.p_value == pytest.approx(2 / 120)
    assert found.ratio == pytest.approx(1.1**4)


def test_four_blocks_are_too_few_for_an_order():
    few = course([1, 2, 3, 4])
    signs = (drift_of(few), first_block_of(few), neighbours_of(few, np.random.default_rng(1)))
    assert [sign.p_value for sign in signs] == [None] * 3


def test_what_does_not_move_gives_no_sign():
    still = course([7.3] * 10, [1.1] * 10)
    assert drift_of(still).p_value == 1.0
    assert drift_of(still).ratio == 1.0
    assert first_block_of(still).p_value == 1.0
    assert neighbours_of(still, np.random.default_rng(1)).p_value == 1.0


def test_a_slow_first_block_is_set_against_the_spread_of_the_others():
    found = first_block_of(course([1.5, 1.0, 1.1, 0.9, 1.0, 1.05, 0.95]))
    assert found.ratio == pytest.approx(1.5, rel=0.02)
    assert found.low > 1.1
    assert found.p_value < 0.01
    assert first_block_of(course([1.05, 1.0, 1.1, 0.9, 1.0, 1.05, 0.95])).p_value > 0.3


def test_neighbours_that_resemble_each_other_are_found():
    wave = np.exp(np.sin(np.arange(20) / 3))
    found = neighbours_of(course(wave), np.random.default_rng(1))
    assert found.strength > 0.7
    assert found.p_value < 0.01


def test_first_values_by_sign():
    found = first_values_of(np.log([1.3, 1.2, 1.4, 1.1, 1.5, 1.25]))
    assert found.p_value == pytest.approx(2 / 64)
    assert found.ratio == pytest.approx(np.sqrt(1.25 * 1.3))
    assert (found.low, found.high) == (pytest.approx(1.1), pytest.approx(1.5))
    assert first_values_of(np.log([1.3] * 5)).p_value is None
    assert first_values_of(np.zeros(9)).p_value == 1.0
    assert first_values_of(np.zeros(0)).ratio is None


def test_components_of_a_balanced_design_by_hand():
    # two hosts of two blocks of two values: (1, 3), (5, 7) and (11, 13), (15, 17)
    sizes, hosts = np.array([2, 2, 2, 2]), np.array([0, 0, 1, 1])
    means, squares = np.array([2.0, 6, 12, 16]), np.array([2.0, 2, 2, 2])
    found = components(sizes, means, squares, hosts)
    assert found.instance == pytest.approx(2.0)
    assert found.block == pytest.approx((16 - 2) / 2)
    assert found.host == pytest.approx((200 - 16) / 4)
    assert found.share(found.host) == pytest.approx(46 / 55)
    assert found.share(found.host, found.block) == pytest.approx(53 / 55)


def test_components_find_the_truth_of_unequal_sizes():
    rng = np.random.default_rng(7)
    hosts = np.repeat(np.arange(400), rng.integers(2, 6, 400))
    sizes = rng.integers(2, 9, hosts.size)
    centre = rng.normal(0, 3, 400)[hosts] + rng.normal(0, 2, hosts.size)
    values = [rng.normal(c, 1, n) for c, n in zip(centre, sizes, strict=True)]
    means = np.array([v.mean() for v in values])
    squares = np.array([((v - v.mean()) ** 2).sum() for v in values])
    found = components(sizes, means, squares, hosts)
    assert found.host == pytest.approx(9, rel=0.2)
    assert found.block == pytest.approx(4, rel=0.15)
    assert found.instance == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(
    ("sizes", "hosts", "known"),
    [
        ([3], [0], (False, False, True)),
        ([3, 3], [0, 0], (False, True, True)),
        ([3, 3], [0, 1], (True, False, True)),
        ([1, 1], [0, 1], (True, False, False)),
        ([1], [0], (False, False, False)),
    ],
)
def test_components_that_a_design_cannot_tell_are_missing(sizes, hosts, known):
    zeros = np.zeros(len(sizes))
    found = components(np.array(sizes), zeros, zeros, np.array(hosts))
    assert tuple(v is not None for v in (found.host, found.block, found.instance)) == known
    assert found.share(found.host) is None
