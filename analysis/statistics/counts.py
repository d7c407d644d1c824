"""Rare events: how many per unit of exposure, with an interval that also says something at zero."""

import numpy as np
from scipy import special

from analysis.statistics import LEVEL
from analysis.statistics.blocks import MINIMUM_BLOCKS, Floats
from analysis.statistics.proportions import Estimate


def poisson_interval(events: float, level: float = LEVEL) -> tuple[float, float]:
    """Exact interval of a Poisson mean (Garwood, Biometrika 28, 1936).

    At zero events all of the error lies above: −ln(1 − level), the rule of three.
    """
    if events <= 0:
        return 0.0, float(-np.log(1 - level))
    tail = (1 - level) / 2
    return float(special.gammaincinv(events, tail)), float(special.gammaincinv(events + 1, 1 - tail))


def estimate_events(counts: Floats, exposures: Floats) -> Estimate:
    """Events per unit of exposure over blocks.

    Where blocks differ by more than chance, the interval widens as if there were fewer events: counts
    and exposure are divided by Pearson's chi² over its degrees of freedom (quasi-Poisson; McCullagh &
    Nelder, Generalized Linear Models, 1989, §6.2.3), never by less than 1. With fewer than three blocks
    that widening is left out.
    """
    some = exposures > 0
    counts, exposures = counts[some].astype(np.float64), exposures[some].astype(np.float64)
    total, events = float(exposures.sum()), float(counts.sum())
    if not total:
        return Estimate(None, None, None)
    spread = 1.0
    if counts.size >= MINIMUM_BLOCKS and events > 0:
        expected = events / total * exposures
        chi2 = float(((counts - expected) ** 2 / expected).sum())
        spread = max(1.0, chi2 / (counts.size - 1))
    low, high = poisson_interval(events / spread)
    return Estimate(events / total, low * spread / total, high * spread / total)
