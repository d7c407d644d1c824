"""Values that were measured in blocks, and how much they are worth as independent ones.

Instances of one block share a moment of one host, so they resemble each other. Every interval here
counts them at their effective number, never at their plain number.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from analysis.statistics import LEVEL

MINIMUM_BLOCKS = 3
"""With fewer blocks nothing can be said about how much blocks differ: no intervals then."""
FEW_BLOCKS = 5
"""With fewer blocks intervals are a first look: they tend to be too narrow where blocks differ."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """Sizes of blocks, and the host that each block ran on."""

    sizes: Ints
    hosts: Ints
    """Host code of each block: blocks are compared within their host only."""
    numbers: Ints
    """Number of each block on its host."""

    @cached_property
    def n(self) -> int:
        """Values in all blocks."""
        return int(self.sizes.sum())

    @cached_property
    def strata(self) -> Ints:
        """Host of each block from 0; a single stratum when no host has two blocks."""
        return strata_of(self.hosts)

    @cached_property
    def df_between(self) -> int:
        """Degrees of freedom between blocks, within hosts."""
        return int(self.sizes.size - np.unique(self.strata).size)

    @cached_property
    def typical_size(self) -> float:
        """Size of the block that a random value is in: the ``k`` of the design effect."""
        return float((self.sizes**2).sum() / self.n) if self.n else 0.0

    @cached_property
    def _anova_size(self) -> float:
        """The ``k0`` of unequal group sizes in the analysis of variance."""
        totals = np.bincount(self.strata, weights=self.sizes)
        shared = np.bincount(self.strata, weights=self.sizes**2) / totals
        return float((self.n - shared.sum()) / self.df_between)

    def effective_n(self, hits: Floats) -> float | None:
        """What ``n`` counts for, when ``hits`` of each block's values have some property.

        n / (1 + (k − 1)·ICC), with the intra-block correlation ICC of the property from a one-way
        analysis of variance within hosts (Searle, Casella & McCulloch, Variance Components, 1992), then
        times (t(n−1) / t(df))² because the variance itself is only known from few blocks (Korn &
        Graubard, Survey Methodology 24, 1998). None when there are fewer than three blocks.
        """
        if self.df_between < MINIMUM_BLOCKS - 1:
            return None
        deff, df = self._design_effect(hits)
        widening = float(t_quantile(self.n - 1) / t_quantile(df)) if self.n > 1 else 1.0
        return float(self.n / deff * widening**2)

    def icc(self, hits: Floats) -> float | None:
        """Intra-block correlation of a property, 0 to 1; None when there are fewer than three blocks."""
        if self.df_between < MINIMUM_BLOCKS - 1:
            return None
        between, within = self._components(hits)
        return between / (between + within) if between > 0 else 0.0

    def _design_effect(self, hits: Floats) -> tuple[float, float]:
        """Variance over that of independent values, and the degrees of freedom it is known with."""
        between, within = self._components(hits)
        if between <= 0:
            return 1.0, float(self.n - 1)
        deff = 1 + (self.typical_size - 1) * between / (between + within)
        share = self._anova_size * between / (self._anova_size * between + within)
        return deff, satterthwaite(share, self.df_between, self.n - 1)

    def _components(self, hits: Floats) -> tuple[float, float]:
        """Variance between blocks within hosts, never below 0, and within blocks."""
        squares = float((hits**2 / self.sizes).sum())
        ss_within = float(hits.sum()) - squares
        df_within = self.n - self.sizes.size
        if df_within < 1:
            return 0.0, 1.0
        hits_of_host = np.bincount(self.strata, weights=hits)
        size_of_host = np.bincount(self.strata, weights=self.sizes)
        ss_between = squares - float((hits_of_host**2 / size_of_host).sum())
        within = max(0.0, ss_within / df_within)
        between = (ss_between / self.df_between - within) / self._anova_size
        return max(0.0, between), within


def strata_of(hosts: Ints) -> Ints:
    """Number of each block's host, from 0; a single stratum when no host has two blocks."""
    _, codes = np.unique(hosts, return_inverse=True)
    if codes.size and np.bincount(codes).max() < 2:
        return np.zeros_like(codes)
    return codes


def satterthwaite(share: float, df_between: float, df_within: float) -> float:
    """Degrees of freedom of a variance of which ``share`` is known from blocks, the rest from values.

    Satterthwaite, Biometrics Bulletin 2 (1946).
    """
    return 1 / (share**2 / df_between + (1 - share) ** 2 / df_within)


def t_quantile(df: float, level: float = LEVEL) -> float:
    """Two-sided critical value of Student's t."""
    return float(special.stdtrit(df, (1 + level) / 2))


