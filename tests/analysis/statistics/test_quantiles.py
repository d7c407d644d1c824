import numpy as np
import pytest
from scipy import stats

from analysis.statistics.blocks import blocked_sample
from analysis.statistics.quantiles import estimate_quantile, interval_ranks, minimum_n

SIGN_TEST_RANKS = {
    6: (1, 6),
    7: (1, 7),
    8: (1, 8),
    9: (2, 8),
    10: (2, 9),
    11: (2, 10),
    12: (3, 10),
    15: (4, 12),
    20: (6, 15),
    25: (8, 18),
    30: (10, 21),
}
"""Ranks of the 95 % interval of the median that textbooks print for the sign test."""


@pytest.mark.parametrize(("n", "ranks"), SIGN_TEST_RANKS.items())
def test_ranks_of_the_median_are_those_of_the_sign_test(n, ranks):
    assert interval_ranks(n, 0.5) == ranks


@pytest.mark.parametrize(("p", "least"), [(0.5, 6), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_the_least_n_is_where_any_interval_can_have_the_level(p, least):
    """Independent of the code: all values of the sample, from least to largest, must cover."""
    assert minimum_n(p) == least
    assert 1 - p**least - (1 - p) ** least >= 0.95
    assert 1 - p ** (least - 1) - (1 - p) ** (least - 1) < 0.95


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 0.95, 0.99])
def test_ranks_cover_at_least_the_level_for_every_n(p):
    for n in [*range(2, 140), 299, 300, 333, 500, 1000, 4321]:
        ranks = interval_ranks(n, p)
        if ranks is None:
            assert 1 - p**n - (1 - p) ** n < 0.95
            continue
        low, high = ranks
        assert 1 <= low < high <= n
        covered = stats.binom.cdf(high - 1, n, p) - stats.binom.cdf(low - 1, n, p)
        assert covered >= 0.95 - 1e-12


def test_ranks_waste_nothing_where_both_tails_have_room():
    low, high = interval_ranks(1000, 0.5)
    assert stats.binom.cdf(low - 1, 1000, 0.5) <= 0.025 < stats.binom.cdf(low, 1000, 0.5)
    assert stats.binom.sf(high - 1, 1000, 0.5) <= 0.025 < stats.binom.sf(high - 2, 1000, 0.5)


@pytest.mark.parametrize(
    ("p", "expected"), [(0.25, 3), (0.5, 5.5), (0.75, 8), (0.9, 9.5), (0.95, 10), (0.05, 1)]
)
def test_quantiles_of_one_to_ten_are_those_of_definition_two(p, expected):
    assert blocked_sample(range(1, 11), [0] * 10).quantile(p) == expected


def test_multiplicities_count_like_repeated_values():
    plain = blocked_sample([3, 1, 1, 2, 2, 2, 9], [0, 1, 1, 2, 2, 2, 0])
    counted = blocked_sample([1, 3, 2, 9], [1, 0, 2, 0], counts=[2, 1, 3, 1])
    for p in (0.1, 0.5, 0.9):
        assert counted.quantile(p) == plain.quantile(p)
        assert counted.effective_n(p) == plain.effective_n(p)


def test_with_one_value_a_block_all_values_are_independent():
    values = np.arange(1.0, 31.0)
    found = estimate_quantile(blocked_sample(values, range(30)), 0.5)
    assert (found.value, found.low, found.high) == (15.5, 10, 21)
    assert found.n_eff == pytest.approx(30)


def test_below_the_least_n_there_is_no_interval():
    found = estimate_quantile(blocked_sample([1, 2, 3, 4, 5], range(5)), 0.5)
    assert (found.value, found.low, found.high) == (3, None, None)


def test_one_block_has_no_interval_however_many_values():
    found = estimate_quantile(blocked_sample(range(1000), [0] * 1000), 0.5)
    assert (found.low, found.n_eff) == (None, None)


def test_nothing_measured_gives_nothing():
    found = estimate_quantile(blocked_sample([], []), 0.5)
    assert (found.value, found.low, found.high, found.n) == (None, None, None, 0)


def test_failures_are_slower_than_everything():
    values = [1.0] * 60 + [np.inf] * 40
    found = estimate_quantile(blocked_sample(values, list(range(10)) * 10), 0.5)
    assert found.value == 1
    assert estimate_quantile(blocked_sample(values, list(range(10)) * 10), 0.9).value == np.inf


def test_without_variance_the_interval_is_the_value():
    found = estimate_quantile(blocked_sample([7.0] * 90, list(range(9)) * 10), 0.5)
    assert (found.value, found.low, found.high) == (7, 7, 7)


def _coverage(rng, icc, *, blocks=10, size=30, campaigns=400):
    hits = given = 0
    of_block = np.repeat(np.arange(blocks), size)
    for _ in range(campaigns):
        shared = np.repeat(rng.normal(size=blocks), size) * np.sqrt(icc)
        values = shared + rng.normal(size=blocks * size) * np.sqrt(1 - icc)
        found = estimate_quantile(blocked_sample(values, of_block), 0.5)
        if found.low is not None:
            given += 1
            hits += found.low <= 0 <= found.high
    return hits / given, given / campaigns


@pytest.mark.parametrize("icc", [0.0, 0.1, 0.5])
def test_intervals_cover_the_truth_however_much_blocks_differ(icc):
    covered, given = _coverage(np.random.default_rng(7), icc)
    assert 0.91 <= covered <= 0.99
    assert given > 0.95


def test_counting_instances_as_independent_would_not_cover():
    """Why the effective number is needed: the plain one misses the truth half of the time."""
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(200):
        values = np.sort(np.repeat(rng.normal(size=10), 30) * 0.7 + rng.normal(size=300) * 0.7)
        low, high = interval_ranks(300, 0.5)
        hits += values[low - 1] <= 0 <= values[high - 1]
    assert hits / 200 < 0.6


def test_values_that_are_equal_within_blocks_are_as_many_as_the_blocks():
    """Four blocks of one value each: that the largest is the 95 % quantile is no certainty."""
    sample = blocked_sample(np.repeat([1.0, 2.0, 3.0, 4.0], 20), np.repeat(np.arange(4), 20))
    found = estimate_quantile(sample, 0.95)
    assert found.value == 4
    assert found.n_eff < 6
    assert (found.low, found.high) == (None, None)
