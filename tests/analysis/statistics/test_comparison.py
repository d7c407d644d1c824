import itertools
from collections import Counter

import numpy as np
import pytest

from analysis.statistics import comparison
from analysis.statistics.blocks import blocked_sample
from analysis.statistics.comparison import (
    Ratio,
    block_medians,
    holm,
    paired_ratio,
    verdict_word,
)


def compare(other, baseline, seed=1):
    """Arrays of blocks by instances."""
    rng = np.random.default_rng(seed)
    sides = []
    for data in (np.asarray(other, float), np.asarray(baseline, float)):
        of_block = np.repeat(np.arange(data.shape[0]), data.shape[1])
        sides.append(block_medians(blocked_sample(data.ravel(), of_block), rng))
    return paired_ratio(*sides, rng)


def campaign(rng, effect=1.0, *, blocks=10, size=30, drift=0.3, apart=0.05, spread=0.2):
    """Two alternatives under the same host drift."""
    shared = rng.normal(0, drift, (blocks, 1))
    other = shared + rng.normal(0, apart, (blocks, 1)) + rng.normal(0, spread, (blocks, size))
    baseline = shared + rng.normal(0, spread, (blocks, size))
    return effect * np.exp(other), np.exp(baseline)


@pytest.mark.parametrize("n", [4, 5])
def test_drawn_medians_have_the_distribution_of_all_resamples(n):
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])[:n]
    every = Counter(float(np.median(r)) for r in itertools.product(values, repeat=n))
    drawn = Counter(
        comparison._median_draws(
            blocked_sample(values, [0] * n), np.random.default_rng(3), 40_000
        ).tolist()
    )
    assert set(drawn) <= set(every)
    for median, count in every.items():
        assert drawn[median] / 40_000 == pytest.approx(count / n**n, abs=0.01)


def test_the_estimate_is_the_geometric_mean_of_block_ratios():
    found = compare([[2, 2, 2], [8, 8, 8], [4, 4, 4]], [[1, 1, 1], [1, 1, 1], [1, 1, 1]])
    assert found.value == pytest.approx(4)
    assert found.blocks == 3


def test_what_a_block_does_to_both_cancels():
    rng = np.random.default_rng(5)
    quiet = compare(*campaign(rng, 1.2, drift=0.0))
    rng = np.random.default_rng(5)
    shaken = compare(*campaign(rng, 1.2, drift=3.0))
    assert np.log(shaken.high / shaken.low) == pytest.approx(np.log(quiet.high / quiet.low), rel=0.05)


def test_intervals_cover_the_truth_and_nothing_is_found_where_nothing_is():
    rng, hits, claims = np.random.default_rng(11), 0, 0
    for _ in range(250):
        found = compare(*campaign(rng))
        hits += found.low <= 1 <= found.high
        claims += verdict_word(found, found.p_value) in ("faster", "slower")
    assert 0.92 <= hits / 250 <= 0.99
    assert claims / 250 <= 0.07


def test_an_effect_of_a_tenth_is_found():
    rng = np.random.default_rng(12)
    found = [compare(*campaign(rng, 1.1)) for _ in range(60)]
    words = Counter(verdict_word(ratio, ratio.p_value) for ratio in found)
    assert words["slower"] >= 0.8 * 60
    assert words["faster"] == 0


def test_one_seed_gives_one_answer():
    rng = np.random.default_rng(13)
    data = campaign(rng)
    assert compare(*data) == compare(*data)


@pytest.mark.parametrize("blocks", [1, 2])
def test_too_few_blocks_give_a_ratio_without_a_claim(blocks):
    found = compare(np.full((blocks, 5), 2.0), np.ones((blocks, 5)))
    assert (found.value, found.low, found.p_value) == (pytest.approx(2), None, None)
    assert verdict_word(found, None) == "undecided"


def test_no_shared_block_no_ratio():
    rng = np.random.default_rng(1)
    one = block_medians(blocked_sample([1, 2], [0, 0]), rng)
    other = block_medians(blocked_sample([1, 2], [1, 1]), rng)
    assert paired_ratio(one, other, rng).value is None


def test_a_median_among_failures_has_no_ratio():
    assert compare([[np.inf] * 3] * 4, [[1, 1, 1]] * 4).value is None


def test_nothing_measured_has_no_ratio():
    rng = np.random.default_rng(1)
    empty = block_medians(blocked_sample([], []), rng)
    assert paired_ratio(empty, empty, rng).blocks == 0


def test_without_any_variance_the_answer_is_exact():
    same = compare(np.full((5, 6), 3.0), np.full((5, 6), 3.0))
    assert (same.value, same.low, same.high, same.p_value) == (1, 1, 1, 1)
    assert verdict_word(same, same.p_value) == "equivalent"
    double = compare(np.full((5, 6), 6.0), np.full((5, 6), 3.0))
    assert verdict_word(double, double.p_value) == "slower"


def test_holm_is_the_printed_example():
    """R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_has_no_p_value():
    assert holm([None, 0.04]) == [None, 0.04]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("low", "high", "p", "word"),
    [
        (1.2, 1.5, 0.001, "slower"),
        (0.5, 0.8, 0.001, "faster"),
        (0.97, 1.03, 0.9, "equivalent"),
        (1.01, 1.03, 0.001, "equivalent"),
        (0.9, 1.2, 0.5, "undecided"),
        (1.02, 1.2, 0.07, "undecided"),
    ],
)
def test_words_follow_from_interval_and_corrected_p(low, high, p, word):
    ratio = Ratio(np.sqrt(low * high), low, high, p, 10, 300)
    assert verdict_word(ratio, p) == word
