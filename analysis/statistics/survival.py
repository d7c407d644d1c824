"""Times until something happens, some of which are only known to be longer: recoveries."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse, special

from analysis.statistics import LEVEL
from analysis.statistics.blocks import Blocks, Floats, Ints, t_quantile
from analysis.statistics.buckets import GRAIN, buckets_of, middles
from analysis.statistics.proportions import Estimate, wilson
from analysis.statistics.resampling import Replication, around, block_draws

Bools = npt.NDArray[np.bool_]
MOST_MOMENTS = 10_000
"""Where more times differ, intervals are worked out in steps of 0.1 %: a resample is a whole curve."""


@dataclass(frozen=True)
class Lifetimes:
    """Times, whether each ended by the event (else it was cut off), and the block of each."""

    times: Floats
    happened: Bools
    block: Ints
    host: Ints
    """Where each was observed: blocks are drawn anew within their host only."""
    count: Ints
    """How many such times there were."""
    grain: float = 0.0
    """By what share of itself each time may be off, because times were counted in steps."""

    @cached_property
    def moments(self) -> Floats:
        """Distinct times at which something happened, in order."""
        return np.unique(self.times[self.happened])

    @cached_property
    def coarse(self) -> "Lifetimes":
        """The same for resampling: times in steps of 0.1 % where very many differ."""
        if self.moments.size <= MOST_MOMENTS:
            return self
        return replace(self, times=middles(buckets_of(self.times)), grain=self.grain + GRAIN)

    @cached_property
    def blocks(self) -> int:
        """Number of blocks."""
        return int(np.unique(self.block).size)

    @cached_property
    def replication(self) -> Replication:
        """The blocks as what is drawn anew, with the host of each."""
        _, first = np.unique(self.block, return_index=True)
        return Replication.of(self.host[first])

    def fates(self, horizon: float) -> tuple[Blocks, Floats]:
        """Of how many in each block it is known whether it happened by ``horizon``, and to how many not.

        Blocks of which nothing is known are left out.
        """
        _, first, code = np.unique(self.block, return_index=True, return_inverse=True)
        early = self.happened & (self.times <= horizon)
        late = ~early & (self.times >= horizon)
        hits = np.bincount(code, weights=late * self.count, minlength=first.size)
        sizes = np.bincount(code, weights=(early | late) * self.count, minlength=first.size)
        some = sizes > 0
        numbers = np.arange(int(some.sum()))
        blocks = Blocks(sizes[some].astype(np.int64), self.host[first][some], numbers)
        return blocks, np.asarray(hits[some], dtype=np.float64)

    @cached_property
    def totals(self) -> tuple[Floats, Floats]:
        """Events at each moment, and times not yet over just before it."""
        return self.drawn(np.ones((1, self.blocks)))

    def drawn(self, weights: Floats) -> tuple[Floats, Floats]:
        """The same of resamples, given how often each block is in each of them: draws × moments."""
        events, over = (np.asarray(weights @ part) for part in self._of_blocks)
        return events, np.cumsum(over[:, ::-1], axis=1)[:, ::-1]

    @cached_property
    def _of_blocks(self) -> tuple[Any, Any]:
        """Events of each block at each moment, and times that end there or before the next moment.

        Most of that is nothing: it is kept as sparse as it is.
        """
        _, code = np.unique(self.block, return_inverse=True)
        shape = self.blocks, self.moments.size
        last = np.searchsorted(self.moments, self.times, side="right") - 1
        chosen = self.happened, last >= 0
        return tuple(
            sparse.csr_array(
                (self.count[some].astype(np.float64), (code[some], last[some])), shape=shape
            )
            for some in chosen
        )  # type: ignore[return-value]


def lifetimes(times: Any, happened: Any, block: Any, host: Any = None, count: Any = None) -> Lifetimes:
    """Build them from columns. A block has a number of its own; without hosts there is a single one."""
    blocks = np.asarray(block, dtype=np.int64)
    return Lifetimes(
        np.asarray(times, dtype=np.float64),
        np.asarray(happened, dtype=np.bool_),
        blocks,
        np.zeros_like(blocks) if host is None else np.asarray(host, dtype=np.int64),
        np.ones_like(blocks) if count is None else np.asarray(count, dtype=np.int64),
    )


@dataclass(frozen=True)
class SurvivalCurve:
    """Share to which nothing has happened yet, from each moment on. Before the first one it is 1."""

    times: Floats
    share: Floats
    low: Floats
    """Lower end of the pointwise 95 % interval; NaN where there is none."""
    high: Floats
    at_risk: Floats
    """How many were still waiting just before the moment."""


def survival_curve(life: Lifetimes) -> SurvivalCurve:
    """Kaplan & Meier (Journal of the American Statistical Association 53, 1958).

    The interval is symmetric in log(−log S) and uses Greenwood's variance, as if every time were worth
    one (Kalbfleisch & Prentice, The Statistical Analysis of Failure Time Data, 2002). Once nobody
    is left there is none.
    """
    events, at_risk = (part[0] for part in life.totals)
    share = np.cumprod(1 - events / at_risk)
    low, high = _log_log(share, _greenwood(events, at_risk), float(special.ndtri((1 + LEVEL) / 2)))
    return SurvivalCurve(life.moments, share, low, high, at_risk)


def restricted_mean(life: Lifetimes, horizon: float, rng: np.random.Generator) -> Estimate:
    """Mean time until it happens, every one counted up to ``horizon`` at most.

    The area under the curve up to there (Irwin, Journal of Hygiene 47, 1949): the expected time spent
    waiting within ``horizon``. It is m + q·(horizon − m), where q is the share to which it has not
    happened by then and m the mean of the others. Few that never end decide most of it, and resampling
    cannot draw what was not seen; so q has Wilson's interval at the effective number, m one from
    resampled blocks that is symmetric in the logarithm, and the two are put together by the distances
    of their ends (MOVER: Zou & Donner, Statistics in Medicine 27, 2008). None without times, no
    interval below three blocks or where nothing happened.
    """
    if not life.times.size:
        return Estimate(None, None, None)
    one = np.ones((1, life.blocks))
    value, waiting = (float(part[0]) for part in _area(life, one, horizon))
    share = _unended_share(life, horizon, waiting)
    early = life.moments <= horizon
    if not early.any() or share is None or waiting >= 1:
        return Estimate(value, None, None)
    coarse = life.coarse
    drawn = [
        _mean_of_ended(*_area(coarse, weights, horizon), horizon)
        for weights in block_draws(coarse.replication, coarse.moments.size, rng)
    ]
    mean = _mean_of_ended(np.array([value]), np.array([waiting]), horizon)[0]
    low, high = _stretched(float(mean), np.concatenate(drawn), coarse.replication)
    below = math.hypot((mean - low) * (1 - waiting), (waiting - share[0]) * (horizon - mean))
    above = math.hypot((high - mean) * (1 - waiting), (share[1] - waiting) * (horizon - mean))
    low, high = value - below - coarse.grain * value, value + above + coarse.grain * value
    return Estimate(value, max(0.0, low), min(horizon, high))


def _unended_share(life: Lifetimes, horizon: float, value: float) -> tuple[float, float] | None:
    """Interval of the share that waits longer than ``horizon``; None below three blocks."""
    blocks, hits = life.fates(horizon)
    n_eff = blocks.effective_n(hits) if blocks.n else None
    return None if n_eff is None else wilson(value * n_eff, n_eff)


def _mean_of_ended(area: Floats, waiting: Floats, horizon: float) -> Floats:
    """Mean of those that ended by ``horizon``; of a draw in which none did, ``horizon``."""
    ended = 1 - waiting
    some = ended > 1e-12
    return np.divide(area - waiting * horizon, ended, where=some, out=np.full_like(area, horizon))


def _stretched(value: float, draws: Floats, replication: Replication) -> tuple[float, float]:
    """Both ends of an interval that is symmetric in the logarithm."""
    high = around(value, draws, replication).high
    if high is None or value <= 0:
        return value, value
    stretch = math.exp(min(700.0, (high - value) / value))
    return value / stretch, value * stretch


def mean_time_within(life: Lifetimes, horizon: float) -> float:
    """The restricted mean alone, as of one block."""
    return float(_area(life, np.ones((1, life.blocks)), horizon)[0][0])


def median_time(life: Lifetimes, rng: np.random.Generator) -> Estimate:
    """Time by which it has happened to half of all; infinite when that was not reached.

    The interval holds the times at which the interval of the share covers one half (Brookmeyer &
    Crowley, Biometrics 38, 1982). That interval is the wider one of Greenwood's and of the one from
    resampled blocks, so that times of one block that resemble each other do not pass for many. None
    without times, no interval below three blocks.
    """
    if not life.times.size:
        return Estimate(None, None, None)
    curve = survival_curve(life)
    value = _first_below(curve.times, curve.share)
    if not life.replication.enough:
        return Estimate(value, None, None)
    coarse = life.coarse
    curve = curve if coarse is life else survival_curve(coarse)
    spread = _spread(coarse, curve.share, rng)
    wide_low, wide_high = _log_log(curve.share, spread**2, t_quantile(coarse.replication.df))
    low, high = np.fmin(curve.low, wide_low), np.fmax(curve.high, wide_high)
    gone = curve.share <= 0
    ends = [
        _first_below(curve.times, np.where(gone, 0.0, np.nan_to_num(end, nan=1.0)))
        for end in (low, high)
    ]
    return Estimate(value, ends[0] * (1 - coarse.grain), ends[1] * (1 + coarse.grain))


def _spread(life: Lifetimes, share: Floats, rng: np.random.Generator) -> Floats:
    """Standard error of log S at every moment from resampled blocks, by the delta method."""
    count, total, squares = 0, np.zeros_like(share), np.zeros_like(share)
    for weights in block_draws(life.replication, life.moments.size, rng):
        drawn = _curves(*life.drawn(weights)) - share
        count += drawn.shape[0]
        total, squares = total + drawn.sum(axis=0), squares + (drawn**2).sum(axis=0)
    variance = np.maximum(0.0, squares / count - (total / count) ** 2)
    error = np.sqrt(variance * life.replication.inflation)
    return np.divide(error, share, where=share > 0, out=np.zeros_like(share))


def _curves(happened: Floats, waiting: Floats) -> Floats:
    """Curves of resamples: draws × moments."""
    ratio = np.divide(happened, waiting, where=waiting > 0, out=np.zeros_like(happened))
    return np.asarray(np.cumprod(1 - ratio, axis=1))


def _area(life: Lifetimes, weights: Floats, horizon: float) -> tuple[Floats, Floats]:
    """Area under each resample's curve up to ``horizon``, and its height there."""
    ends = np.append(np.minimum(life.moments, horizon), horizon)
    widths = np.diff(ends, prepend=0.0)
    shares = np.hstack([np.ones((weights.shape[0], 1)), _curves(*life.drawn(weights))])
    at_end = int(np.searchsorted(life.moments, horizon, side="right"))
    return np.asarray(shares @ widths), np.asarray(shares[:, at_end])


def _greenwood(events: Floats, at_risk: Floats) -> Floats:
    """Variance of log S (Greenwood, Reports on Public Health and Medical Subjects 33, 1926)."""
    left = at_risk * (at_risk - events)
    step = np.divide(events, left, where=left > 0, out=np.full_like(left, math.inf))
    return np.asarray(np.cumsum(step))


def _log_log(share: Floats, variance: Floats, critical: float) -> tuple[Floats, Floats]:
    """Interval of S that is symmetric in log(−log S), from the variance of log S."""
    inside = (share > 0) & (share < 1)
    log = np.log(share, where=inside, out=np.full_like(share, -1.0))
    half = np.where(inside, critical * np.sqrt(np.where(inside, variance, 0.0)) / -log, np.nan)
    stretched = np.exp(np.minimum(half, 700.0))
    return np.exp(log * stretched), np.exp(log / stretched)


def _first_below(moments: Floats, share: Floats) -> float:
    """The first moment at which no more than one half is left; infinite when there is none."""
    below = share <= 0.5 + 1e-12
    return float(moments[np.argmax(below)]) if below.any() else math.inf
