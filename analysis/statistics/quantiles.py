"""Quantiles with order-statistic intervals: no distribution is assumed."""

import math
from dataclasses import dataclass
from functools import lru_cache

from scipy import special

from analysis.statistics import LEVEL
from analysis.statistics.blocks import BlockedSample


@dataclass(frozen=True, slots=True)
class QuantileEstimate:
    """One quantile; the interval is None where the data cannot give one at the level asked for."""

    p: float
    value: float | None
    low: float | None
    high: float | None
    n: int
    n_eff: float | None


@lru_cache(maxsize=65_536)
def interval_ranks(n: int, p: float, level: float = LEVEL) -> tuple[int, int] | None:
    """Ranks (from 1) of the two order statistics of ``n`` that enclose quantile ``p``.

    The chance that the number of values below the quantile, binomial (n, p), is at least the lower rank
    and below the upper one is at least ``level`` (David & Nagaraja, Order Statistics, 2003, §7.1). Both
    tails get the same share where that is possible, else the far rank is the last value. None below the
    minimum n, which is 6, 29, 59 and 299 for the quantiles .5, .9, .95 and .99 at 95 %.
    """
    if p < 0.5:
        mirrored = interval_ranks(n, 1 - p, level)
        return (n + 1 - mirrored[1], n + 1 - mirrored[0]) if mirrored else None
    tail = (1 - level) / 2
    low, high = _rank_below(n, p, tail), n + 1 - _rank_below(n, 1 - p, tail)
    if high > n:
        high = n
        low = _rank_below(n, p, 1 - p**n - level)
    return (low, high) if 1 <= low < high else None


def _rank_below(n: int, p: float, tail: float) -> int:
    """The largest rank r with P(binomial(n, p) < r) ≤ ``tail``; 0 when there is none."""
    if tail < 0 or special.bdtr(0, n, p) > tail:
        return 0
    rank = max(1, math.floor(special.bdtrik(tail, n, p)))
    while rank <= n and special.bdtr(rank - 1, n, p) <= tail:
        rank += 1
    while rank > 1 and special.bdtr(rank - 1, n, p) > tail:
        rank -= 1
    return rank if special.bdtr(rank - 1, n, p) <= tail else 0


def minimum_n(p: float, level: float = LEVEL) -> int:
    """The least number of independent values that gives quantile ``p`` an interval."""
    n = 2
    while interval_ranks(n, p, level) is None:
        n += 1
    return n


def estimate_quantile(sample: BlockedSample, p: float, level: float = LEVEL) -> QuantileEstimate:
    """Quantile ``p`` of a sample with its interval at the effective number of values.

    The ranks are found for the effective number and carried to the same expected place among all
    values, r·(n + 1)/(n_eff + 1). An infinite value says that the quantile lies among the failures.
    Of values that were counted in steps the interval is wider by what hides in a step.
    """
    if sample.n == 0:
        return QuantileEstimate(p, None, None, None, 0, None)
    value, n_eff = sample.quantile(p), sample.effective_n(p)
    ranks = interval_ranks(math.floor(min(n_eff, sample.n) + 1e-9), p, level) if n_eff else None
    if ranks is None or n_eff is None:
        return QuantileEstimate(p, value, None, None, sample.n, n_eff)
    stretch = (sample.n + 1) / (math.floor(min(n_eff, sample.n) + 1e-9) + 1)
    low = max(1, math.floor(ranks[0] * stretch))
    high = min(sample.n, math.ceil(ranks[1] * stretch))
    ends = _moved(sample.at_rank(low), -sample.grain), _moved(sample.at_rank(high), sample.grain)
    return QuantileEstimate(p, value, *ends, sample.n, n_eff)


def _moved(value: float, share: float) -> float:
    """A value, further up by a share of its size."""
    return value + share * abs(value) if share and math.isfinite(value) else value
