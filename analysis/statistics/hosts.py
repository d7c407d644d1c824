"""Hosts against each other: which of them are not like the others, and whether they agree.

All of it works on logarithms, one per block of a host, so that differences are ratios.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from analysis.statistics import LEVEL
from analysis.statistics.blocks import MINIMUM_BLOCKS, Floats, Ints, t_quantile
from analysis.statistics.diagnostics import DECIMALS, FLOOR, BlockLogs, Sign, two_sided

FEWEST_HOSTS = 5
"""With fewer hosts none can be told apart from how hosts differ."""
FAR_Z = 3.5
"""Modified z-score of an outlier (Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993)."""
_MAD_TO_SD = 0.6745
_ROUNDING = 1e-18
"""A variance of logarithms that is none but of rounding."""

Bools = npt.NDArray[np.bool_]


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
        np.round([float(np.mean(apart[host])) for host in hosts], DECIMALS),
        np.array([error for error, _ in noise], dtype=np.float64),
        np.array([blocks for _, blocks in noise], dtype=np.int64),
    )


def _error_of(moves: Sequence[tuple[int, float]]) -> tuple[float, int]:
    """Standard error of a host's mean from its blocks, cells of one block averaged, and their number."""
    orders = np.array([order for order, _ in moves])
    places, code = np.unique(orders, return_inverse=True)
    means = np.bincount(code, weights=[log for _, log in moves]) / np.bincount(code)
    return _standard_error(means), int(places.size)


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
    single = np.array([two_sided(a - float(rest.mean()), error, df) for a in apart])
    ways = math.comb(n, max(1, int(picked.sum())))
    p_value = np.minimum(1.0, single * float(min(ways, 10**300)))
    return Outlying(z, p_value, picked)


@dataclass(frozen=True)
class HostRatios:
    """A ratio of two variants on every host, and whether hosts agree about it."""

    hosts: Ints
    ratios: tuple[Sign, ...]
    """Each host's, with Student's interval over its blocks; none below three of them."""
    errors: Floats
    """Standard error of each one's logarithm; 0 with a single block."""
    p_value: float | None
    """Chance of hosts that differ so, if the ratio were the same on all of them."""

    def unlike(self) -> Ints:
        """Hosts whose ratio lies on the other side of 1 than most, or far from the others'."""
        sides = [_side(ratio) for ratio in self.ratios]
        most = 1 if sides.count(1) >= sides.count(-1) else -1
        effects = np.log([ratio.ratio or 1.0 for ratio in self.ratios])
        judged = outlying(HostEffects(self.hosts, effects, self.errors, np.ones_like(self.hosts)))
        far = judged.picked & (judged.p_value <= 1 - LEVEL) if judged else False
        against = np.array([side == -most for side in sides], dtype=bool)
        return self.hosts[against & (sides.count(most) > 0) | far]


def host_ratios(logs: BlockLogs) -> HostRatios:
    """Paired log ratios, one per block, by host: a one-way analysis of variance over hosts."""
    hosts = np.unique(logs.hosts)
    groups = [np.round(logs.logs[logs.hosts == host], DECIMALS) for host in hosts]
    ratios = tuple(_mean_ratio(group) for group in groups)
    errors = np.array([_standard_error(group) for group in groups], dtype=np.float64)
    several = [group for group in groups if group.size > 1]
    df = sum(group.size - 1 for group in several)
    if len(several) < 2 or df < MINIMUM_BLOCKS:
        return HostRatios(hosts, ratios, errors, None)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in several) / df
    centre = float(np.concatenate(several).mean())
    between = sum(group.size * (float(group.mean()) - centre) ** 2 for group in several)
    between /= len(several) - 1
    if within < _ROUNDING:
        return HostRatios(hosts, ratios, errors, 1.0 if between < _ROUNDING else 0.0)
    return HostRatios(
        hosts, ratios, errors, float(special.fdtrc(len(several) - 1, df, between / within))
    )


def _mean_ratio(logs: Floats) -> Sign:
    mean = float(logs.mean())
    if logs.size < MINIMUM_BLOCKS:
        return Sign(math.exp(mean))
    half = t_quantile(logs.size - 1) * _standard_error(logs)
    return Sign(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def _standard_error(logs: Floats) -> float:
    return float(logs.std(ddof=1)) / math.sqrt(logs.size) if logs.size > 1 else 0.0


def _side(ratio: Sign) -> int:
    """1 where the whole interval lies above the equivalence band, −1 below it, else 0."""
    if ratio.low is None or ratio.high is None:
        return 0
    return int(ratio.low > math.exp(FLOOR)) - int(ratio.high < math.exp(-FLOOR))
