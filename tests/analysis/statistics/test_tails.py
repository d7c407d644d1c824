import numpy as np
import pytest

from analysis.statistics.blocks import blocked_sample
from analysis.statistics.comparison import paired_ratio
from analysis.statistics.quantiles import estimate_quantile
from analysis.statistics.tails import block_tails


def sample(rng, blocks=10, size=60, factor=1.0, moments=None):
    moments = np.zeros(blocks) if moments is None else moments
    values = factor * np.exp(rng.normal(0, 0.2, (blocks, size)) + moments[:, None])
    return blocked_sample(values.ravel(), np.repeat(np.arange(blocks), size))


def test_blocks_have_the_common_quantile_as_their_geometric_mean():
    one = sample(np.random.default_rng(1))
    found = block_tails(one, 0.95)
    assert found is not None
    whole = estimate_quantile(one, 0.95).value
    assert np.exp(np.log(found.medians).mean()) == pytest.approx(whole, rel=1e-9)


def test_nothing_where_few_values_lie_beyond_or_failures_do():
    rng = np.random.default_rng(2)
    assert block_tails(sample(rng), 0.99) is None
    failing = blocked_sample(np.where(rng.random(600) < 0.08, np.inf, 1.0), np.arange(600) // 60)
    assert block_tails(failing, 0.95) is None
    assert block_tails(sample(rng, blocks=2), 0.95) is None


def test_values_that_are_all_the_same_have_the_same_tail():
    same = blocked_sample(np.full(600, 3.0), np.arange(600) // 60)
    found = block_tails(same, 0.95)
    assert found is not None
    assert found.medians == pytest.approx(np.full(10, 3.0))


def test_alike_tails_seldom_differ_and_the_interval_holds_the_truth():
    rng = np.random.default_rng(3)
    missed, runs = 0, 200
    for _ in range(runs):
        moments = rng.normal(0, 0.05, 10)
        a = block_tails(sample(rng, moments=moments), 0.95)
        b = block_tails(sample(rng, factor=1.2, moments=moments + rng.normal(0, 0.03, 10)), 0.95)
        if a is None or b is None:
            runs -= 1
            continue
        found = paired_ratio(b, a, rng, draws=400)
        assert found.low is not None
        assert found.high is not None
        missed += not found.low <= 1.2 <= found.high
    assert runs > 100
    assert missed / runs <= 0.1
