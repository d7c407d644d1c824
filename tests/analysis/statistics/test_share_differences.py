import math

import pytest

from analysis.statistics.share_differences import EffectiveShare, difference_p, share_difference


def test_the_published_example_comes_out():
    # Newcombe 1998, table II, (a): 56/70 against 48/80 by method 10
    found = share_difference(EffectiveShare(56 / 70, 70), EffectiveShare(48 / 80, 80))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_p_is_the_level_at_which_the_interval_touches_zero():
    other, baseline = EffectiveShare(0.2, 90), EffectiveShare(0.1, 110)
    p = difference_p(other, baseline)
    touching = share_difference(other, baseline, 1 - p)
    assert touching.low == pytest.approx(0, abs=1e-9)
    assert difference_p(baseline, other) == pytest.approx(p)


def test_nothing_failed_anywhere_is_no_difference_but_has_an_interval():
    nothing = EffectiveShare(0.0, 100)
    found = share_difference(nothing, nothing)
    assert found.value == 0
    assert found.high == pytest.approx(-(found.low or math.nan))
    assert 0.03 < (found.high or 0) < 0.04
    assert difference_p(nothing, nothing) == 1.0


def test_everything_against_nothing_is_certain():
    found = share_difference(EffectiveShare(1.0, 300), EffectiveShare(0.0, 300))
    assert found.high == 1.0
    assert difference_p(EffectiveShare(1.0, 300), EffectiveShare(0.0, 300)) < 1e-9
