"""Where a curve over the number of instances bends, and how many instances an objective allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.statistics import LEVEL
from analysis.statistics.blocks import MINIMUM_BLOCKS, Floats
from analysis.statistics.proportions import Estimate
from analysis.statistics.resampling import around, block_draws
from analysis.statistics.slopes import Climb

BIC_MARGIN = 6.0
"""A bend is believed when it improves the BIC by more: strong evidence (Kass & Raftery, 1995)."""
LEAST_STEPS = 3
"""Different numbers of instances that must lie on either side of a bend."""
_PLACES = 200
"""Places at which a bend is looked for."""
_NOISE_FREE = 1e-18
"""Share of the variation below which a line leaves nothing over that could be explained."""


@dataclass(frozen=True, slots=True)
class Knee:
    """A line, or two that meet."""

    found: bool
    """Whether two lines fit better than one by the margin."""
    gain: float | None
    """By how much two lines improve the BIC; None with too few steps to try."""
    at: Estimate
    """Instances at the bend."""
    below: float | None
    """Slope before it, or of the single line."""
    above: float | None
    """Slope after it."""


@dataclass(frozen=True)
class _Moments:
    """Sums of squares and products within each staircase: blocks, or blocks × places."""

    nn: Floats
    ny: Floats
    yy: Floats
    nh: Floats
    hh: Floats
    hy: Floats


def knee_of(climbs: Sequence[Climb], rng: np.random.Generator) -> Knee:
    """Two lines that meet, against one: least squares over all staircases, each with a base of its own.

    The bend is where the squares left over are least, among ``_PLACES`` places with at least
    ``LEAST_STEPS`` steps on either side (Hudson, Journal of the American Statistical Association 61,
    1966). It is believed when BIC = m·ln(RSS/m) + p·ln m falls by more than ``BIC_MARGIN``, where the
    bend adds two parameters (Schwarz, Annals of Statistics 6, 1978). Only where it gets worse is it a
    knee: a bend downwards is none, and the p99 of a step with few probes makes such ones. Its interval
    comes from resampled staircases, and needs three. Take the logarithm of a latency before you pass it.
    """
    usable = [climb for climb in climbs if np.unique(climb.n).size > 1]
    steps = np.unique(np.concatenate([c.n for c in usable])) if usable else np.zeros(0)
    none = Estimate(None, None, None)
    if steps.size < 2:
        return Knee(False, None, none, None, None)
    if steps.size < 2 * LEAST_STEPS:
        line = _moments(usable, steps[:1])
        return Knee(False, None, none, float(line.ny.sum() / line.nn.sum()), None)
    places = np.linspace(steps[LEAST_STEPS - 1], steps[-LEAST_STEPS], _PLACES)
    found = _moments(usable, places)
    every = np.ones((1, len(usable)))
    left, slopes = _fit(found, every)
    best = int(np.argmin(left[0]))
    nn, ny, yy = (float(part.sum()) for part in (found.nn, found.ny, found.yy))
    gain = _gain(yy, yy - ny * ny / nn, float(left[0, best]), sum(climb.n.size for climb in usable))
    if gain <= BIC_MARGIN:
        return Knee(False, gain, none, ny / nn, None)
    drawn = [
        places[np.argmin(_fit(found, weights)[0], axis=1)]
        for weights in block_draws(len(usable), _PLACES, rng)
    ]
    at = around(float(places[best]), np.concatenate(drawn), len(usable))
    below, bend = (float(part[0, best]) for part in slopes)
    return Knee(True, gain, _within(at, float(steps[0]), float(steps[-1])), below, below + bend)


def _moments(climbs: Sequence[Climb], places: Floats) -> _Moments:
    """What least squares needs of each staircase, with its own mean taken off everything."""
    rows: list[tuple[Floats, ...]] = []
    for climb in climbs:
        n, y = climb.n - climb.n.mean(), climb.value - climb.value.mean()
        hinge = np.maximum(0.0, climb.n[:, None] - places[None, :])
        hinge -= hinge.mean(axis=0)
        rows.append((n @ n, n @ y, y @ y, n @ hinge, (hinge**2).sum(axis=0), y @ hinge))
    return _Moments(*(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)))


def _fit(found: _Moments, weights: Floats) -> tuple[Floats, tuple[Floats, Floats]]:
    """Squares left over, slope and bend: draws × places. Where it would bend down, those of one line."""
    nn, ny, yy = ((weights @ part)[:, None] for part in (found.nn, found.ny, found.yy))
    nh, hh, hy = weights @ found.nh, weights @ found.hh, weights @ found.hy
    determinant = nn * hh - nh * nh
    usable = determinant > 1e-12 * nn * hh
    safe = np.where(usable, determinant, 1.0)
    bend = np.where(usable, (nn * hy - nh * ny) / safe, 0.0)
    upwards = bend > 0
    slope = np.where(upwards, (hh * ny - nh * hy) / safe, ny / nn)
    bend = np.where(upwards, bend, 0.0)
    return np.maximum(0.0, yy - slope * ny - bend * hy), (slope, bend)


def _gain(total: float, of_line: float, of_two: float, points: int) -> float:
    """How much the BIC falls. Nothing is gained where the line already leaves nothing over."""
    floor = max(total * _NOISE_FREE, 1e-300)
    if of_line <= floor or points < 5:
        return 0.0
    return points * math.log(of_line / max(of_two, floor)) - 2 * math.log(points)


def _within(found: Estimate, low: float, high: float) -> Estimate:
    if found.low is None or found.high is None:
        return found
    return Estimate(found.value, max(low, found.low), min(high, found.high))


@dataclass(frozen=True, slots=True)
class Reached:
    """A number of instances; ``at_least`` when the staircase ended before the limit showed."""

    n: float
    at_least: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """How many instances were possible, over staircases."""

    value: Reached | None
    low: Reached | None
    high: Reached | None


def limit_of(reached: Sequence[Reached], rng: np.random.Generator) -> Limit:
    """Median over staircases of what each one reached, those cut off ranked after equals.

    Of an even number the lower one of the two in the middle, so the answer was really reached. The
    interval is the range of medians of resampled staircases, at levels widened for few of them
    (Hesterberg, The American Statistician 69, 2015); None below three staircases.
    """
    if not reached:
        return Limit(None, None, None)
    ranked = sorted(reached, key=lambda r: (r.n, r.at_least))
    blocks = len(ranked)
    value = ranked[(blocks - 1) // 2]
    if blocks < MINIMUM_BLOCKS:
        return Limit(value, None, None)
    drawn = [
        np.argmax(np.cumsum(w, axis=1) >= (blocks + 1) // 2, axis=1)
        for w in block_draws(blocks, blocks, rng)
    ]
    low, high = expanded_range(np.sort(np.concatenate(drawn)).astype(np.float64), blocks)
    return Limit(value, ranked[int(low)], ranked[int(high)])


def expanded_range(drawn: Floats, blocks: int) -> tuple[float, float]:
    """Lowest and highest of sorted draws at the levels that suit few blocks."""
    t = float(special.stdtrit(blocks - 1, (1 + LEVEL) / 2))
    tail = float(special.ndtr(-t * math.sqrt(blocks / (blocks - 1))))
    last = drawn.size - 1
    return float(drawn[math.floor(tail * last)]), float(drawn[math.ceil((1 - tail) * last)])
