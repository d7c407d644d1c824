import math

import numpy as np
import pytest
from scipy import optimize

from analysis.statistics import usl
from analysis.statistics.resampling import Replication
from analysis.statistics.usl import FARTHEST, LEAST_LEVELS, Load, scaling_of

SDM91_LOAD = np.array([1, 18, 36, 72, 108, 144, 216.0])
SDM91_THROUGHPUT = np.array([64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2])
"""SPEC SDM91 on a SPARCcenter 2000, the example of Gunther's book and of the R package `usl`."""


def law(n, gamma=10.0, alpha=0.05, beta=0.002):
    n = np.asarray(n, dtype=float)
    return gamma * n / (1 + alpha * (n - 1) + beta * n * (n - 1))


def loads(rng, blocks=6, levels=(1, 2, 4, 8, 16, 32), noise=0.03, apart=0.0, **params):
    n = np.array(levels, dtype=float)
    return [
        Load(n, law(n, **params) * rng.lognormal(0, noise, n.size) * rng.lognormal(0, apart))
        for _ in range(blocks)
    ]


def rng(seed=1):
    return np.random.default_rng(seed)


def test_the_fit_is_the_published_one():
    """README of the R package usl 3: alpha 0.0277285, beta 0.0001044, gamma 89.9952330."""
    found = scaling_of([Load(SDM91_LOAD, SDM91_THROUGHPUT)], rng())
    assert found.model == "usl"
    assert found.alpha.value == pytest.approx(0.0277285, abs=5e-8)
    assert found.beta.value == pytest.approx(0.0001044, abs=5e-8)
    assert found.gamma.value == pytest.approx(89.99523, abs=1e-4)
    assert found.peak_n.value == pytest.approx(math.sqrt((1 - 0.0277285) / 0.00010436), abs=0.01)
    assert found.peak_n.low is found.beta.low is None  # one block says nothing of how blocks differ


def test_the_fit_is_that_of_scipys_curve_fit():
    some = loads(rng(3), blocks=4)
    n, rate = (np.concatenate([getattr(one, name) for one in some]) for name in ("n", "rate"))
    expected, _ = optimize.curve_fit(law, n, rate, p0=(10, 0.1, 0.01))
    found = scaling_of(some, rng())
    assert (found.gamma.value, found.alpha.value, found.beta.value) == pytest.approx(expected, rel=1e-4)


def test_intervals_hold_the_truth_and_say_something():
    held = np.zeros(3)
    for seed in range(40):
        found = scaling_of(loads(rng(seed), apart=0.05), rng(seed))
        peak = math.sqrt((1 - 0.05) / 0.002)
        for i, (one, true) in enumerate(
            ((found.beta, 0.002), (found.peak_n, peak), (found.peak_rate, law(peak)))
        ):
            assert one.high / one.low < 4
            held[i] += one.low <= true <= one.high
    assert (held >= 34).all()


def test_where_the_cost_of_each_other_cannot_be_told_from_nothing_there_is_no_peak():
    found = scaling_of(loads(rng(2), beta=0.0, alpha=0.1), rng())
    assert (found.model, found.beta.value) == ("amdahl", 0)
    assert found.alpha.low <= 0.1 <= found.alpha.high
    assert found.peak_n.value is found.peak_rate.value is None


def test_a_curve_is_read_up_to_twice_what_was_measured():
    found = scaling_of(loads(rng(2)), rng())
    assert found.reach == FARTHEST * 32
    assert found.rate_at(64) == pytest.approx(law(64), rel=0.05)
    assert found.rate_at(64.1) is None
    assert found.rate_at(0.5) is None


def test_a_peak_beyond_reach_is_not_given():
    found = scaling_of(loads(rng(2), blocks=10, noise=0.001, beta=2e-5, alpha=0.01), rng())
    assert found.model == "usl"
    assert found.beta.low > 0
    assert found.peak_n.value is found.peak_rate.value is None


@pytest.mark.parametrize("levels", [(), (1,), tuple(range(1, LEAST_LEVELS))])
def test_too_few_levels_have_no_fit(levels):
    found = scaling_of(loads(rng(), levels=levels), rng())
    assert (found.model, found.levels) == (None, len(levels))
    assert found.rate_at(1) is None


def test_a_rate_that_falls_from_the_first_peaks_at_one():
    n = np.arange(1.0, 9)
    found = scaling_of([Load(n, 10 / n)] * 3, rng())
    assert found.peak_n.value is None or 1 <= found.peak_n.low <= found.peak_n.value <= 2


def test_blocks_that_lack_levels_count_with_what_they_have():
    some = loads(rng(4), blocks=5)
    some[0] = Load(some[0].n[:3], some[0].rate[:3])
    found = scaling_of(some, rng())
    assert found.blocks == 5
    assert found.beta.low <= 0.002 <= found.beta.high


def test_a_unit_of_the_rate_carries_through():
    some = loads(rng(4))
    plain = scaling_of(some, rng())
    scaled = scaling_of([Load(one.n, one.rate * 1e6) for one in some], rng())
    assert scaled.gamma.value == pytest.approx(plain.gamma.value * 1e6)
    assert scaled.peak_rate.high == pytest.approx(plain.peak_rate.high * 1e6)
    assert scaled.alpha == pytest.approx(plain.alpha) or scaled.alpha.low == pytest.approx(
        plain.alpha.low
    )


def test_nothing_ready_has_no_fit():
    n = np.arange(1.0, 9)
    assert scaling_of([Load(n, 0 * n)] * 3, rng()).model is None


def test_fits_of_resamples_are_those_of_scipy():
    """All at once and from the same start, they end where a search of its own ends."""
    some = loads(rng(8), blocks=5, noise=0.1)
    levels = some[0].n
    sums = np.array([one.rate for one in some])
    data = usl._Data(levels, sums, np.ones_like(sums), Replication.alone(5))
    weights = rng(1).multinomial(5, [0.2] * 5, size=30).astype(float)
    for free in (2, 3):
        found = data.refit(data.fit(free), weights, free)
        for row, params in zip(weights, found, strict=True):
            drawn = usl._Data(
                levels, row[:, None] * sums, row[:, None] * np.ones_like(sums), data.replication
            )
            assert params == pytest.approx(drawn.fit(free), rel=1e-3, abs=1e-6)
