"""What instances take of a host's memory and processors: a line with its spread, from staircases."""

from collections.abc import Sequence

import numpy as np
from scipy import optimize

from analysis.capacity.evidence import Line, Resource
from analysis.capacity.resample import Resample
from analysis.density.staircases import Staircase
from analysis.statistics.blocks import Floats
from analysis.statistics.knees import LEAST_STEPS, knee_of
from analysis.statistics.slopes import Climb

MEASURE: dict[Resource, str] = {"mem": "mem_used", "cpu": "cpu_busy"}
"""The measure of density that tells the use of a resource."""
_MOST_LAG = 3
_KNEE_SEED = 20_261_127


def line_of(some: Sequence[Staircase], resource: Resource, draws: Resample) -> Line | None:
    """Base, cost of an instance and their spread over staircases; None without two different steps.

    ``draws`` has a column per staircase. The cost is the mean over staircases of Theil's and Sen's
    slope within each, for what a fleet uses in all is what its mean host uses. Where memory bends
    upwards (two lines that meet, by the BIC margin), only the steps behind the bend count: what is to
    be foretold lies there.
    """
    climbs = [climb_of(one, resource) for one in some]
    usable = [place for place, climb in enumerate(climbs) if np.unique(climb.n).size > 1]
    if not usable:
        return None
    chosen = behind_bend([climbs[place] for place in usable])
    each = np.array([_slope(climb) for climb in chosen])
    base = np.array([float(np.median(c.value - b * c.n)) for c, b in zip(chosen, each, strict=True)])
    own, noise = _within(chosen, each)
    error = np.array([noise**2 / _spread(climb) for climb in chosen])
    of = draws.of(usable)
    mean, mean_base = float(each.mean()), float(base.mean())
    eaches = of.around(mean, of.means(each))
    return Line(
        resource,
        base=mean_base,
        each=mean,
        own=own,
        shared=_between(each, error),
        noise=float(np.sqrt(noise**2 + (base.var(ddof=1) if base.size > 1 else 0.0))),
        bases=of.around(mean_base, of.means(base)),
        eaches=eaches,
        shareds=_spreads(each, -float(error.mean()), of),
        noises=_spreads(base, noise**2, of),
        flat=bool(np.quantile(eaches, 0.025) <= 0),
    )


def climb_of(one: Staircase, resource: Resource) -> Climb:
    """The way up in one resource."""
    return one.climb(MEASURE[resource])


def behind_bend(climbs: Sequence[Climb]) -> list[Climb]:
    """The steps behind a bend upwards; all steps where there is none, or too few lie behind it."""
    knee = knee_of(climbs, np.random.default_rng(_KNEE_SEED))
    at = knee.at.value
    if not knee.found or at is None:
        return list(climbs)
    behind = [Climb(c.n[c.n >= at], c.value[c.n >= at]) for c in climbs]
    enough = all(np.unique(climb.n).size >= LEAST_STEPS for climb in behind)
    return behind if enough else list(climbs)


def _slope(climb: Climb) -> float:
    one, other = np.triu_indices(climb.n.size, k=1)
    run, rise = climb.n[other] - climb.n[one], climb.value[other] - climb.value[one]
    return float(np.median(rise[run != 0] / run[run != 0]))


def _spread(climb: Climb) -> float:
    """Sum of squares of the numbers of instances around their mean."""
    return float(((climb.n - climb.n.mean()) ** 2).sum())


def _within(climbs: Sequence[Climb], each: Floats) -> tuple[float, float]:
    """Standard deviations of single instances and of the observation, from steps of the same staircase.

    What m instances more took beyond the line has variance m·own² + 2·noise², for any distance m: a
    variogram, fitted by least squares with neither below 0.
    """
    runs, squares = [], []
    for climb, slope in zip(climbs, each, strict=True):
        for lag in range(1, min(_MOST_LAG, climb.n.size - 1) + 1):
            run = climb.n[lag:] - climb.n[:-lag]
            rise = climb.value[lag:] - climb.value[:-lag]
            runs.append(np.abs(run))
            squares.append((rise - slope * run) ** 2)
    m, y = np.concatenate(runs), np.concatenate(squares)
    scale = float(y.mean())
    if scale <= 0:
        return 0.0, 0.0
    found, _ = optimize.nnls(np.column_stack([m, np.full(m.size, 2.0)]), y / scale)
    return float(np.sqrt(found[0] * scale)), float(np.sqrt(found[1] * scale))


def _between(each: Floats, error: Floats) -> float:
    """Standard deviation of true slopes between staircases: what is seen, less what fitting adds."""
    if each.size < 2:
        return 0.0
    return float(np.sqrt(max(0.0, float(each.var(ddof=1)) - float(error.mean()))))


def _spreads(values: Floats, more: float, of: Resample) -> Floats:
    """Replicates of the standard deviation between staircases, ``more`` added to its square."""
    if values.size < 2:
        return np.full(of.weights.shape[0], np.sqrt(max(0.0, more)))
    total = of.weights.sum(axis=1)
    centred = values - values.mean()
    mean = of.weights @ centred / total
    square = np.maximum(0.0, of.weights @ centred**2 / total - mean**2) * of.stretch**2
    return np.asarray(np.sqrt(np.maximum(0.0, square + more)), dtype=np.float64)
