"""Resampling whole blocks, and the interval that so few of them allow."""

import math
from collections.abc import Iterator

import numpy as np

from analysis.statistics.blocks import MINIMUM_BLOCKS, Floats, t_quantile
from analysis.statistics.proportions import Estimate

DRAWS = 2000
"""Bootstrap draws."""
FEWEST_DRAWS = 200
_NUMBERS_IN_ALL, _NUMBERS_AT_ONCE = 100_000_000, 1_000_000
"""Numbers that all draws together, and those of one portion, may take: bounds time and memory."""


def block_draws(blocks: int, width: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each of ``blocks`` is in a resample with replacement: portions of draws × blocks.

    ``width`` is how many numbers the caller makes of one draw. Where that is many, there are fewer
    draws, but never below ``FEWEST_DRAWS``.
    """
    draws = max(FEWEST_DRAWS, min(DRAWS, _NUMBERS_IN_ALL // max(1, width)))
    step = max(1, _NUMBERS_AT_ONCE // max(1, width, blocks))
    for begun in range(0, draws, step):
        size = min(step, draws - begun)
        yield rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=size).astype(np.float64)


def around(value: float, draws: Floats, blocks: int) -> Estimate:
    """A value with the interval that resampled values of it give. None below three blocks.

    The bootstrap's standard error is that of a population of ``blocks`` values, hence the factor
    b / (b − 1); Student's t allows for knowing it from few blocks (Hesterberg, The American Statistician
    69, 2015, calls the bootstrap too narrow by just these two).
    """
    if blocks < MINIMUM_BLOCKS:
        return Estimate(value, None, None)
    error = float(draws.std()) * math.sqrt(blocks / (blocks - 1))
    half = t_quantile(blocks - 1) * error
    return Estimate(value, value - half, value + half)


def mean_of_blocks(values: Floats) -> Estimate:
    """Mean of one value per block, with Student's interval; None without values, or below three."""
    if not values.size:
        return Estimate(None, None, None)
    mean = float(values.mean())
    if values.size < MINIMUM_BLOCKS:
        return Estimate(mean, None, None)
    half = t_quantile(values.size - 1) * float(values.std(ddof=1)) / math.sqrt(values.size)
    return Estimate(mean, mean - half, mean + half)
