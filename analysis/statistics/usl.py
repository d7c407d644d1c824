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
_STEPS = 25
"""Of the search for a resample's fit, from that of all blocks."""
_NOTHING = 1e-12
"""A β below is 0."""

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
    misfit: float | None = None
    """By what share the curve misses the mean rate of the level that it misses most."""

    @property
    def reach(self) -> float:
        """Up to where the curve may be read."""
        return FARTHEST * self.largest

    def rate_at(self, n: float) -> float | None:
        """The rate with ``n`` in flight; None beyond ``reach``, below 1, and without a model."""
        params = self.gamma.value, self.alpha.value, self.beta.value
        if None in params or not 1 <= n <= self.reach:
            return None
        return _rate(n, np.array(params, dtype=np.float64))


_NONE = Estimate(None, None, None)


def scaling_of(loads: Sequence[Load], rng: np.random.Generator) -> Scaling:
    """Fit the Universal Scalability Law (Gunther, Guerrilla Capacity Planning, 2007) to rates.

    Least squares on the rates with α, β, γ ≥ 0. Intervals come from fits to resampled blocks, that of
    the peak on the logarithm. Where β's holds 0, Amdahl's law is fitted instead, which has no peak;
    intervals then span those of both fits. Else the peak lies at N = √((1 − α)/β). No fit below
    ``LEAST_LEVELS`` different numbers in flight, no interval below three blocks.
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
    full = data.fit(free=3)
    drawn = data.refit(full, weights, free=3)
    wide = _intervals(full, drawn, replication)
    gamma, alpha, beta = wide
    if math.isinf(_peak(full)) or (beta.low is not None and beta.low <= 0):
        less = data.fit(free=2)
        narrow = _intervals(less, data.refit(less, weights, free=2), replication)
        gamma, alpha, beta = map(_spanning, narrow, wide)
        ends = _times(gamma, most), alpha, beta, _NONE, _NONE
        return Scaling("amdahl", *ends, *size, data.misfit(less))
    peak_n, peak_rate = _peaks(full, drawn, replication, FARTHEST * size[2])
    ends = _times(gamma, most), alpha, beta, peak_n, _times(peak_rate, most)
    return Scaling("usl", *ends, *size, data.misfit(full))


@dataclass(frozen=True)
class _Data:
    """Rates of every block at every level, as sums and counts: least squares need no more."""

    levels: Floats
    sums: Floats
    counts: Floats
    replication: Replication

    def fit(self, free: int) -> Floats:
        """γ, α, β of all blocks; with two free ones β is 0."""
        n, counts = self.levels, self.counts.sum(axis=0)
        means, root = self.sums.sum(axis=0) / counts, np.sqrt(counts)
        begin = _linear(n, means, free)

        def left(params: Floats) -> Floats:
            return np.asarray(root * (_rates(n, params) - means))

        def slopes(params: Floats) -> Floats:
            return np.asarray(root[:, None] * _gradient(n, params)[:, :free])

        solved = optimize.least_squares(
            left, begin, jac=slopes, bounds=(0, np.inf), x_scale=np.maximum(begin, 1e-4)
        )
        return np.append(solved.x, np.zeros(3 - free))

    def misfit(self, params: Floats) -> float | None:
        """Largest distance of the curve from a level's mean rate, as a share of that."""
        means = self.sums.sum(axis=0) / self.counts.sum(axis=0)
        some = means > _NOTHING
        off = np.abs(_rates(self.levels[some], params) / means[some] - 1)
        return float(off.max()) if some.any() else None

    def refit(self, begin: Floats, weights: Floats, free: int) -> Floats:
        """The same for many weights of blocks at once: draws × 3, from where all blocks have ended.

        Levenberg's and Marquardt's steps; what would go below 0 is held there.
        """
        counts = weights @ self.counts
        means = np.divide(weights @ self.sums, counts, where=counts > 0, out=np.zeros_like(counts))
        params = np.repeat(begin[None, :], len(weights), axis=0)
        damping = np.full((len(weights), 1), 1e-3)
        squares = self._squares(params, means, counts)
        for _ in range(_STEPS):
            tried = np.maximum(0.0, params + self._step(params, means, counts, damping, free))
            found = self._squares(tried, means, counts)
            better = found <= squares
            params = np.where(better[:, None], tried, params)
            squares = np.where(better, found, squares)
            damping = np.clip(damping * np.where(better[:, None], 0.1, 10.0), 1e-12, 1e12)
        return params

    def _squares(self, params: Floats, means: Floats, counts: Floats) -> Floats:
        return np.asarray((counts * (_rates(self.levels, params) - means) ** 2).sum(axis=1))

    def _step(self, params: Floats, means: Floats, counts: Floats, damping: Floats, free: int) -> Floats:
        gradient = _gradient(self.levels, params)
        pull = np.einsum("dli,dl->di", gradient, counts * (means - _rates(self.levels, params)))
        bend = np.einsum("dli,dl,dlj->dij", gradient, counts, gradient)
        held = (params <= 0) & (pull < 0)
        held[:, free:] = True
        bend[held[:, :, None] | held[:, None, :]] = 0.0
        diagonal = np.einsum("dii->di", bend)
        diagonal += np.where(held, 1.0, damping * diagonal + 1e-12)
        return np.asarray(np.linalg.solve(bend, np.where(held, 0.0, pull)[:, :, None])[:, :, 0])


