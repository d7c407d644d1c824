"""Two alternatives that were measured at different times: what may be claimed of their ratio."""

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from analysis.statistics.blocks import MINIMUM_BLOCKS, Floats, satterthwaite, t_quantile
from analysis.statistics.comparison import BlockMedians

RUN_DRIFT = 0.02
"""Assumed of every host: by how much two runs of the same thing differ without a cause, one sigma."""
DRIFT_COUNTS_AS = 8
"""The assumption weighs as if it had been seen on so many hosts; the hosts measured add to it."""
FEWEST_HOSTS = 3
"""Of each side, to say how much hosts differ."""
_MOST_CORRELATION = 0.9

Pairing = Literal["host", "none"]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RunsRatio:
    """How many times the baseline's value, from two runs."""

    value: float | None
    within: Interval | None
    """95 % interval of the noise within the runs, and between the hosts that were measured."""
    claim: Interval | None
    """The one that verdicts rest on: wider by what a host may drift between two runs."""
    p_value: float | None
    """From the wider one."""
    hosts: int
    blocks: int
    """Of the side that has fewer."""
    pairing: Pairing


@dataclass(frozen=True)
class _Side:
    """Logarithms of one side's values: a series in the order of blocks for every host."""

    series: dict[int, Floats]

    @property
    def blocks(self) -> int:
        return sum(one.size for one in self.series.values())

    def means(self, hosts: list[int]) -> Floats:
        return np.array([self.series[host].mean() for host in hosts], dtype=np.float64)

    def select(self, hosts: list[int]) -> "_Side":
        return _Side({host: self.series[host] for host in hosts})

    def variance(self) -> tuple[float, int]:
        """Variance between blocks of the same host, and its degrees of freedom."""
        squares = sum(float(((one - one.mean()) ** 2).sum()) for one in self.series.values())
        df = sum(one.size - 1 for one in self.series.values())
        return (squares / df if df else 0.0), df


def ratio_between_runs(
    other: BlockMedians, baseline: BlockMedians, drift: float = RUN_DRIFT
) -> RunsRatio:
    """Ratio of two runs, each host against itself: what a host is cancels, what a moment does not.

    The estimate is the geometric mean over hosts of the ratio of the two runs' geometric means over
    blocks. Its variance is that of the hierarchical bootstrap host → block → instance, which for a mean
    of logarithms is known in closed form (Davison & Hinkley, Bootstrap Methods and their Application,
    1997, §3.8): blocks within hosts on both sides, widened where neighbouring blocks resemble each other
    (an AR(1) process; Kendall's correction for short series, Biometrika 41, 1954), plus what the ratio
    varies between hosts beyond that.

    One run each cannot show how much a host drifts between runs. The claim therefore adds ``drift`` for
    both runs, moderated by what the hosts measured show and never below that: the assumption counts as
    ``DRIFT_COUNTS_AS`` hosts (a moderated variance as in Smyth, Statistical Applications in Genetics and
    Molecular Biology 3, 2004). Degrees of freedom are Satterthwaite's. Without a common host the sides
    are compared as two samples of hosts (Welch, Biometrika 34, 1947), at least ``FEWEST_HOSTS`` each.
    """
    above, below = _side(other), _side(baseline)
    blocks = min(above.blocks, below.blocks)
    every = [*above.series.values(), *below.series.values()]
    usable = blocks > 0 and all(np.isfinite(one).all() for one in every)
    common = sorted(set(above.series) & set(below.series))
    if not usable:
        return RunsRatio(None, None, None, None, len(common), blocks, "host")
    if not common:
        return _of_samples(above, below)
    return _of_hosts(above.select(common), below.select(common), common, drift)


def _side(blocks: BlockMedians) -> _Side:
    series: dict[int, list[float]] = defaultdict(list)
    for (host, _), value in sorted(zip(blocks.keys, blocks.medians.tolist(), strict=True)):
        series[host].append(math.log(value) if 0 < value < math.inf else math.nan)
    return _Side({host: np.array(values, dtype=np.float64) for host, values in series.items()})


