"""How fast something grows within a trial, and what several trials say of it together."""

import numpy as np

from analysis.statistics.blocks import Floats

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
