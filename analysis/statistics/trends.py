"""How fast something grows within a trial, and what several trials say of it together."""

import numpy as np

from analysis.statistics.blocks import MINIMUM_BLOCKS, Floats, t_quantile
from analysis.statistics.proportions import Estimate

MOST_POINTS = 120
"""Of one line: pairs are quadratic in it, and more points of a slow line say little more."""


def theil_sen(times: Floats, values: Floats) -> float | None:
    """Slope of a line: the median over all pairs of points (Sen, JASA 63, 1968). None without a pair."""
    if times.size > MOST_POINTS:
        chosen = np.unique(np.linspace(0, times.size - 1, MOST_POINTS).round().astype(np.int64))
        times, values = times[chosen], values[chosen]
    first, second = np.triu_indices(times.size, 1)
    apart = times[second] - times[first]
    some = apart > 0
    if not some.any():
        return None
    return float(np.median((values[second] - values[first])[some] / apart[some]))


def mean_of_blocks(values: Floats) -> Estimate:
    """Mean of one number per block, with Student's interval; no interval below three blocks."""
    if not values.size:
        return Estimate(None, None, None)
    mean = float(values.mean())
    if values.size < MINIMUM_BLOCKS:
        return Estimate(mean, None, None)
    half = t_quantile(values.size - 1) * float(values.std(ddof=1)) / float(np.sqrt(values.size))
    return Estimate(mean, mean - half, mean + half)
