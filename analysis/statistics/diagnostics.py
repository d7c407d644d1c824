"""Signs that values were not alike: over the campaign, at its beginning, and from host to host.

All of it works on logarithms, one per block of a host, so that differences are ratios.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from analysis.statistics.blocks import MINIMUM_BLOCKS, Floats, Ints, t_quantile
from analysis.statistics.quantiles import interval_ranks

FEWEST_IN_ORDER = 5
"""With fewer blocks in a row even a perfect order may be chance (4 blocks: p = 0.08)."""
FEWEST_HOSTS = 5
"""With fewer hosts none can be told apart from how hosts differ."""
FAR_Z = 3.5
"""Modified z-score of an outlier (Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993)."""
FLOOR = math.log(1.05)
"""Smaller differences make none in practice, however certain they are."""
_MAD_TO_SD = 0.6745
Bools = npt.NDArray[np.bool_]
_DRAWS = 2000
_DECIMALS = 9
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
        return BlockLogs(np.round(self.logs - means[code], _DECIMALS), self.hosts, self.orders)


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
    means = np.round(sums[full] / counts[full], _DECIMALS)
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
    p_value = _two_sided(apart, error, rest.size - 1)
    return Sign(math.exp(apart), math.exp(apart - half), math.exp(apart + half), p_value)


def first_values_of(log_ratios: Floats) -> Sign:
    """The first values of a trial against the rest of it, over trials: median ratio and sign test.

    If the order within a trial does not matter, a trial's first value is as often above the median of
    its others as below, whatever the distribution. The interval is that of the median's order
    statistics; none below six trials.
    """
    values = np.sort(np.round(log_ratios, _DECIMALS))
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


@dataclass(frozen=True)
class HostEffects:
    """Logarithm of each host's ratio to its fellows, over all cells, and the noise of that."""

    hosts: Ints
    effects: Floats
    errors: Floats
    """Standard error of each from the spread of its own blocks; 0 with a single block."""
    blocks: Ints


def host_effects(cells: Sequence[BlockLogs]) -> HostEffects:
    """Every host against the median host, the mean over cells. Blocks are counted over time."""
    apart: dict[int, list[float]] = {}
    moves: dict[int, list[tuple[int, float]]] = {}
    for cell in cells:
        means = {int(h): float(cell.logs[cell.hosts == h].mean()) for h in np.unique(cell.hosts)}
        middle = float(np.median(list(means.values()))) if means else 0.0
        for host, mean in means.items():
            apart.setdefault(host, []).append(mean - middle)
        centred = cell.centred()
        for host, order, log in zip(centred.hosts, centred.orders, centred.logs, strict=True):
            moves.setdefault(int(host), []).append((int(order), float(log)))
    hosts = sorted(apart)
    noise = [_error_of(moves[host]) for host in hosts]
    return HostEffects(
        np.array(hosts, dtype=np.int64),
        np.round([float(np.mean(apart[host])) for host in hosts], _DECIMALS),
        np.array([error for error, _ in noise], dtype=np.float64),
        np.array([blocks for _, blocks in noise], dtype=np.int64),
    )


def _error_of(moves: Sequence[tuple[int, float]]) -> tuple[float, int]:
    """Standard error of a host's mean from its blocks, cells of one block averaged, and their number."""
    orders = np.array([order for order, _ in moves])
    places, code = np.unique(orders, return_inverse=True)
    means = np.bincount(code, weights=[log for _, log in moves]) / np.bincount(code)
    if places.size < 2:
        return 0.0, int(places.size)
    return float(means.std(ddof=1)) / math.sqrt(places.size), int(places.size)


@dataclass(frozen=True)
class Outlying:
    """How far each host is from the others."""

    z: Floats
    """Modified z-score: distance from the median host over the hosts' robust spread, noise included."""
    p_value: Floats
    """Chance of such a host among that many, if hosts differed as the others do."""
    picked: Bools
    """Beyond ``FAR_Z`` and the floor."""


def outlying(found: HostEffects) -> Outlying | None:
    """Which hosts are not like the others; None below ``FEWEST_HOSTS``.

    The spread is the median absolute deviation, never less than the noise of a host's own blocks, so
    that hosts that are alike give none. A host with a score beyond ``FAR_Z`` and the floor is then set
    against those without: Student's t with their spread, a degree of freedom less for each host that was
    picked, times the number of ways to pick so many (Bonferroni). It is an outlier when that is small.
    """
    n = found.hosts.size
    if n < FEWEST_HOSTS:
        return None
    apart = found.effects - np.median(found.effects)
    noise = float(np.median(found.errors))
    spread = float(np.median(np.abs(apart))) / _MAD_TO_SD
    between = max(0.0, spread**2 - noise**2)
    scale = np.sqrt(between + np.maximum(found.errors, noise) ** 2)
    z = np.divide(apart, scale, out=np.where(apart == 0, 0.0, np.sign(apart) * 1e6), where=scale > 0)
    picked = (np.abs(z) > FAR_Z) & (np.abs(apart) > FLOOR)
    rest = apart[~picked]
    df = max(1, rest.size - 1 - int(picked.sum()))
    error = math.sqrt(max(float(rest.var(ddof=1)) if rest.size > 1 else 0.0, noise**2))
    error *= math.sqrt(1 + 1 / max(1, rest.size))
    single = np.array([_two_sided(a - float(rest.mean()), error, df) for a in apart])
    ways = math.comb(n, max(1, int(picked.sum())))
    p_value = np.minimum(1.0, single * float(min(ways, 10**300)))
    return Outlying(z, p_value, picked)


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


@dataclass(frozen=True)
class HostRatios:
    """A ratio of two variants on every host, and whether hosts agree about it."""

    hosts: Ints
    ratios: tuple[Sign, ...]
    """Each host's, with Student's interval over its blocks; none below three of them."""
    p_value: float | None
    """Chance of hosts that differ so, if the ratio were the same on all of them."""


def host_ratios(logs: BlockLogs) -> HostRatios:
    """Paired log ratios, one per block, by host: a one-way analysis of variance over hosts."""
    hosts = np.unique(logs.hosts)
    groups = [np.round(logs.logs[logs.hosts == host], _DECIMALS) for host in hosts]
    ratios = tuple(_mean_ratio(group) for group in groups)
    several = [group for group in groups if group.size > 1]
    df = sum(group.size - 1 for group in several)
    if len(several) < 2 or df < MINIMUM_BLOCKS:
        return HostRatios(hosts, ratios, None)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in several) / df
    centre = float(np.concatenate(several).mean())
    between = sum(group.size * (float(group.mean()) - centre) ** 2 for group in several)
    between /= len(several) - 1
    if within == 0:
        return HostRatios(hosts, ratios, 1.0 if between < 1e-15 else 0.0)
    return HostRatios(hosts, ratios, float(special.fdtrc(len(several) - 1, df, between / within)))


def _mean_ratio(logs: Floats) -> Sign:
    mean = float(logs.mean())
    if logs.size < MINIMUM_BLOCKS:
        return Sign(math.exp(mean))
    error = float(logs.std(ddof=1)) / math.sqrt(logs.size)
    half = t_quantile(logs.size - 1) * error
    return Sign(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def _two_sided(apart: float, error: float, df: float) -> float:
    if error == 0:
        return 1.0 if apart == 0 else 0.0
    return float(2 * special.stdtr(df, -abs(apart) / error))
