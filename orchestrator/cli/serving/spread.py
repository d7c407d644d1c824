"""Many values in little memory: rounded to three digits, and counted."""

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from analysis.statistics.blocks import Floats

DIGITS = 3
LARGEST, LEAST = 1e100, 1e-100
"""What is larger is no measurement, and nobody can draw it; what is less is 0."""


@dataclass(slots=True)
class Spread:
    """Values of one kind. What never came is counted as beyond all others."""

    counts: Counter[float] = field(default_factory=Counter)
    never: int = 0

    @property
    def n(self) -> int:
        """All values, those that never came among them."""
        return self.counts.total() + self.never

    def take(self, values: Floats) -> None:
        """Count values; infinite ones never came."""
        finite = values[np.abs(values) < LARGEST]
        self.never += int(np.isposinf(values).sum())
        rounded, counts = np.unique(_rounded(finite), return_counts=True)
        self.counts.update(dict(zip(rounded.tolist(), counts.tolist(), strict=True)))

    def add(self, other: "Spread") -> None:
        """Count what another one has counted."""
        self.counts.update(other.counts)
        self.never += other.never

    def quantile(self, p: float) -> float:
        """The quantile as the report defines it; infinite where it lies among those that never came.

        Definition 2 of Hyndman & Fan, The American Statistician 50 (1996): the usual median.
        """
        place = self.n * p
        rank = round(place)
        if not math.isclose(place, rank, abs_tol=1e-9):
            return self._at_rank(math.ceil(place))
        low, high = self._at_rank(max(rank, 1)), self._at_rank(min(rank + 1, self.n))
        return low if low == high else (low + high) / 2

    def _at_rank(self, rank: int) -> float:
        """The value of ``rank``, from 1."""
        reached = 0
        for value in sorted(self.counts):
            reached += self.counts[value]
            if reached >= rank:
                return value
        return math.inf

    def curve(self, most: int) -> list[tuple[float, float]]:
        """Values with the share of all that do not exceed them, about ``most`` of them.

        It rises from 0, and where some never came it goes on without an end.
        """
        points, reached = [(min(self.counts, default=0.0), 0.0)], 0
        stride = 1 + len(self.counts) // most
        for place, value in enumerate(sorted(self.counts), 1):
            reached += self.counts[value]
            if place % stride == 0 or place in (1, len(self.counts)):
                points.append((value, reached / self.n))
        return [*points, (math.inf, reached / self.n)] if self.never else points


def _rounded(values: Floats) -> Floats:
    """Values to so many digits: small whole numbers, which are counts, stay what they are."""
    size = np.abs(values)
    values = np.where(size < LEAST, 0.0, values)
    places = np.floor(np.log10(np.where(size < LEAST, 1.0, size))) - (DIGITS - 1)
    up, down = 10.0 ** np.maximum(-places, 0), 10.0 ** np.maximum(places, 0)
    rounded: Floats = np.round(values * up / down) / up * down
    return rounded
