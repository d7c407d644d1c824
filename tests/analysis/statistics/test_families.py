import numpy as np
import pytest

from analysis.statistics.comparison import holm
from analysis.statistics.families import weighted_holm


def test_equal_weights_are_holm():
    p_values = [0.01, None, 0.04, 0.03, 0.005]
    assert weighted_holm(p_values, [2.0] * 5) == pytest.approx(holm(p_values))


def test_a_light_test_costs_a_heavy_one_little():
    heavy = weighted_holm([0.02, *[0.9] * 50], [1.0, *[0.005] * 50])[0]
    assert heavy == pytest.approx(0.02 * 1.25)
    assert weighted_holm([0.02, *[0.9] * 50], [1.0] * 51)[0] == 1.0


def test_the_whole_family_errs_in_five_percent():
    rng = np.random.default_rng(1)
    weights = [1.0, 1.0, 0.1, 0.1, 0.1]
    false = sum(
        min(p for p in weighted_holm(list(rng.random(5)), weights) if p is not None) <= 0.05
        for _ in range(4000)
    )
    assert 0.035 < false / 4000 < 0.06


def test_nothing_to_adjust():
    assert weighted_holm([], []) == []
    assert weighted_holm([None], [1.0]) == [None]
