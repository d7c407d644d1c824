"""Resampled staircases: one set of weights for everything that is learnt from the same climbs."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.capacity.evidence import DRAWS
from analysis.statistics.blocks import Floats, t_quantile

_FARTHEST = 0.99
"""Level of the interval that a draw may be stretched to: two blocks say nothing of what lies beyond."""


@dataclass(frozen=True)
class Resample:
    """How often each block is in every draw, and by how much a draw's deviation is stretched."""

    weights: Floats
    """Draws × blocks."""
    stretch: Floats
    """One factor per draw."""

    @property
    def blocks(self) -> int:
        """How many there are."""
        return int(self.weights.shape[1])

    def of(self, chosen: list[int]) -> "Resample":
        """The same draws for some of the blocks. A draw that has none of them counts each once."""
        weights = self.weights[:, chosen]
        empty = weights.sum(axis=1, keepdims=True) == 0
        return Resample(np.where(empty, 1.0, weights), self.stretch)

    def means(self, values: Floats) -> Floats:
        """Mean of one value per block in every draw."""
        found = (self.weights @ values) / self.weights.sum(axis=1)
        return np.asarray(found, dtype=np.float64)

    def medians(self, values: Floats) -> Floats:
        """Lower median of one value per block in every draw: one that really occurred."""
        order = np.argsort(values, kind="stable")
        upto = np.cumsum(self.weights[:, order], axis=1)
        place = np.argmax(upto >= upto[:, -1:] / 2, axis=1)
        return np.asarray(values[order][place], dtype=np.float64)

    def around(self, value: float, drawn: Floats) -> Floats:
        """Draws with their distance from ``value`` stretched to what so few blocks allow to say."""
        return np.asarray(value + (drawn - value) * self.stretch, dtype=np.float64)


def resample(blocks: int, rng: np.random.Generator) -> Resample:
    """``DRAWS`` resamples of ``blocks`` with replacement.

    The bootstrap of few blocks is too narrow by √((b − 1)/b), and takes its own spread for known
    (Hesterberg, The American Statistician 69, 2015). Deviations are stretched by √(b/(b − 1)) and by
    √(df/χ²), which makes Student's distribution out of a normal one, but by no more than what reaches
    its 99 % interval. With fewer than two blocks nothing is known of how much they differ: every draw is
    then the same.
    """
    weights = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=DRAWS).astype(np.float64)
    if blocks < 2:
        return Resample(weights, np.ones(DRAWS))
    chi = rng.chisquare(blocks - 1, size=DRAWS) / (blocks - 1)
    most = t_quantile(blocks - 1, _FARTHEST) / float(special.ndtri((1 + _FARTHEST) / 2))
    return Resample(weights, np.sqrt(blocks / (blocks - 1)) * np.minimum(1 / np.sqrt(chi), most))