def _of_hosts(above: _Side, below: _Side, hosts: list[int], drift: float) -> RunsRatio:
    effects = above.means(hosts) - below.means(hosts)
    centre, blocks = float(effects.mean()), min(above.blocks, below.blocks)
    (spread_a, df_a), (spread_b, df_b) = above.variance(), below.variance()
    if min(df_a, df_b) < MINIMUM_BLOCKS - 1:
        return RunsRatio(math.exp(centre), None, None, None, len(hosts), blocks, "host")
    correlation = _correlation([*above.series.values(), *below.series.values()])
    of_host = np.array(
        [
            spread_a * _of_mean(above.series[h].size, correlation)
            + spread_b * _of_mean(below.series[h].size, correlation)
            for h in hosts
        ]
    )
    within, df_within = float(of_host.mean()), float(df_a + df_b)
    if spread_a + spread_b > 0:
        df_within = satterthwaite(spread_a / (spread_a + spread_b), df_a, df_b)
    seen, df_seen = 0.0, len(hosts) - 1
    if len(hosts) >= FEWEST_HOSTS:
        seen = max(0.0, float(effects.var(ddof=1)) - within)
    df_between = float(DRIFT_COUNTS_AS + df_seen)
    moderated = (DRIFT_COUNTS_AS * 2 * drift**2 + df_seen * seen) / df_between
    if seen > moderated:  # the more the hosts contradict the assumption, the less it is worth
        df_between = df_seen + DRIFT_COUNTS_AS * (2 * drift**2 / seen) ** 2
    df = df_within, df_between
    shown = _half(within, seen, len(hosts), df)
    claim = _half(within, max(seen, moderated), len(hosts), df)
    within_runs, claimed = (
        (math.exp(centre - half), math.exp(centre + half)) for half in (shown[0], claim[0])
    )
    p_value = _p(centre, *claim[1:])
    return RunsRatio(math.exp(centre), within_runs, claimed, p_value, len(hosts), blocks, "host")


def _half(
    within: float, between: float, hosts: int, df: tuple[float, float]
) -> tuple[float, float, float]:
    """Half the width of the interval, the standard error, and its degrees of freedom."""
    total = within + between
    if total <= 0:
        return 0.0, 0.0, df[0]
    joint = satterthwaite(within / total, df[0], df[1])
    error = math.sqrt(total / hosts)
    return t_quantile(joint) * error, error, joint


def _of_samples(above: _Side, below: _Side) -> RunsRatio:
    sides = [side.means(sorted(side.series)) for side in (above, below)]
    centre = float(sides[0].mean() - sides[1].mean())
    hosts, blocks = min(one.size for one in sides), min(above.blocks, below.blocks)
    if hosts < FEWEST_HOSTS:
        return RunsRatio(math.exp(centre), None, None, None, hosts, blocks, "none")
    parts = [float(one.var(ddof=1)) / one.size for one in sides]
    error = math.sqrt(sum(parts))
    df = float(sum(one.size - 1 for one in sides))
    if error > 0:
        df = satterthwaite(parts[0] / sum(parts), sides[0].size - 1, sides[1].size - 1)
    half = t_quantile(df) * error
    ends = math.exp(centre - half), math.exp(centre + half)
    p_value = _p(centre, error, df)
    return RunsRatio(math.exp(centre), ends, ends, p_value, hosts, blocks, "none")


def _p(centre: float, error: float, df: float) -> float:
    if error == 0:
        return 1.0 if centre == 0 else 0.0
    return float(2 * special.stdtr(df, -abs(centre) / error))


def _correlation(series: list[Floats]) -> float:
    """Correlation of neighbouring blocks over all series together, less its own standard error.

    From 0 to ``_MOST_CORRELATION``: without the error taken off, blocks that do not resemble each other
    would be taken for such that do in every second case.
    """
    left = [one - one.mean() for one in series if one.size > 1]
    total = sum(float((one**2).sum()) for one in left)
    length = float(np.mean([one.size for one in left])) if left else 0.0
    if total <= 0 or length <= 5:
        return 0.0
    raw = sum(float((one[1:] * one[:-1]).sum()) for one in left) / total
    found = (length * raw + 1) / (length - 4) - 1 / math.sqrt(sum(one.size for one in left))
    return min(_MOST_CORRELATION, max(0.0, found))


def _of_mean(n: int, correlation: float) -> float:
    """Variance of the mean of ``n`` values of an AR(1) process, over their sample variance."""
    lags = np.arange(1, n)
    inflation = 1 + 2 * float(((1 - lags / n) * correlation**lags).sum())
    return inflation / n * (n - 1) / (n - inflation) if n > 1 else 1.0
