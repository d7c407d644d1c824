"""Many values in little memory: what rounding and counting leave of them."""

import math

import numpy as np
import pytest

from analysis.statistics.blocks import blocked_sample
from orchestrator.cli.serving.spread import Spread


def spread(*values: float) -> Spread:
    made = Spread()
    made.take(np.array(values, dtype=np.float64))
    return made


@pytest.mark.parametrize("p", [0.25, 0.5, 0.75, 0.99])
@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_quantiles_are_those_of_the_report(n: int, p: float) -> None:
    values = np.random.default_rng(n).integers(1, 999, n).astype(np.float64)
    values[: n // 5] = np.inf
    codes = np.zeros(n, dtype=np.int64)
    assert spread(*values).quantile(p) == blocked_sample(values, codes, codes).quantile(p)


def test_small_counts_stay_what_they_are_and_signs_and_zero_are_kept() -> None:
    assert sorted(spread(-41, 0, 41, 999).counts) == [-41, 0, 41, 999]
    assert sorted(spread(-123_456, 123_456).counts) == [-123_000, 123_000]


def test_what_cannot_be_drawn_is_no_value() -> None:
    assert spread(1e308, -1e308, math.nan, -math.inf).n == 0
    assert spread(5e-324, -5e-324).counts == {0: 2}


def test_memory_does_not_grow_with_the_number_of_values() -> None:
    made = spread(*np.random.default_rng(1).uniform(1e6, 1e9, 100_000))
    assert made.n == 100_000
    assert len(made.counts) <= 3 * 900


def test_a_curve_rises_from_nothing_and_goes_on_where_some_never_came() -> None:
    assert spread(10, 20).curve(80) == [(10, 0), (10, 0.5), (20, 1)]
    assert spread(10, math.inf).curve(80) == [(10, 0), (10, 0.5), (math.inf, 0.5)]
    assert spread(math.inf).curve(80) == [(0, 0), (math.inf, 0)]
    assert spread().curve(80) == [(0, 0)]


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    points = spread(*range(1, 900)).curve(80)
    assert len(points) < 100
    assert points[-1] == (899, 1)
