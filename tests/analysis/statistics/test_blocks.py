import numpy as np
import pytest

from analysis.statistics.blocks import Blocks, blocked_sample, satterthwaite, t_quantile


def blocks_of(sizes, hosts=None):
    hosts = [0] * len(sizes) if hosts is None else hosts
    return Blocks(np.array(sizes), np.array(hosts), np.arange(len(sizes)))


def anova(groups):
    """Between and within variance of equal groups, straight from the textbook's sums of squares."""
    data = np.array(groups, dtype=float)
    count, size = data.shape
    between = size * ((data.mean(axis=1) - data.mean()) ** 2).sum() / (count - 1)
    within = ((data - data.mean(axis=1, keepdims=True)) ** 2).sum() / (count * (size - 1))
    return max(0.0, (between - within) / size), within


def test_icc_is_that_of_the_analysis_of_variance():
    rng = np.random.default_rng(1)
    groups = (rng.random((8, 12)) < rng.random((8, 1))).astype(float)
    between, within = anova(groups)
    found = blocks_of([12] * 8).icc(groups.sum(axis=1))
    assert found == pytest.approx(between / (between + within))


def test_effective_n_is_the_plain_one_when_blocks_do_not_differ():
    assert blocks_of([10] * 6).effective_n(np.array([5.0] * 6)) == pytest.approx(60)


def test_effective_n_is_at_most_the_number_of_blocks_when_blocks_are_all_that_differs():
    hits = np.array([10.0, 0, 10, 0, 10, 0])
    expected = 6 * (t_quantile(59) / t_quantile(5)) ** 2
    assert blocks_of([10] * 6).effective_n(hits) == pytest.approx(expected)


def test_the_formula_for_equal_blocks():
    hits, size = np.array([9.0, 4, 6, 2, 7, 8]), 10
    blocks = blocks_of([size] * 6)
    icc = blocks.icc(hits)
    deff = 1 + (size - 1) * icc
    share = size * icc / (size * icc + 1 - icc)
    df = satterthwaite(share, 5, 59)
    expected = 60 / deff * (t_quantile(59) / t_quantile(df)) ** 2
    assert blocks.effective_n(hits) == pytest.approx(expected)


def test_differences_between_hosts_are_no_noise():
    """Two hosts of different speed, alike within themselves: nothing is lost."""
    hits = np.array([10.0, 10, 10, 0, 0, 0])
    alone = blocks_of([10] * 6).effective_n(hits)
    apart = blocks_of([10] * 6, hosts=[0, 0, 0, 1, 1, 1]).effective_n(hits)
    assert apart == pytest.approx(60)
    assert alone < 7


def test_hosts_with_one_block_each_are_the_blocks():
    hits = np.array([10.0, 0, 10, 0])
    assert blocks_of([10] * 4, hosts=[0, 1, 2, 3]).effective_n(hits) < 4


@pytest.mark.parametrize("sizes", [[30], [15, 15]])
def test_below_three_blocks_nothing_is_known(sizes):
    assert blocks_of(sizes).effective_n(np.array(sizes) / 2) is None
    assert blocks_of(sizes).icc(np.array(sizes) / 2) is None


def test_blocks_of_a_sample_come_apart_sorted():
    sample = blocked_sample([5, 1, 4, 2, 3], [1, 0, 1, 0, 0], hosts=[7, 7, 7, 7, 8])
    parts = sample.by_block()
    assert {key: part.values.tolist() for key, part in parts.items()} == {
        (7, 0): [1, 2],
        (7, 1): [4, 5],
        (8, 0): [3],
    }
    assert [part.n for part in parts.values()] == [2, 2, 1]


def test_t_has_the_printed_values():
    assert [round(t_quantile(df), 3) for df in (1, 2, 9, 30)] == [12.706, 4.303, 2.262, 2.042]
