"""Resampling whole blocks, and the interval that so few of them allow."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.statistics.blocks import MINIMUM_BLOCKS, Floats, Ints, strata_of, t_quantile
from analysis.statistics.proportions import Estimate

DRAWS = 2000
"""Bootstrap draws."""
FEWEST_DRAWS = 200
_NUMBERS_IN_ALL, _NUMBERS_AT_ONCE = 100_000_000, 1_000_000
"""Numbers that all draws together, and those of one portion, may take: bounds time and memory."""


@dataclass(frozen=True)
class Replication:
    """What is drawn anew: blocks, each within its host. Hosts with one block each are one stratum."""

    strata: Ints
    """Stratum of each block, from 0."""

    @classmethod
    def of(cls, hosts: Any) -> "Replication":
        """From the host of each block."""
        return cls(strata_of(np.asarray(hosts)))

    @classmethod
    def alone(cls, blocks: int) -> "Replication":
        """So many blocks of which none is more like another."""
        return cls(np.zeros(blocks, dtype=np.int64))

    @property
    def blocks(self) -> int:
        """How many there are."""
        return int(self.strata.size)

    @property
    def df(self) -> int:
        """Degrees of freedom between blocks, within hosts."""
        return self.blocks - int(np.unique(self.strata).size)

    @property
    def enough(self) -> bool:
        """Whether blocks are enough to say how much they differ."""
        return self.df >= MINIMUM_BLOCKS - 1

    @property
    def inflation(self) -> float:
        """What a resample's variance lacks: b / (b − 1) of one stratum."""
        return self.blocks / self.df


def block_draws(replication: Replication, width: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each block is in a resample with replacement: portions of draws × blocks.

    ``width`` is how many numbers the caller makes of one draw. Where that is many, there are fewer
    draws, but never below ``FEWEST_DRAWS``.
    """
    blocks = replication.blocks
    draws = max(FEWEST_DRAWS, min(DRAWS, _NUMBERS_IN_ALL // max(1, width)))
    step = max(1, _NUMBERS_AT_ONCE // max(1, width, blocks))
    strata = [np.flatnonzero(replication.strata == s) for s in np.unique(replication.strata)]
    for begun in range(0, draws, step):
        size = min(step, draws - begun)
        drawn = np.zeros((size, blocks))
        for mine in strata:
            drawn[:, mine] = rng.multinomial(mine.size, np.full(mine.size, 1 / mine.size), size=size)
        yield drawn


def around(value: float, draws: Floats, replication: Replication) -> Estimate:
    """A value with the interval that resampled values of it give. None below three blocks.

    The bootstrap's standard error is that of a population of b values, hence the factor b / (b − 1);
    Student's t allows for knowing it from few blocks (Hesterberg, The American Statistician 69, 2015,
    calls the bootstrap too narrow by just these two).
    """
    if not replication.enough:
        return Estimate(value, None, None)
    error = float(draws.std()) * math.sqrt(replication.inflation)
    half = t_quantile(replication.df) * error
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
