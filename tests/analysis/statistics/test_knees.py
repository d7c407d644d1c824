import numpy as np
import pytest

from analysis.statistics.knees import BIC_MARGIN, Reached, knee_of, latency_knee_of, limit_of
from analysis.statistics.slopes import Climb


def bent(rng, knee=None, *, steps=31, below=0.001, above=0.01, noise=0.05):
    n = np.arange(steps) * 10.0
    beyond = 0 if knee is None else np.maximum(0, n - knee)
    return Climb(n, rng.normal() + below * n + above * beyond + rng.normal(0, noise, n.size))


def found_in(blocks, knee, times, seed=1):
    rng = np.random.default_rng(seed)
    return [knee_of([bent(rng, knee) for _ in range(blocks)], rng) for _ in range(times)]


@pytest.mark.parametrize("blocks", [1, 3, 5])
def test_a_bend_is_found_where_it_is(blocks):
    knees = found_in(blocks, 150, 60)
    assert all(k.found and k.gain > BIC_MARGIN for k in knees)
    assert np.median([k.at.value for k in knees]) == pytest.approx(150, abs=4)
    assert np.median([k.below for k in knees]) == pytest.approx(0.001, abs=2e-4)
    assert np.median([k.above for k in knees]) == pytest.approx(0.011, abs=5e-4)
    if blocks >= 3:
        assert np.mean([k.at.low <= 150 <= k.at.high for k in knees]) > 0.85
    else:
        assert all(k.at.low is None for k in knees)


@pytest.mark.parametrize("blocks", [1, 5])
def test_a_noisy_line_has_no_bend(blocks):
    knees = found_in(blocks, None, 200)
    assert sum(k.found for k in knees) <= 6
    straight = [k for k in knees if not k.found]
    assert all(k.at.value is None and k.above is None for k in straight)
    assert np.median([k.below for k in straight]) == pytest.approx(0.001, abs=2e-4)


@pytest.mark.parametrize("value", [np.zeros(20), np.arange(20) * 3.0, np.full(20, 1e12)])
def test_a_line_without_noise_has_no_bend(value):
    found = knee_of([Climb(np.arange(20.0), value)] * 3, np.random.default_rng(1))
    assert not found.found


def test_two_lines_without_noise_are_found():
    n = np.arange(0, 101, 5.0)
    climbs = [Climb(n, b + n + 4 * np.maximum(0, n - 50)) for b in (0, 10, 20)]
    found = knee_of(climbs, np.random.default_rng(1))
    assert found.found
    assert found.at.value == pytest.approx(50, abs=1)
    assert (found.below, found.above) == pytest.approx((1, 5), abs=0.2)


def test_a_curve_that_flattens_has_no_knee():
    rng = np.random.default_rng(4)
    found = knee_of([bent(rng, 100, below=0.02, above=-0.02) for _ in range(5)], rng)
    assert not found.found
    assert found.below == pytest.approx(0.004, abs=0.003)


def growing(rng, knee, *, factor, noise=0.03, base=8e6):
    """Latency that grows by a factor of exp(0.01) per instance beyond the knee, or in proportion."""
    n = np.arange(10, 131, 10.0)
    beyond = np.maximum(0, n - knee) if knee else 0 * n
    shape = np.exp(0.01 * beyond) if factor else 1 + beyond / 60
    return Climb(n, base * rng.lognormal(0, 0.2) * shape * rng.lognormal(0, noise, n.size))


@pytest.mark.parametrize("factor", [False, True])
def test_the_knee_of_a_latency_is_found_however_it_grows(factor):
    """In proportion it is straight as it stands, by a factor on a logarithm: neither is biased."""
    rng = np.random.default_rng(9)
    found = [
        latency_knee_of([growing(rng, 60, factor=factor) for _ in range(8)], rng) for _ in range(40)
    ]
    assert all(k.found for k in found)
    assert np.mean([k.at.value for k in found]) == pytest.approx(60, abs=1.0)
    assert np.mean([k.at.low <= 60 <= k.at.high for k in found]) >= 0.88


def test_a_latency_on_a_logarithm_alone_would_bend_too_early():
    """Why two scales are tried."""
    rng = np.random.default_rng(9)
    climbs = [[growing(rng, 60, factor=False) for _ in range(8)] for _ in range(10)]
    logs = [knee_of([Climb(c.n, np.log(c.value)) for c in some], rng).at.value for some in climbs]
    assert np.mean(logs) < 58


@pytest.mark.parametrize("factor", [False, True])
def test_a_latency_that_does_not_bend_has_no_knee(factor):
    rng = np.random.default_rng(10)
    n = np.arange(10, 131, 10.0)
    shape = np.exp(0.01 * n) if factor else 1 + n / 100
    found = [
        latency_knee_of([Climb(n, 5e6 * shape * rng.lognormal(0, 0.05, n.size)) for _ in range(5)], rng)
        for _ in range(100)
    ]
    assert sum(k.found for k in found) <= 5


def test_a_unit_changes_no_knee_of_a_latency():
    rng = np.random.default_rng(3)
    climbs = [growing(rng, 60, factor=False) for _ in range(4)]
    one = latency_knee_of(climbs, np.random.default_rng(1))
    other = latency_knee_of([Climb(c.n, c.value / 1e6) for c in climbs], np.random.default_rng(1))
    assert (one.at.value, one.below, one.above) == pytest.approx(
        (other.at.value, other.below, other.above)
    )


def test_too_few_steps_give_the_line_only():
    rng = np.random.default_rng(1)
    found = knee_of([Climb(np.arange(5.0), np.array([0, 1, 2, 30, 60.0]))], rng)
    assert (found.found, found.gain, found.above) == (False, None, None)
    assert found.below == pytest.approx(14.9)
    assert knee_of([], rng).below is None
    assert knee_of([Climb(np.array([3.0]), np.array([3.0]))], rng).below is None


def limit(*entries):
    return limit_of([Reached(float(n), at_least) for n, at_least in entries])


def test_the_limit_is_the_median_that_was_really_reached():
    found = limit((100, False), (120, False), (140, False), (90, False))
    assert found.value == Reached(100.0, False)
    assert found.low is found.high is None


def test_the_interval_of_a_limit_is_that_of_the_sign_test():
    """Ranks 1 and 6 of six, 2 and 9 of ten."""
    assert [
        e.n
        for e in (
            limit(*[(n, False) for n in range(6)]).low,
            limit(*[(n, False) for n in range(6)]).high,
        )
    ] == [0, 5]
    ten = limit(*[(n, False) for n in range(10)])
    assert (ten.low.n, ten.value.n, ten.high.n) == (1, 4, 8)


def test_a_limit_that_a_guard_rail_ended_is_a_lower_bound():
    found = limit(*[(200, True)] * 4, (180, False), (190, False))
    assert found.value == Reached(200.0, True)
    assert found.low == Reached(180.0, False)
    assert found.high.at_least


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_few_staircases_have_a_limit_but_no_interval(blocks):
    found = limit(*[(50, False)] * blocks)
    assert (found.value, found.low, found.high) == (Reached(50.0, False), None, None)


def test_no_staircase_no_limit():
    assert limit().value is None


def test_the_interval_of_a_limit_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        drawn = np.round(rng.normal(100, 10, 9), -1)
        found = limit_of([Reached(float(n), False) for n in drawn])
        held += found.low.n <= 100 <= found.high.n
    assert held / 200 > 0.9
