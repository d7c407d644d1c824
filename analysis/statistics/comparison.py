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
    Ints,
    t_quantile,
)

DRAWS = 2000
"""Bootstrap draws."""
_INNER, _LEAST_INNER = 50_000, 50
"""Draws within blocks, over all of them together and at least in each."""
_AT_ONCE = 500_000
"""Numbers drawn at once: bounds the memory."""
EQUIVALENCE = (0.95, 1.05)
"""Ratios that make no difference in practice: the floor of every claim."""

BlockKey = tuple[int, int]
"""Host code and block number."""

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


@dataclass(frozen=True)
class BlockMedians:
    """One alternative's median in each block, and how much resampled medians vary around it."""

    keys: tuple[BlockKey, ...]
    medians: Floats
    noise: Floats
    """Draws by blocks: logarithm of resampled medians, less its mean in each block."""
    sizes: Ints

    def select(self, keys: Sequence[BlockKey]) -> "BlockMedians":
        """The same for some of the blocks, in their order."""
        place = {key: i for i, key in enumerate(self.keys)}
        chosen = [place[key] for key in keys]
        return BlockMedians(tuple(keys), self.medians[chosen], self.noise[:, chosen], self.sizes[chosen])


def block_medians(sample: BlockedSample, rng: np.random.Generator, draws: int = DRAWS) -> BlockMedians:
    """Median of every block, with bootstrap draws within each: the second stage of the hierarchy."""
    blocks = sample.by_block()
    inner = max(_LEAST_INNER, min(draws, _INNER // max(1, len(blocks))))
    noise = [_median_noise(block, rng, inner) for block in blocks.values()]
    return BlockMedians(
        tuple(blocks),
        np.array([block.quantile(0.5) for block in blocks.values()], dtype=np.float64),
        np.column_stack(noise) if noise else np.zeros((inner, 0)),
        np.array([block.n for block in blocks.values()], dtype=np.int64),
    )


def paired_ratio(
    other: BlockMedians, baseline: BlockMedians, rng: np.random.Generator, draws: int = DRAWS
) -> Ratio:
    """Ratio of medians, paired by block: what a block did to both cancels.

    The estimate is the geometric mean over shared blocks of the ratio of the two medians. Its error
    comes from a hierarchical bootstrap on the logarithm: blocks with replacement, then instances within
    each with replacement. Block effects are shrunk before they are drawn, so that the two stages
    together have the variance of the data and count the noise within blocks once (Davison & Hinkley,
    Bootstrap Methods and their Application, 1997, §3.8). The interval takes Student's t, since blocks
    are few. No interval below three blocks, no ratio where a median lies among failures or is 0.
    """
    shared = sorted(set(other.keys) & set(baseline.keys))
    above, below = other.select(shared), baseline.select(shared)
    blocks, size = len(shared), int(min(above.sizes.sum(), below.sizes.sum()))
    logs = log_ratios(above, below)
    if not blocks or not np.isfinite(logs).all():
        return Ratio(None, None, None, None, blocks, size)
    centre = float(logs.mean())
    if blocks < MINIMUM_BLOCKS:
        return Ratio(math.exp(centre), None, None, None, blocks, size)
    inner = min(above.noise.shape[0], below.noise.shape[0])
    error, df = _bootstrap_error(logs, above.noise[:inner] - below.noise[:inner], rng, draws)
    df = min(df, max(size - blocks, blocks - 1))
    half = t_quantile(df) * error
    low, high = math.exp(centre - half), math.exp(centre + half)
    return Ratio(math.exp(centre), low, high, _two_sided_p(centre, error, df), blocks, size)


def log_ratios(above: BlockMedians, below: BlockMedians) -> Floats:
    """Logarithm of each block's ratio of medians; NaN where one is 0 or lies among failures."""
    usable = (above.medians > 0) & (below.medians > 0)
    usable &= np.isfinite(above.medians) & np.isfinite(below.medians)
    ratios = np.divide(above.medians, below.medians, where=usable, out=np.ones_like(below.medians))
    return np.where(usable, np.log(ratios), np.nan)


def _bootstrap_error(
    logs: Floats, noise: Floats, rng: np.random.Generator, draws: int
) -> tuple[float, float]:
    """Standard error of the mean log ratio from the two-stage draws, and its degrees of freedom.

    Where blocks differ beyond their noise, the error is known from the blocks alone; otherwise infinite
    degrees of freedom stand for "from within the blocks".
    """
    blocks = logs.size
    spread, inner = float(logs.var(ddof=1)), float(noise.var(axis=0).mean())
    between = max(0.0, spread - inner)
    shrink = math.sqrt(between / spread * blocks / (blocks - 1)) if spread > 0 else 0.0
    effects = shrink * (logs - logs.mean())
    drawn = []
    for begun in range(0, draws, step := max(1, _AT_ONCE // blocks)):
        size = (min(step, draws - begun), blocks)
        chosen = rng.integers(0, blocks, size=size)
        within = noise[rng.integers(0, noise.shape[0], size=size), chosen]
        drawn.append((effects[chosen] + within).mean(axis=1))
    return float(np.concatenate(drawn).std()), blocks - 1 if between > 0 else math.inf


def _median_noise(sample: BlockedSample, rng: np.random.Generator, draws: int) -> Floats:
    """Draws of the logarithm of one block's resampled median, less their mean."""
    medians = _median_draws(sample, rng, draws)
    usable = np.isfinite(medians) & (medians > 0)
    logs = np.log(medians, where=usable, out=np.zeros(draws))
    return np.where(usable, logs - logs.sum() / max(1, int(usable.sum())), 0.0)


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


def with_grain(ratio: Ratio, grain: float) -> Ratio:
    """The ratio where each side may be off by a share ``grain``: a systematic error, added whole."""
    if not grain or ratio.value is None or ratio.low is None or ratio.high is None:
        return ratio
    apart = 2 * math.log1p(grain)
    ends = ratio.low * math.exp(-apart), ratio.high * math.exp(apart)
    p_value = p_beyond(ratio.value, ratio.p_value, apart)
    return Ratio(ratio.value, *ends, p_value, ratio.blocks, ratio.within)


def p_beyond(value: float, p_value: float | None, grain: float) -> float | None:
    """The p-value of what is left of a ratio once the grain, a logarithm, is taken off."""
    centre = abs(math.log(value))
    if p_value is None or centre <= grain:
        return None if p_value is None else 1.0
    if p_value == 0:
        return 0.0
    z = -float(special.ndtri(p_value / 2)) * (centre - grain) / centre
    return float(2 * special.ndtr(-z))


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
