"""Two shares of attempts: their difference, its interval and the chance of it."""

import math
from dataclasses import dataclass

from analysis.statistics import LEVEL
from analysis.statistics.proportions import Estimate, wilson

_SMALLEST_P = 1e-12


@dataclass(frozen=True, slots=True)
class EffectiveShare:
    """A share, and the number of independent attempts that it is worth."""

    share: float
    n_eff: float


def share_difference(other: EffectiveShare, baseline: EffectiveShare, level: float = LEVEL) -> Estimate:
    """other − baseline, with an interval that also says something when nothing failed.

    Newcombe's hybrid of two Wilson intervals (Statistics in Medicine 17, 1998, method 10), each at its
    effective number. Sides that were measured in the same blocks resemble each other, which makes it
    wider than need be, never narrower.
    """
    (l1, u1), (l2, u2) = (
        wilson(side.share * side.n_eff, side.n_eff, level) for side in (other, baseline)
    )
    gap = other.share - baseline.share
    low = gap - math.hypot(other.share - l1, u2 - baseline.share)
    high = gap + math.hypot(u1 - other.share, baseline.share - l2)
    return Estimate(gap, max(-1.0, low), min(1.0, high))


def difference_p(other: EffectiveShare, baseline: EffectiveShare) -> float:
    """The smallest error level at which the interval leaves 0 out."""
    if not _excludes_zero(other, baseline, 0.999):
        return 1.0
    low, high = _SMALLEST_P, 0.999
    for _ in range(60):
        middle = math.sqrt(low * high)
        if _excludes_zero(other, baseline, middle):
            high = middle
        else:
            low = middle
    return high


def _excludes_zero(other: EffectiveShare, baseline: EffectiveShare, p: float) -> bool:
    found = share_difference(other, baseline, 1 - p)
    return found.low is not None and found.high is not None and not found.low <= 0 <= found.high
