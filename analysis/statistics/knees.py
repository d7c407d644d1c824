"""Where a curve over the number of instances bends, and how many instances an objective allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.blocks import Floats
from analysis.statistics.proportions import Estimate
from analysis.statistics.quantiles import interval_ranks
from analysis.statistics.resampling import Replication, around, block_draws
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
    comes from resampled staircases, and needs three. Values that are not finite are no numbers to bend:
    leave them out.
    """
    return _knee([_varied(climbs)], rng)


def latency_knee_of(climbs: Sequence[Climb], rng: np.random.Generator) -> Knee:
    """The same for latencies, which must be above 0; slopes are shares of a staircase's mean latency.

    Latency that begins to grow in proportion to the instances is two lines as it stands, and bends twice
    on a logarithm; one that grows by a factor is straight there. So both scales are tried, each
    staircase over its own geometric mean, which makes the squares left over comparable (Box & Cox,
    Journal of the Royal Statistical Society B 26, 1964), and the one with fewer of them counts.
    """
    logs = [Climb(c.n, np.log(c.value)) for c in _varied(climbs)]
    centred = [Climb(c.n, c.value - c.value.mean()) for c in logs]
    return _knee([[Climb(c.n, np.exp(c.value)) for c in centred], centred], rng)


def _varied(climbs: Sequence[Climb]) -> list[Climb]:
    """Those with two different steps."""
    return [climb for climb in climbs if np.unique(climb.n).size > 1]


def _knee(scales: Sequence[Sequence[Climb]], rng: np.random.Generator) -> Knee:
    usable, none = scales[0], Estimate(None, None, None)
    steps = np.unique(np.concatenate([c.n for c in usable])) if usable else np.zeros(0)
    if steps.size < 2:
        return Knee(False, None, none, None, None)
    every = np.ones((1, len(usable)))
    if steps.size < 2 * LEAST_STEPS:
        line, slope = _line([_moments(climbs, steps[:1]) for climbs in scales])
        return Knee(False, None, none, slope, None)
    places = np.linspace(steps[LEAST_STEPS - 1], steps[-LEAST_STEPS], _PLACES)
    found = [_moments(climbs, places) for climbs in scales]
    left, slopes = _fits(found, every)
    best = int(np.argmin(left[0]))
    scale, place = divmod(best, _PLACES)
    line, slope = _line(found)
    total = max(float(f.yy.sum()) for f in found)
    gain = _gain(total, line, float(left[0, best]), sum(climb.n.size for climb in usable))
    if gain <= BIC_MARGIN:
        return Knee(False, gain, none, slope, None)
    replication = Replication.alone(len(usable))
    drawn = [
        places[np.argmin(_fit(found[scale], weights)[0], axis=1)]
        for weights in block_draws(replication, _PLACES, rng)
    ]
    at = around(float(places[place]), np.concatenate(drawn), replication)
    below, bend = (float(part[0, best]) for part in slopes)
    return Knee(True, gain, _within(at, places, steps), below, below + bend)


def _fits(found: Sequence[_Moments], weights: Floats) -> tuple[Floats, tuple[Floats, Floats]]:
    """Those of all scales, one after the other: draws × (scales · places)."""
    fits = [_fit(of_scale, weights) for of_scale in found]
    slope, bend = (np.hstack([slopes[i] for _, slopes in fits]) for i in (0, 1))
    return np.hstack([left for left, _ in fits]), (slope, bend)


def _line(found: Sequence[_Moments]) -> tuple[float, float]:
    """Squares that a single line leaves over, and its slope, on the scale where that is least."""
    sums = [(float(f.nn.sum()), float(f.ny.sum()), float(f.yy.sum())) for f in found]
    return min((max(0.0, yy - ny * ny / nn), ny / nn) for nn, ny, yy in sums)


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


def _within(found: Estimate, places: Floats, steps: Floats) -> Estimate:
    """Within the steps, and never finer than the places that were tried."""
    if found.low is None or found.high is None:
        return found
    half = float(places[1] - places[0]) / 2
    low, high = max(float(steps[0]), found.low - half), min(float(steps[-1]), found.high + half)
    return Estimate(found.value, low, high)


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


def limit_of(reached: Sequence[Reached]) -> Limit:
    """Median over staircases of what each one reached, those cut off ranked after equals.

    Of an even number the lower one of the two in the middle, so the answer was really reached. The
    interval holds the order statistics that enclose a median with certainty enough whatever the
    distribution is: six staircases at least, since the range of five holds it in 15 of 16 cases only.
    """
    if not reached:
        return Limit(None, None, None)
    ranked = sorted(reached, key=lambda r: (r.n, r.at_least))
    value = ranked[(len(ranked) - 1) // 2]
    ranks = interval_ranks(len(ranked), 0.5)
    if ranks is None:
        return Limit(value, None, None)
    return Limit(value, ranked[ranks[0] - 1], ranked[ranks[1] - 1])
