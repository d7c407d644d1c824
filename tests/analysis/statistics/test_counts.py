import numpy as np
import pytest
from scipy import stats

from analysis.statistics.counts import estimate_events, poisson_interval


def test_the_interval_is_garwoods():
    low, high = poisson_interval(10)
    assert (low, high) == (pytest.approx(4.795, abs=1e-3), pytest.approx(18.39, abs=1e-2))


def test_at_zero_the_upper_end_is_the_rule_of_three():
    assert poisson_interval(0) == (0.0, pytest.approx(2.9957, abs=1e-4))
    found = estimate_events(np.zeros(4), np.full(4, 250.0))
    assert (found.value, found.low, found.high) == (0.0, 0.0, pytest.approx(2.9957e-3, rel=1e-4))


def test_without_exposure_nothing_is_said():
    found = estimate_events(np.zeros(2), np.zeros(2))
    assert (found.value, found.low, found.high) == (None, None, None)


@pytest.mark.parametrize("block_sigma", [0.0, 0.5])
def test_the_interval_holds_the_truth_also_where_blocks_differ(block_sigma):
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        exposures = rng.integers(200, 400, 12).astype(float)
        factor = np.exp(rng.normal(-(block_sigma**2) / 2, block_sigma, 12))
        counts = rng.poisson(0.03 * exposures * factor).astype(float)
        found = estimate_events(counts, exposures)
        held += found.low <= 0.03 <= found.high
    assert held >= stats.binom.ppf(0.001, 400, 0.91)