def _parts(n: Floats, params: Floats) -> tuple[Floats, Floats]:
    """γ and what it is divided by: one curve, or draws × levels."""
    padded = np.append(params, 0.0) if params.shape[-1] == 2 else params
    gamma, alpha, beta = np.moveaxis(padded[..., None], -2, 0)
    return gamma, np.asarray(1 + alpha * (n - 1) + beta * n * (n - 1))


def _rates(n: Floats, params: Floats) -> Floats:
    gamma, below = _parts(n, params)
    return np.asarray(gamma * n / below)


def _gradient(n: Floats, params: Floats) -> Floats:
    """Derivatives of the rates by γ, α and β, along the last axis."""
    gamma, below = _parts(n, params)
    by_alpha = -gamma * n * (n - 1) / below**2
    return np.asarray(np.stack([n / below, by_alpha, by_alpha * n], axis=-1))


def _linear(n: Floats, rate: Floats, free: int) -> Floats:
    """Where to begin: N/X = (1 + α(N − 1) + βN(N − 1))/γ is linear. Weights are those of the rates."""
    columns = np.column_stack([np.ones_like(n), n - 1, n * (n - 1)])[:, :free]
    weight = rate**2 / n
    found, _ = optimize.nnls(columns * weight[:, None], rate)
    base = found[0] if found[0] > 0 else 1 / max(float((rate / n).max()), 1e-9)
    return np.asarray(np.maximum(np.append(1 / base, found[1:] / base), 1e-9))


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
    return np.concatenate(list(block_draws(replication, 1, rng)))


def _intervals(found: Floats, drawn: Floats, replication: Replication) -> list[Estimate]:
    ends = [_around(float(value), drawn[:, i], replication) for i, value in enumerate(found)]
    return [Estimate(e.value, None if e.low is None else max(0.0, e.low), e.high) for e in ends]


def _spanning(one: Estimate, other: Estimate) -> Estimate:
    """The first with an interval that holds both: that β is 0 was chosen, not known."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return one
    return Estimate(one.value, min(one.low, other.low), max(one.high, other.high))


def _around(value: float, drawn: Floats, replication: Replication) -> Estimate:
    return around(value, drawn, replication) if drawn.size else Estimate(value, None, None)


def _peaks(
    found: Floats, drawn: Floats, replication: Replication, reach: float
) -> tuple[Estimate, Estimate]:
    """Where the rate peaks, and the rate there; none when that lies beyond reach."""
    peak = _peak(found)
    if peak > reach:
        return _NONE, _NONE
    at = np.array([min(_peak(fit), 10 * reach) for fit in drawn])
    rates = np.array([_rate(min(p, reach), fit) for p, fit in zip(at, drawn, strict=True)])
    where = _of_logs(peak, at, replication)
    high = math.inf if where.high is not None and where.high > reach else where.high
    low = None if where.low is None else max(1.0, where.low)
    return Estimate(peak, low, high), _of_logs(_rate(peak, found), rates, replication)


def _rate(n: float, params: Floats) -> float:
    return float(_rates(np.array([n]), params)[0])


def _peak(params: Floats) -> float:
    _, alpha, beta = params
    return max(1.0, math.sqrt(max(0.0, 1 - alpha) / beta)) if beta > _NOTHING else math.inf


def _of_logs(value: float, drawn: Floats, replication: Replication) -> Estimate:
    ends = _around(math.log(value), np.log(np.maximum(drawn, 1e-300)), replication)
    if ends.low is None or ends.high is None:
        return Estimate(value, None, None)
    return Estimate(value, math.exp(ends.low), math.exp(min(700.0, ends.high)))


def _times(found: Estimate, factor: float) -> Estimate:
    ends = (found.value, found.low, found.high)
    return Estimate(*(None if end is None else end * factor for end in ends))
