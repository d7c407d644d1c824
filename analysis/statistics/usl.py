"""How a rate grows with the number in flight: contention, coherency, and where it peaks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize

from analysis.statistics.blocks import Floats
from analysis.statistics.proportions import Estimate
from analysis.statistics.resampling import Replication, around, block_draws

LEAST_LEVELS = 6
"""Different numbers in flight that a curve of three parameters needs."""
FARTHEST = 2.0
"""Nothing is said beyond so many times the largest number in flight that was measured."""
DRAWS = 400
"""Bootstrap draws: each is a fit of its own."""

Model = Literal["usl", "amdahl"]


@dataclass(frozen=True)
class Load:
    """Rates of one block, each with its number in flight."""

    n: Floats
    """In flight."""
    rate: Floats
    """Per second."""
    host: int = 0


@dataclass(frozen=True, slots=True)
class Scaling:
    """X(N) = γN / (1 + α(N − 1) + βN(N − 1)); without ``model`` there was too little to fit."""

    model: Model | None
    """``amdahl``: the data cannot tell β from 0, so it is 0 and the rate has no peak."""
    gamma: Estimate
    """Rate of one alone, per second."""
    alpha: Estimate
    """Contention: the share that goes one after another."""
    beta: Estimate
    """Coherency: what each has to settle with every other."""
    peak_n: Estimate
    """Where the rate is largest; an end beyond what may be said is infinite."""
    peak_rate: Estimate
    """The rate there, per second."""
    levels: int
    blocks: int
    largest: float
    """The largest number in flight that was measured."""

    @property
    def reach(self) -> float:
        """Up to where the curve may be read."""
        return FARTHEST * self.largest

    def rate_at(self, n: float) -> float | None:
        """The rate with ``n`` in flight; None beyond ``reach``, below 1, and without a model."""
        params = self.gamma.value, self.alpha.value, self.beta.value
        if None in params or not 1 <= n <= self.reach:
            return None
        return float(_rates(np.array([n]), np.array(params, dtype=np.float64))[0])


_NONE = Estimate(None, None, None)


def scaling_of(loads: Sequence[Load], rng: np.random.Generator) -> Scaling:
    """Fit the Universal Scalability Law (Gunther, Guerrilla Capacity Planning, 2007) to rates.

    Least squares on the rates with α, β, γ ≥ 0. Intervals come from fits to resampled blocks, that of the
    peak on the logarithm. Where β's holds 0, Amdahl's law is fitted instead, which has no peak. Else the
    peak lies at N = √((1 − α)/β). No fit below ``LEAST_LEVELS`` different numbers in flight, no interval
    below three blocks.
    """
    usable = [load for load in loads if load.n.size]
    levels = np.unique(np.concatenate([load.n for load in usable])) if usable else np.zeros(0)
    sums, counts = _on_levels(usable, levels)
    size = levels.size, len(usable), float(levels.max(initial=0.0))
    most = float(np.divide(sums.sum(axis=0), np.maximum(counts.sum(axis=0), 1)).max(initial=0.0))
    if levels.size < LEAST_LEVELS or not 0 < most < math.inf:
        return Scaling(None, _NONE, _NONE, _NONE, _NONE, _NONE, *size)
    replication = Replication.of(np.array([load.host for load in usable]))
    data = _Data(levels, sums / most, counts, replication)
    weights = _weights(replication, rng)
    found = data.fit(np.ones(len(usable)), free=3)
    params = _intervals(data, found, weights, free=3)
    beta = params[2]
    if math.isinf(_peak(found)) or (beta.low is not None and beta.low <= 0):
        found = data.fit(np.ones(len(usable)), free=2)
        gamma, alpha, beta = _intervals(data, found, weights, free=2)
        return Scaling("amdahl", _times(gamma, most), alpha, beta, _NONE, _NONE, *size)
    peaks = _peaks(data, found, weights, FARTHEST * size[2])
    return Scaling(
        "usl", _times(params[0], most), params[1], beta, peaks[0], _times(peaks[1], most), *size
    )


@dataclass(frozen=True)
class _Data:
    """Rates of every block at every level, as sums and counts: least squares need no more."""

    levels: Floats
    sums: Floats
    counts: Floats
    replication: Replication

    def fit(self, weights: Floats, free: int) -> Floats:
        """γ, α, β of blocks with these weights; with two free ones β is 0."""
        counts = weights @ self.counts
        some = counts > 0
        n, counts = self.levels[some], counts[some]
        means, root = (weights @ self.sums)[some] / counts, np.sqrt(counts)
        begin = _linear(n, means, free)

        def left(params: Floats) -> Floats:
            return np.asarray(root * (_rates(n, params) - means))

        def slopes(params: Floats) -> Floats:
            return np.asarray(root[:, None] * _gradient(n, params)[:, :free])

        solved = optimize.least_squares(
            left, begin, jac=slopes, bounds=(0, np.inf), x_scale=np.maximum(begin, 1e-4)
        )
        return np.append(solved.x, np.zeros(3 - free))


def _rates(n: Floats, params: Floats) -> Floats:
    gamma, alpha, beta = params if len(params) == 3 else (*params, 0.0)
    return np.asarray(gamma * n / (1 + alpha * (n - 1) + beta * n * (n - 1)))


def _gradient(n: Floats, params: Floats) -> Floats:
    """Derivatives of the rates by γ, α and β."""
    gamma, alpha, beta = params if len(params) == 3 else (*params, 0.0)
    below = 1 + alpha * (n - 1) + beta * n * (n - 1)
    by_alpha = -gamma * n * (n - 1) / below**2
    return np.asarray(np.column_stack([n / below, by_alpha, by_alpha * n]))


def _linear(n: Floats, rate: Floats, free: int) -> Floats:
    """Where to begin: N/X = (1 + α(N − 1) + βN(N − 1))/γ is linear, each point weighted as its rate is."""
    columns = np.column_stack([np.ones_like(n), n - 1, n * (n - 1)])[:, :free]
    weight = rate**2 / n
    found, _ = optimize.nnls(columns * weight[:, None], rate)
    base = found[0] if found[0] > 0 else 1 / max(float((rate / n).max()), 1e-9)
    return np.maximum(np.append(1 / base, found[1:] / base), 1e-9)


def _on_levels(loads: Sequence[Load], levels: Floats) -> tuple[Floats, Floats]:
    """Sums of rates and their counts: blocks × levels."""
    sums, counts = np.zeros((len(loads), levels.size)), np.zeros((len(loads), levels.size))
    for row, load in enumerate(loads):
        place = np.searchsorted(levels, load.n)
        np.add.at(sums[row], place, load.rate)
        np.add.at(counts[row], place, 1)
    return sums, counts


def _weights(replication: Replication, rng: np.random.Generator) -> Floats:
    """Weights of resampled blocks; none below three blocks."""
    if not replication.enough:
        return np.zeros((0, replication.blocks))
    return np.concatenate(list(block_draws(replication, 1, rng)))[:DRAWS]


def _intervals(data: _Data, found: Floats, weights: Floats, free: int) -> list[Estimate]:
    drawn = np.array([data.fit(row, free) for row in weights]).reshape(-1, 3)
    return [_above_zero(around(float(v), drawn[:, i], data.replication)) for i, v in enumerate(found)]


def _above_zero(found: Estimate) -> Estimate:
    return Estimate(found.value, None if found.low is None else max(0.0, found.low), found.high)


def _peaks(data: _Data, found: Floats, weights: Floats, reach: float) -> tuple[Estimate, Estimate]:
    """Where the rate peaks, and the rate there; none when that lies beyond reach."""
    peak = _peak(found)
    if peak > reach:
        return _NONE, _NONE
    fits = [data.fit(row, 3) for row in weights]
    at = np.minimum([_peak(fit) for fit in fits], 10 * reach)
    rates = [float(_rates(np.array([min(p, reach)]), f)[0]) for p, f in zip(at, fits, strict=True)]
    rate = float(_rates(np.array([peak]), found)[0])
    where, there = (
        _of_logs(value, np.asarray(drawn), data.replication)
        for value, drawn in ((peak, at), (rate, rates))
    )
    high = math.inf if where.high is not None and where.high > reach else where.high
    low = None if where.low is None else max(1.0, where.low)
    return Estimate(peak, low, high), there


def _peak(params: Floats) -> float:
    _, alpha, beta = params
    return math.sqrt(max(0.0, 1 - alpha) / beta) if beta > 1e-12 else math.inf


def _of_logs(value: float, drawn: Floats, replication: Replication) -> Estimate:
    ends = around(math.log(value), np.log(drawn), replication)
    if ends.low is None or ends.high is None:
        return Estimate(value, None, None)
    return Estimate(value, math.exp(ends.low), math.exp(min(700.0, ends.high)))


def _times(found: Estimate, factor: float) -> Estimate:
    ends = (found.value, found.low, found.high)
    return Estimate(*(None if end is None else end * factor for end in ends))
