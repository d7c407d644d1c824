"""Two alternatives that were measured in the same blocks: ratio of medians, interval, verdict word."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from analysis.statistics import LEVEL
from analysis.statistics.blocks import (
    MINIMUM_BLOCKS,
    BlockedSample,
    Floats,
    t_quantile,
)

DRAWS = 2000
"""Bootstrap draws."""
EQUIVALENCE = (0.95, 1.05)
"""Ratios that make no difference in practice: the floor of every claim."""

Word = Literal["faster", "slower", "equivalent", "undecided"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times the baseline's median; below 1 is faster."""

    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    """Chance of a ratio at least as far from 1 if there were no difference."""
    blocks: int
    within: int
    """Values in all blocks, of the side that has fewer."""


def paired_ratio(
    pairs: Sequence[tuple[BlockedSample, BlockedSample]],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Ratio:
    """Ratio of medians of (other, baseline), paired by block: what a block did to both cancels.

    The estimate is the geometric mean over blocks of the ratio of the two medians. Its error comes from
    a hierarchical bootstrap on the logarithm: blocks with replacement, then instances within each with
    replacement. Block effects are shrunk before they are drawn, so that the two stages together have
    the variance of the data and count the noise within blocks once (Davison & Hinkley, Bootstrap Methods
    and their Application, 1997, §3.8). The interval takes Student's t, since blocks are few. No interval
    below three blocks, no ratio where a block's median lies among failures or is 0.
    """
    size = min((sum(a.n for a, _ in pairs), sum(b.n for _, b in pairs)))
    medians = np.array([[a.quantile(0.5), b.quantile(0.5)] for a, b in pairs]).reshape(-1, 2)
    if not pairs or not np.isfinite(medians).all() or (medians <= 0).any():
        return Ratio(None, None, None, None, len(pairs), size)
    logs = np.log(medians[:, 0] / medians[:, 1])
    centre = float(logs.mean())
    if len(pairs) < MINIMUM_BLOCKS:
        return Ratio(math.exp(centre), None, None, None, len(pairs), size)
    noise = np.column_stack([_median_noise(a, b, rng, draws) for a, b in pairs])
    error, df = _bootstrap_error(logs, noise, size, rng)
    half = t_quantile(df) * error
    p_value = _two_sided_p(centre, error, df)
    low, high = math.exp(centre - half), math.exp(centre + half)
    return Ratio(math.exp(centre), low, high, p_value, len(pairs), size)


def _bootstrap_error(
    logs: Floats, noise: Floats, size: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Standard error of the mean log ratio from the two-stage draws, and its degrees of freedom."""
    blocks = logs.size
    spread, inner = float(logs.var(ddof=1)), float(noise.var(axis=0).mean())
    between = max(0.0, spread - inner)
    shrink = math.sqrt(between / spread * blocks / (blocks - 1)) if spread > 0 else 0.0
    chosen = rng.integers(0, blocks, size=noise.shape)
    effects = shrink * (logs - logs.mean())
    rows = rng.integers(0, noise.shape[0], size=noise.shape)
    drawn = (effects[chosen] + noise[rows, chosen]).mean(axis=1)
    # Where blocks differ beyond their noise, the error is only known from the blocks.
    return float(drawn.std()), blocks - 1 if between > 0 else max(size - blocks, blocks - 1)


def _median_noise(a: BlockedSample, b: BlockedSample, rng: np.random.Generator, draws: int) -> Floats:
    """Draws of the log ratio of resampled medians of one block, less its mean."""
    upper = np.log(np.maximum(_median_draws(a, rng, draws), 1e-300))
    lower = np.log(np.maximum(_median_draws(b, rng, draws), 1e-300))
    noise = np.where(np.isfinite(upper - lower), upper - lower, np.nan)
    return np.asarray(np.nan_to_num(noise - np.nanmean(noise), nan=0.0))


def _median_draws(sample: BlockedSample, rng: np.random.Generator, draws: int) -> Floats:
    """Medians of resamples with replacement, without drawing each resample.

    The r-th smallest of n uniform numbers is Beta(r, n + 1 − r), and picks the value at that place of
    the sorted sample; the next one lies Beta(1, n − r) of the way from there to 1.
    """
    n = sample.n
    ranks = np.cumsum(sample.counts)
    lower = rng.beta((n + 1) // 2, n + 1 - (n + 1) // 2, size=draws)
    picked = sample.values[np.searchsorted(ranks, np.minimum(np.floor(lower * n) + 1, n))]
    if n % 2:
        return np.asarray(picked)
    upper = lower + (1 - lower) * rng.beta(1, n // 2, size=draws)
    other = sample.values[np.searchsorted(ranks, np.minimum(np.floor(upper * n) + 1, n))]
    return np.asarray((picked + other) / 2)


def _two_sided_p(centre: float, error: float, df: float) -> float:
    if error == 0:
        return 1.0 if centre == 0 else 0.0
    return float(2 * special.stdtr(df, -abs(centre) / error))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values of a family of tests (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    floor = 0.0
    for done, (p, index) in enumerate(known):
        floor = max(floor, min(1.0, p * (len(known) - done)))
        adjusted[index] = floor
    return adjusted


def verdict_word(ratio: Ratio, adjusted_p: float | None) -> Word:
    """What may be claimed. A difference inside the equivalence band is none, however certain."""
    if ratio.value is None or ratio.low is None or ratio.high is None or adjusted_p is None:
        return "undecided"
    if EQUIVALENCE[0] <= ratio.low and ratio.high <= EQUIVALENCE[1]:
        return "equivalent"
    if adjusted_p > 1 - LEVEL:
        return "undecided"
    return "slower" if ratio.value > 1 else "faster"