@dataclass(frozen=True)
class BlockedSample:
    """Sorted values with their multiplicities and the block of each. ``inf`` is a failed attempt."""

    values: Floats
    counts: Ints
    block: Ints
    """Code of each value's block, from 0."""
    blocks: Blocks
    grain: float = 0.0
    """By what share of itself each value may be off, because values were counted in steps."""

    @cached_property
    def n(self) -> int:
        """How many values, multiplicities counted."""
        return self.blocks.n

    @cached_property
    def _upto(self) -> Ints:
        return np.cumsum(self.counts)

    def at_rank(self, rank: int) -> float:
        """The value of ``rank``, from 1: an order statistic."""
        return float(self.values[np.searchsorted(self._upto, rank)])

    def quantile(self, p: float) -> float:
        """Inverse of the empirical distribution, averaged where it is flat.

        Definition 2 of Hyndman & Fan, The American Statistician 50 (1996): the usual median.
        """
        place = self.n * p
        rank = round(place)
        if not math.isclose(place, rank, abs_tol=1e-9):
            return self.at_rank(math.ceil(place))
        low, high = self.at_rank(max(rank, 1)), self.at_rank(min(rank + 1, self.n))
        return low if low == high else (low + high) / 2

    def effective_n(self, p: float) -> float | None:
        """Effective number of values for the quantile ``p``; None below three blocks.

        The property whose correlation counts is "not above the quantile": it is what decides the
        quantile's variance (Woodruff, Journal of the American Statistical Association 47, 1952).
        """
        value = self.quantile(p)
        above = int(np.searchsorted(self.values, value, side="left"))
        upto = int(np.searchsorted(self.values, value, side="right"))
        # where many values are equal to the quantile, either side of them may be what differs by block
        ends = {above} if math.isinf(value) else {above, upto} if upto - above > 1 else {upto}
        found = [self._effective_below(end) for end in ends]
        return min((n for n in found if n is not None), default=None)

    def _effective_below(self, end: int) -> float | None:
        """Effective number of values, for the property of being among the first ``end``."""
        weights = self.counts[:end].astype(np.float64)
        hits = np.bincount(self.block[:end], weights=weights, minlength=self.blocks.sizes.size)
        return self.blocks.effective_n(hits.astype(np.float64))

    def by_block(self) -> "dict[tuple[int, int], BlockedSample]":
        """The values of each block alone, by host code and block number."""
        order = np.argsort(self.block, kind="stable")
        bounds = np.searchsorted(self.block[order], np.arange(self.blocks.sizes.size + 1))
        found = {}
        for code, (start, end) in enumerate(pairwise(bounds)):
            mine, one = order[start:end], slice(code, code + 1)
            alone = Blocks(self.blocks.sizes[one], self.blocks.hosts[one], self.blocks.numbers[one])
            zeros = np.zeros(mine.size, dtype=np.int64)
            key = int(self.blocks.hosts[code]), int(self.blocks.numbers[code])
            found[key] = BlockedSample(self.values[mine], self.counts[mine], zeros, alone, self.grain)
        return found


def blocked_sample(
    values: Any, blocks: Any, hosts: Any = None, counts: Any = None, grain: float = 0.0
) -> BlockedSample:
    """Build a sample from unsorted columns: value, block, and optionally host and multiplicity."""
    values = np.asarray(values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    ones = np.ones(values.size, dtype=np.int64)
    counts = ones if counts is None else np.asarray(counts, dtype=np.int64)
    host_of_value = np.zeros(values.size, dtype=np.int64) if hosts is None else np.asarray(hosts)
    columns = np.asarray(blocks)[order], host_of_value[order], counts[order]
    return sorted_sample(values[order], *columns, grain)


def sorted_sample(
    values: Floats, blocks: Ints, hosts: Ints, counts: Ints, grain: float = 0.0
) -> BlockedSample:
    """Build a sample from columns that are sorted by value already. A block is one of its host."""
    width = int(blocks.max()) + 1 if blocks.size else 1
    keys, codes = _coded(hosts.astype(np.int64) * width + blocks)
    sizes = np.bincount(codes, weights=counts, minlength=keys.size).astype(np.int64)
    return BlockedSample(values, counts, codes, Blocks(sizes, keys // width, keys % width), grain)


def _coded(keys: Ints) -> tuple[Ints, Ints]:
    """The different keys, sorted, and the place among them of each; keys are not below 0.

    Where they are small numbers they need not be sorted, which for millions of them takes a second.
    """
    most = int(keys.max(initial=0))
    if most >= keys.size:
        return np.unique(keys, return_inverse=True)
    there = np.zeros(most + 1, dtype=bool)
    there[keys] = True
    places: Ints = np.cumsum(there, dtype=np.int64) - 1
    return np.flatnonzero(there), places[keys]
