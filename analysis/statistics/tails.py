"""A tail quantile block by block: what each block adds to it, so that blocks can be paired."""

import math

import numpy as np

from analysis.statistics.blocks import BlockedSample
from analysis.statistics.comparison import BlockMedians
from analysis.statistics.quantiles import estimate_quantile

FEWEST_BEYOND = 10
"""Independent values beyond the quantile, at least: with fewer, no block says how much it varies."""


def block_tails(sample: BlockedSample, p: float) -> BlockMedians | None:
    """The quantile ``p`` of all values as the geometric mean of one value per block.

    A block is far too small to have a p99 of its own. Its value is the common quantile q times
    exp((p − F_b(q)) / f): the linear part of what the block does to the quantile, where F_b(q) is the
    share of its values up to q and f the density of the logarithm there (Bahadur, Annals of Mathematical
    Statistics 37, 1966). The density is the chord between the ends of the quantile's own interval, as in
    Woodruff (Journal of the American Statistical Association 47, 1952). None where fewer than
    ``FEWEST_BEYOND`` values lie beyond the quantile, counted at their effective number, where an end of
    its interval lies among failures, or where a value is not above 0.
    """
    found = estimate_quantile(sample, p)
    if found.value is None or found.low is None or found.high is None or found.n_eff is None:
        return None
    if min(found.n_eff, sample.n) * (1 - p) < FEWEST_BEYOND * (1 - 1e-9):
        return None
    if not math.isfinite(found.high) or found.low <= 0:
        return None
    upto = np.searchsorted(sample.values, [found.low, found.value, found.high], side="right")
    ranks = np.concatenate([[0], np.cumsum(sample.counts)])[upto] / sample.n
    rise = math.log(found.high / found.low)
    slope = rise / (ranks[2] - ranks[0]) if ranks[2] > ranks[0] else 0.0
    inside = np.arange(sample.values.size) < upto[1]
    sizes = sample.blocks.sizes
    hits = np.bincount(
        sample.block[inside], weights=sample.counts[inside].astype(np.float64), minlength=sizes.size
    )
    pull = (float(ranks[1]) * sizes - hits) / sizes.mean() * slope
    keys = zip(sample.blocks.hosts.tolist(), sample.blocks.numbers.tolist(), strict=True)
    values = found.value * np.exp(pull)
    return BlockMedians(tuple(keys), values, np.zeros((1, sizes.size)), sizes)
