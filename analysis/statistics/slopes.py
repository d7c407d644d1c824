"""What one instance more costs: a robust slope over staircases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.blocks import Floats
from analysis.statistics.proportions import Estimate
from analysis.statistics.resampling import Replication, around, block_draws


@dataclass(frozen=True)
class Climb:
    """What was observed at the steps of one staircase: the block of everything about density."""

    n: Floats
    """Instances that ran at each step."""
    value: Floats
    """What was observed there: bytes, processors, nanoseconds."""


@dataclass(frozen=True, slots=True)
class Slope:
    """What one instance more costs, in the unit of the value."""

    each: Estimate
    intercept: float | None
    """Where the line meets no instance."""
    blocks: int
    points: int


def slope_of(climbs: Sequence[Climb], rng: np.random.Generator) -> Slope:
    """Theil–Sen slope over all staircases, its interval from resampled staircases.

    The median of the slopes between any two steps of the same staircase: with one staircase the
    estimator of Theil (1950) and Sen (Journal of the American Statistical Association 63, 1968), with
    several that of Hirsch, Slack & Smith (Water Resources Research 18, 1982), who take a season where we
    take a block: a base that differs between blocks cancels. The intercept is the median of what the
    slope leaves over (Conover, Practical Nonparametric Statistics, 1980). No interval below three
    staircases, nothing at all without two different steps.
    """
    usable = [climb for climb in climbs if np.unique(climb.n).size > 1]
    points = sum(climb.n.size for climb in usable)
    if not usable:
        return Slope(Estimate(None, None, None), None, 0, 0)
    pairs = [_pairwise(climb) for climb in usable]
    slopes = np.concatenate(pairs)
    order = np.argsort(slopes, kind="stable")
    block = np.repeat(np.arange(len(pairs)), [p.size for p in pairs])[order]
    value = float(np.median(slopes))
    replication = Replication.alone(len(usable))
    drawn = [
        slopes[order][_middle(weights[:, block])]
        for weights in block_draws(replication, slopes.size, rng)
    ]
    left = np.concatenate([climb.value - value * climb.n for climb in usable])
    each = around(value, np.concatenate(drawn), replication)
    return Slope(each, float(np.median(left)), len(usable), points)


def _pairwise(climb: Climb) -> Floats:
    """Slopes between any two steps with different numbers of instances."""
    one, other = np.triu_indices(climb.n.size, k=1)
    run = climb.n[other] - climb.n[one]
    rise = climb.value[other] - climb.value[one]
    return np.asarray(rise[run != 0] / run[run != 0], dtype=np.float64)


def _middle(weights: Floats) -> Floats:
    """Place of the weighted median in each row of weights of values that are sorted."""
    upto = np.cumsum(weights, axis=1)
    return np.asarray(np.argmax(upto >= upto[:, -1:] / 2, axis=1))
