import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.slopes import Climb, slope_of


def climb(values, n=None):
    places = np.arange(len(values), dtype=float) * 10 if n is None else np.asarray(n, dtype=float)
    return Climb(places, np.asarray(values, dtype=float))


def slope(*climbs, seed=1):
    return slope_of(climbs, np.random.default_rng(seed))


def noisy(rng, each, base, *, steps=21, noise=5.0):
    n = np.arange(steps) * 10.0
    return Climb(n, base + each * n + rng.normal(0, noise, n.size))


def test_one_staircase_is_scipys_theil_sen():
    rng = np.random.default_rng(3)
    one = noisy(rng, 2.0, 100.0)
    expected = stats.theilslopes(one.value, one.n, method="joint")
    found = slope(one)
    assert found.each.value == pytest.approx(expected[0])
    assert found.intercept == pytest.approx(expected[1])
    assert (found.each.low, found.each.high, found.blocks, found.points) == (None, None, 1, 21)


def test_the_median_of_slopes_within_staircases_by_hand():
    found = slope(climb([0, 10, 20]), climb([100, 130, 160]))
    assert found.each.value == pytest.approx(2.0)  # three slopes of 1 and three of 3
    assert found.each.low is None


def test_a_base_that_differs_between_staircases_cancels():
    found = slope(*(climb([base, base + 20, base + 40]) for base in (0, 500, 10_000)))
    assert (found.each.low, found.each.value, found.each.high) == pytest.approx((2, 2, 2))


def test_an_odd_step_does_not_matter():
    values = np.arange(11) * 20.0
    values[5] += 10_000
    assert slope(climb(values)).each.value == pytest.approx(2.0)


@pytest.mark.parametrize("climbs", [[], [climb([])], [climb([5.0])], [climb([5, 6], n=[10, 10])]])
def test_without_two_different_steps_there_is_nothing(climbs):
    found = slope(*climbs)
    assert (found.each.value, found.intercept, found.blocks) == (None, None, 0)


def test_a_staircase_with_a_single_step_is_left_out():
    assert slope(climb([0, 20, 40]), climb([7.0])).blocks == 1


@pytest.mark.parametrize("blocks", [3, 5, 10])
def test_the_interval_holds_the_truth_as_often_as_it_says(blocks):
    rng = np.random.default_rng(blocks)
    held = 0
    for _ in range(150):
        climbs = [noisy(rng, 2 * (1 + 0.05 * rng.normal()), 100 * rng.normal()) for _ in range(blocks)]
        each = slope_of(climbs, rng).each
        held += each.low <= 2 <= each.high
    assert held / 150 > 0.88


def test_many_staircases_take_fewer_draws_and_the_same_answer():
    rng = np.random.default_rng(5)
    climbs = [noisy(rng, 2.0, 0.0, steps=60) for _ in range(80)]
    each = slope_of(climbs, rng).each
    assert each.low < 2.0 < each.high
    assert each.high - each.low < 0.05


values = st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=12)


@given(st.lists(values, min_size=3, max_size=4), st.floats(0.1, 100), st.floats(-1e6, 1e6))
def test_a_scale_and_a_shift_carry_through(rows, scale, shift):
    plain = slope(*(climb(row) for row in rows)).each
    moved = slope(*(climb(np.array(row) * scale + shift) for row in rows)).each
    tolerance = {"rel": 1e-6, "abs": 1e-3 * scale}
    assert moved.value == pytest.approx(plain.value * scale, **tolerance)
    assert moved.low == pytest.approx(plain.low * scale, **tolerance)
    assert moved.high == pytest.approx(plain.high * scale, **tolerance)
