"""Signs that values were not alike: over the campaign, at its beginning, and from host to host.

All of it works on logarithms, one per block of a host, so that differences are ratios.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from analysis.statistics.blocks import Floats, Ints, t_quantile
from analysis.statistics.quantiles import interval_ranks

FEWEST_IN_ORDER = 5
"""With fewer blocks in a row even a perfect order may be chance (4 blocks: p = 0.08)."""
FLOOR = math.log(1.05)
"""Smaller differences make none in practice, however certain they are."""
_DRAWS = 5000
DECIMALS = 9
"""Logarithms are rounded so far, so that what is equal stays equal in floating point."""


@dataclass(frozen=True)
class BlockLogs:
    """Logarithm of one number per block of a host; ``orders`` is the block's place in time."""

    logs: Floats
    hosts: Ints
    orders: Ints

    def centred(self) -> "BlockLogs":
        """The same less each host's mean."""
        _, code = np.unique(self.hosts, return_inverse=True)
        means = np.bincount(code, weights=self.logs) / np.bincount(code) if code.size else code
        return BlockLogs(np.round(self.logs - means[code], DECIMALS), self.hosts, self.orders)


@dataclass(frozen=True)
class Course:
    """How all hosts moved together over the campaign: a mean of centred logarithms per place."""

    orders: Floats
    means: Floats

    @property
    def flat(self) -> bool:
        """Whether nothing moved at all."""
        return self.means.size == 0 or bool(np.ptp(self.means) == 0)


