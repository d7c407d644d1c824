"""Ratios of two runs: hosts cancel, claims are careful, and the truth holds at the standard design."""

import math

import numpy as np
import pytest

from analysis.statistics.between_runs import RUN_DRIFT, ratio_between_runs
from analysis.statistics.comparison import BlockMedians


def blocks_of(logs: dict[int, np.ndarray]) -> BlockMedians:
    keys = tuple((host, block) for host, values in logs.items() for block in range(values.size))
    values = np.exp(np.concatenate(list(logs.values())))
    return BlockMedians(keys, values, np.zeros((1, len(keys))), np.ones(len(keys), dtype=np.int64))


def run(rng, hosts, drift=RUN_DRIFT, sigma=0.06, effect=1.0, blocks=10):
    return blocks_of(
        {
            host: speed + math.log(effect) + rng.normal(0, drift) + rng.normal(0, sigma, blocks)
            for host, speed in enumerate(hosts)
        }
    )


def test_what_a_host_is_cancels():
    rng = np.random.default_rng(1)
    noise = [rng.normal(0, 0.01, 10) for _ in range(3)]
    slow = blocks_of({host: host * 2.0 + noise[host] for host in range(3)})
    found = ratio_between_runs(slow, slow)
    assert found.value == pytest.approx(1)
    assert found.p_value == pytest.approx(1)
    assert found.within is not None
    assert found.within[0] > 0.98


def test_claims_rest_on_an_interval_that_is_never_narrower():
    rng = np.random.default_rng(2)
    for hosts in (1, 2, 3, 8):
        for drift in (0, 0.02, 0.2):
            speeds = rng.normal(0, 0.1, hosts)
            found = ratio_between_runs(run(rng, speeds, drift), run(rng, speeds, drift))
            assert found.within is not None
            assert found.claim is not None
            assert found.claim[0] <= found.within[0] <= found.value <= found.within[1] <= found.claim[1]


def test_without_assumed_drift_one_host_has_the_interval_of_two_samples():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 0.05, 5), rng.normal(0.1, 0.05, 5)
    found = ratio_between_runs(blocks_of({0: b}), blocks_of({0: a}), drift=0.0)
    variance = (a.var(ddof=1) + b.var(ddof=1)) / 5
    df = variance**2 / (((a.var(ddof=1) / 5) ** 2 + (b.var(ddof=1) / 5) ** 2) / 4)
    from scipy import stats

    half = stats.t.ppf(0.975, df) * math.sqrt(variance)
    assert found.within is not None
    assert math.log(found.within[1]) == pytest.approx(b.mean() - a.mean() + half)


def test_neighbouring_blocks_that_resemble_each_other_widen_it():
    steps = np.repeat([-0.05, 0.05], 10)
    mixed = np.tile([-0.05, 0.05], 10)
    wide = ratio_between_runs(blocks_of({0: steps}), blocks_of({0: steps}), drift=0.0)
    narrow = ratio_between_runs(blocks_of({0: mixed}), blocks_of({0: mixed}), drift=0.0)
    assert wide.within is not None
    assert narrow.within is not None
    assert wide.within[1] - 1 > 2 * (narrow.within[1] - 1)


def test_without_a_common_host_samples_of_hosts_are_compared():
    rng = np.random.default_rng(4)
    a = blocks_of({host: rng.normal(0, 0.05, 5) for host in (0, 1, 2)})
    b = blocks_of({host: rng.normal(0.7, 0.05, 5) for host in (3, 4, 5)})
    found = ratio_between_runs(b, a)
    assert found.pairing == "none"
    assert found.value == pytest.approx(math.exp(0.7), rel=0.1)
    assert found.p_value is not None
    assert found.p_value < 0.01
    few = ratio_between_runs(b, blocks_of({0: rng.normal(0, 0.05, 5)}))
    assert few.within is None
    assert few.pairing == "none"


@pytest.mark.parametrize("bad", [0.0, math.inf, math.nan])
def test_a_value_that_has_no_logarithm_leaves_nothing(bad):
    good = blocks_of({0: np.zeros(5)})
    spoilt = BlockMedians(good.keys, np.array([1, 1, bad, 1, 1.0]), good.noise, good.sizes)
    assert ratio_between_runs(spoilt, good).value is None


def test_few_blocks_give_a_ratio_without_an_interval():
    two = blocks_of({0: np.array([0.1, 0.2])})
    found = ratio_between_runs(two, two)
    assert (found.value, found.within, found.p_value) == (1.0, None, None)
    nothing = BlockMedians((), np.zeros(0), np.zeros((1, 0)), np.zeros(0, dtype=np.int64))
    assert ratio_between_runs(nothing, two).value is None


def test_zero_variance_is_certain_only_without_drift():
    same, other = blocks_of({0: np.zeros(5)}), blocks_of({0: np.full(5, 0.03)})
    certain = ratio_between_runs(other, same, drift=0.0).p_value
    assert certain is not None
    assert certain < 1e-9
    doubted = ratio_between_runs(other, same).p_value
    assert doubted is not None
    assert doubted > 0.2


@pytest.mark.parametrize("hosts", [1, 4])
def test_runs_that_are_alike_seldom_differ(hosts):
    rng = np.random.default_rng([5, hosts])
    false = 0
    for _ in range(400):
        speeds = rng.normal(0, 0.1, hosts)
        found = ratio_between_runs(run(rng, speeds), run(rng, speeds))
        assert found.p_value is not None
        false += found.p_value <= 0.05
    assert false / 400 <= 0.07  # three standard errors above what is promised at most


def test_ten_percent_on_four_hosts_is_found():
    rng = np.random.default_rng(6)
    found = 0
    for _ in range(200):
        speeds = rng.normal(0, 0.1, 4)
        p = ratio_between_runs(run(rng, speeds, effect=1.1), run(rng, speeds)).p_value
        assert p is not None
        found += p <= 0.05
    assert found / 200 >= 0.85


def test_the_error_is_that_of_resampled_blocks():
    """Blocks drawn anew within every host on both sides: what the closed form stands for."""
    rng = np.random.default_rng(7)
    hosts, blocks = 3, 12
    sides = []
    for _ in range(2):
        noise = rng.normal(0, 0.05, (hosts, blocks))
        noise -= noise.mean(axis=1, keepdims=True)  # hosts alike: nothing between them
        sides.append(noise[:, np.argsort(rng.random(blocks))])
    drawn = np.mean(
        [
            [side[h][rng.integers(0, blocks, (4000, blocks))].mean(axis=1) for h in range(hosts)]
            for side in sides
        ],
        axis=1,
    )
    error = float((drawn[0] - drawn[1]).std()) * math.sqrt(blocks / (blocks - 1))
    below, above = (blocks_of(dict(enumerate(side))) for side in sides)
    found = ratio_between_runs(above, below, drift=0.0)
    assert found.within is not None
    assert math.log(found.within[1]) / error == pytest.approx(2.0, abs=0.15)  # t of about 66 degrees
