import numpy as np
import pytest

from analysis.statistics.proportions import estimate_rate, estimate_share, wilson

NEWCOMBE = {
    (81, 263): (0.2553, 0.3662),
    (15, 148): (0.0624, 0.1605),
    (0, 20): (0.0, 0.1611),
    (1, 29): (0.0061, 0.1718),
}
"""Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""


@pytest.mark.parametrize(("counts", "interval"), NEWCOMBE.items())
def test_wilson_is_the_published_one(counts, interval):
    assert wilson(*counts) == pytest.approx(interval, abs=5e-5)


def test_wilson_stays_within_nothing_and_everything():
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1


def test_failures_that_come_together_say_less():
    sizes, hosts = np.full(10, 30.0), np.zeros(10)
    together = estimate_share(np.array([30.0, *[0] * 9]), sizes, hosts)
    spread = estimate_share(np.full(10, 3.0), sizes, hosts)
    assert together.value == spread.value == pytest.approx(0.1)
    assert spread.low == pytest.approx(wilson(30, 300)[0])
    assert together.high - together.low > 2 * (spread.high - spread.low)


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_share_from_too_few_blocks_has_no_interval(blocks):
    found = estimate_share(np.full(blocks, 3.0), np.full(blocks, 30.0), np.zeros(blocks))
    assert (found.value, found.low, found.high) == (pytest.approx(0.1), None, None)


def test_no_attempts_no_share():
    assert estimate_share(np.zeros(4), np.zeros(4), np.zeros(4)).value is None


def test_a_rate_is_total_count_over_total_time():
    found = estimate_rate(np.array([10.0, 20, 30]), np.array([1.0, 4, 5]))
    assert found.value == pytest.approx(6)
    assert found.low < 6 < found.high


def test_a_steady_rate_is_certain():
    found = estimate_rate(np.array([10.0, 20, 30]), np.array([1.0, 2, 3]))
    assert (found.low, found.high) == (pytest.approx(10), pytest.approx(10))


def test_no_time_no_rate():
    assert estimate_rate(np.array([0.0]), np.array([0.0])).value is None