@dataclass(frozen=True, slots=True)
class Sign:
    """One finding as a ratio, with its 95 % interval and the chance of it where there is nothing."""

    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    strength: float | None = None
    """Kendall's τ, or the autocorrelation; None where the ratio says it all."""


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of logarithms between hosts, between blocks of a host, and within blocks.

    None: the design cannot tell. What it cannot tell apart is in the next one that it can.
    """

    host: float | None
    block: float | None
    instance: float | None

    def share(self, *parts: float | None) -> float | None:
        """Share of the parts in the whole: an intra-class correlation. None without any variance."""
        whole = sum(v for v in (self.host, self.block, self.instance) if v is not None)
        known = [v for v in parts if v is not None]
        return sum(known) / whole if whole > 0 and known else None


def course_of(cells: Sequence[BlockLogs]) -> Course:
    """The common course of several cells and hosts.

    A place in time at which fewer than half as many hosts and cells were measured as at the fullest is
    left out: it would be the course of few. Hosts may share shocks, since they share networks and
    registries: that is why the course, not the host, is what is tested.
    """
    centred = [cell.centred() for cell in cells]
    orders = np.concatenate([np.zeros(0, dtype=np.int64), *(c.orders for c in centred)])
    logs = np.concatenate([np.zeros(0), *(c.logs for c in centred)])
    places, code = np.unique(orders, return_inverse=True)
    counts = np.bincount(code, minlength=places.size)
    sums = np.bincount(code, weights=logs, minlength=places.size)
    full = counts >= max(1, int(counts.max(initial=0)) / 2)
    means = np.round(sums[full] / counts[full], DECIMALS)
    return Course(places[full].astype(np.float64), means)


def drift_of(course: Course) -> Sign:
    """Kendall's τ of the course against time, exact where there are no ties, and the change.

    The change is Sen's slope (JASA 63, 1968) from the first place to the last. Nothing below
    ``FEWEST_IN_ORDER`` places.
    """
    if course.means.size < FEWEST_IN_ORDER:
        return Sign()
    if course.flat:
        return Sign(1.0, 1.0, 1.0, 1.0, 0.0)
    found = stats.kendalltau(course.orders, course.means)
    line = stats.theilslopes(course.means, course.orders)
    run = float(np.ptp(course.orders))
    change, low, high = (math.exp(run * s) for s in (line.slope, line.low_slope, line.high_slope))
    return Sign(change, low, high, float(found.pvalue), float(found.statistic))


def neighbours_of(course: Course, rng: np.random.Generator) -> Sign:
    """Lag-1 autocorrelation of the course; its p-value is that of shuffled courses, upper tail."""
    if course.means.size < FEWEST_IN_ORDER:
        return Sign()
    if course.flat:
        return Sign(p_value=1.0, strength=0.0)
    centred = course.means - course.means.mean()
    whole = float((centred**2).sum())
    found = float((centred[1:] * centred[:-1]).sum()) / whole
    shuffled = rng.permuted(np.tile(centred, (_DRAWS, 1)), axis=1)
    chance = (shuffled[:, 1:] * shuffled[:, :-1]).sum(axis=1) / whole
    p_value = (1 + int((chance >= found - 1e-12).sum())) / (1 + _DRAWS)
    return Sign(p_value=p_value, strength=found)


def first_block_of(course: Course) -> Sign:
    """The first place against the mean of the others, as one more value of their kind.

    Student's prediction interval of a new value, with the spread of the others.
    """
    if course.means.size < FEWEST_IN_ORDER:
        return Sign()
    first, rest = float(course.means[0]), course.means[1:]
    apart = first - float(rest.mean())
    error = float(rest.std(ddof=1)) * math.sqrt(1 + 1 / rest.size)
    half = t_quantile(rest.size - 1) * error
    p_value = two_sided(apart, error, rest.size - 1)
    return Sign(math.exp(apart), math.exp(apart - half), math.exp(apart + half), p_value)


def first_values_of(log_ratios: Floats) -> Sign:
    """The first values of a trial against the rest of it, over trials: median ratio and sign test.

    If the order within a trial does not matter, a trial's first value is as often above the median of
    its others as below, whatever the distribution. The interval is that of the median's order
    statistics; none below six trials.
    """
    values = np.sort(np.round(log_ratios, DECIMALS))
    if not values.size:
        return Sign()
    ranks = interval_ranks(values.size, 0.5)
    low, high = (None, None) if ranks is None else (float(values[r - 1]) for r in ranks)
    above, below = int((values > 0).sum()), int((values < 0).sum())
    p_value = float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0
    middle = math.exp(float(np.median(values)))
    if low is None or high is None:
        return Sign(middle)
    return Sign(middle, math.exp(low), math.exp(high), p_value)


def components(sizes: Ints, means: Floats, squares: Floats, hosts: Ints) -> Components:
    """Variance components of a nested design from its blocks: size, mean, squares within, host.

    The analysis-of-variance estimators for unequal sizes, never below 0 (Searle, Casella & McCulloch,
    Variance Components, 1992, §3.6).
    """
    n, blocks = float(sizes.sum()), sizes.size
    _, code = np.unique(hosts, return_inverse=True)
    of_host = np.bincount(code, weights=sizes)
    host_means = np.bincount(code, weights=sizes * means) / np.maximum(of_host, 1)
    shared = np.bincount(code, weights=sizes**2) / np.maximum(of_host, 1)
    instance = float(squares.sum()) / (n - blocks) if n > blocks else None
    block = host = None
    if blocks > of_host.size:
        within = float((sizes * (means - host_means[code]) ** 2).sum()) / (blocks - of_host.size)
        size = (n - float(shared.sum())) / (blocks - of_host.size)
        block = max(0.0, (within - (instance or 0.0)) / size)
    if of_host.size > 1:
        centre = float((of_host * host_means).sum()) / n
        between = float((of_host * (host_means - centre) ** 2).sum()) / (of_host.size - 1)
        of_block = (float(shared.sum()) - float((sizes**2).sum()) / n) / (of_host.size - 1)
        size = (n - float((of_host**2).sum()) / n) / (of_host.size - 1)
        host = max(0.0, (between - (instance or 0.0) - of_block * (block or 0.0)) / size)
    return Components(host, block, instance)


def two_sided(apart: float, error: float, df: float) -> float:
    """Chance of a difference at least as far from 0, by Student's t. What is but rounding is none."""
    if abs(apart) < 10.0**-DECIMALS:
        return 1.0
    if error == 0:
        return 0.0
    return float(2 * special.stdtr(df, -abs(apart) / error))
