"""Shares of attempts, and rates over time, with intervals."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.statistics import LEVEL
from analysis.statistics.blocks import MINIMUM_BLOCKS, Blocks, Floats, t_quantile


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; None where there is nothing to compute it from."""

    value: float | None
    low: float | None
    high: float | None


def wilson(hits: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share (Journal of the American Statistical Association 22, 1927).

    ``n`` may be an effective number; ``hits`` is then scaled with it. ``n`` must be above 0.
    """
    z = float(special.ndtri((1 + level) / 2))
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    return low, 1.0 if hits == n else min(1.0, middle + half)


def estimate_share(hits: Floats, sizes: Floats, hosts: Floats) -> Estimate:
    """Share of hits in blocks of ``sizes``, with Wilson's interval at the effective number.

    Blocks without attempts are left out. No interval below three blocks.
    """
    some = sizes > 0
    numbers = np.arange(int(some.sum()))
    blocks = Blocks(sizes[some].astype(np.int64), hosts[some].astype(np.int64), numbers)
    if blocks.n == 0:
        return Estimate(None, None, None)
    share = float(hits[some].sum() / blocks.n)
    n_eff = blocks.effective_n(hits[some].astype(np.float64))
    if n_eff is None:
        return Estimate(share, None, None)
    return Estimate(share, *wilson(share * n_eff, n_eff))


def estimate_rate(counts: Floats, spans: Floats) -> Estimate:
    """Events per unit of time over blocks: total count over total time.

    The total is the harmonic mean of the blocks' rates, weighted by count. The interval is that of a
    ratio estimator (Cochran, Sampling Techniques, 1977, §6.4) with Student's t over the blocks.
    """
    some = spans > 0
    counts, spans = counts[some].astype(np.float64), spans[some].astype(np.float64)
    blocks, total = spans.size, float(spans.sum())
    if not blocks:
        return Estimate(None, None, None)
    rate = float(counts.sum()) / total
    if blocks < MINIMUM_BLOCKS:
        return Estimate(rate, None, None)
    residuals = counts - rate * spans
    error = math.sqrt(blocks / (blocks - 1) * float((residuals**2).sum())) / total
    half = t_quantile(blocks - 1) * error
    return Estimate(rate, max(0.0, rate - half), rate + half)
