"""Patterns: how many of each shape lie together on one host."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from analysis.capacity.packing_task import HostKind, Need, PackingTask
from analysis.capacity.solver import linear_programme

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_SLACK = 1e-9
"""Share of a room that rounding may take beyond it."""
_ANGLES = (0.0, math.pi / 8, math.pi / 4, 3 * math.pi / 8, math.pi / 2)
NOTHING = Need(0.0)
_TAKEN = (1, 2, 4, 1 << 40)
"""Instances of one shape that are taken out of a pattern to find those near it; last, all."""
_FEW_SHAPES, _MANY_SHAPES, _MOST_FIRST = 8, 20, 2
"""With more shapes fewer patterns near one are looked at, then none: their number grows as the cube."""
LISTED_AT_MOST = 200_000
"""Patterns looked at for the maximal ones of one kind of host, before columns are generated instead."""


@dataclass(frozen=True)
class Room:
    """One kind of host as arrays: resources × shapes."""

    kind: HostKind
    resources: tuple[str, ...]
    limit: Floats
    mean: Floats
    own: Floats
    """Variance that an instance adds for itself."""
    shared: Floats
    """Standard deviation that goes up and down with that of all others."""
    upper: Ints
    """The most of every shape on a host that holds nothing else, and never more than are wanted."""
    noise: Floats
    """Variance of the host's own use, by resource."""
    risk_z: float

    def load(self, counts: Ints | Floats) -> Floats:
        """Load of patterns (… × shapes) on every resource (… × resources).

        Mean + z·√(Σ nᵢσᵢ²(1−ρᵢ) + (Σ nᵢσᵢ√ρᵢ)² + noise²): all instances share one factor, so that two
        of shapes i and j correlate by √(ρᵢρⱼ). For one shape it is z·σ·√(n(1+(n−1)ρ)), the usual form.
        """
        variance = self.noise + counts @ self.own.T + (counts @ self.shared.T) ** 2
        return np.asarray(counts @ self.mean.T + self.risk_z * np.sqrt(variance))

    def fits(self, counts: Ints | Floats) -> npt.NDArray[np.bool_]:
        """Whether each pattern (… × shapes) keeps every limit and every cap."""
        within = self.load(counts) <= self.limit + _SLACK * np.abs(self.limit)
        return np.asarray(within.all(axis=-1) & (counts <= self.upper).all(axis=-1))

    def most(self, shape: int, given: Ints) -> Ints:
        """The most of a shape that patterns (n × shapes) hold; what they have of it does not count."""
        low, high = np.zeros(len(given), np.int64), np.full(len(given), self.upper[shape])
        tried = given.copy()
        while (low < high).any():
            middle = (low + high + 1) // 2
            tried[:, shape] = middle
            good = self.fits(tried)
            low, high = np.where(good, middle, low), np.where(good, high, middle - 1)
        return low


def room_of(task: PackingTask, kind: HostKind) -> Room:
    """Arrays of one kind, with the most that it holds of every shape alone."""
    resources = tuple(kind.room)
    needs = [task.needs.get((shape.name, kind.name)) for shape in task.shapes]
    table = [[(need or {}).get(resource, NOTHING) for need in needs] for resource in resources]
    shape = (len(resources), len(task.shapes))
    sd = np.array([[one.sd for one in row] for row in table], dtype=np.float64).reshape(shape)
    rho = np.array([[one.correlation for one in row] for row in table], dtype=np.float64).reshape(shape)
    room = Room(
        kind,
        resources,
        np.array([kind.room[resource] for resource in resources], dtype=np.float64),
        np.array([[one.mean for one in row] for row in table], dtype=np.float64).reshape(shape),
        sd**2 * (1 - rho),
        sd * np.sqrt(rho),
        np.array(
            [_wanted(task, index, kind, needs[index]) for index in range(shape[1])], dtype=np.int64
        ),
        np.array([kind.noise.get(resource, 0.0) ** 2 for resource in resources], dtype=np.float64),
        task.risk_z,
    )
    nothing = np.zeros((1, shape[1]), np.int64)
    alone = [int(room.most(index, nothing)[0]) for index in range(shape[1])]
    return replace(room, upper=np.array(alone, dtype=np.int64))


def _wanted(task: PackingTask, index: int, kind: HostKind, needs: Mapping[str, Need] | None) -> int:
    shape = task.shapes[index]
    cap = task.caps.get((shape.name, kind.name))
    if needs is None:
        return 0
    return shape.count if cap is None else max(0, min(shape.count, cap.most))


def maximal_patterns(room: Room, at_most: int = LISTED_AT_MOST) -> Ints | None:
    """All patterns of a kind to which nothing can be added; None where there are too many to list."""
    active = [int(index) for index in np.flatnonzero(room.upper)]
    found = np.zeros((1, room.upper.size), np.int64)
    if not active:
        return found[:0]
    for index in active[:-1]:
        steps = int(room.upper[index]) + 1
        if len(found) * steps > at_most:
            return None
        found = np.repeat(found, steps, axis=0)
        found[:, index] = np.tile(np.arange(steps), len(found) // steps)
        found = found[room.fits(found)]
    found[:, active[-1]] = room.most(active[-1], found)
    return found[is_maximal(room, found)]


def is_maximal(room: Room, patterns: Ints) -> npt.NDArray[np.bool_]:
    """Whether each pattern takes no further instance of any shape."""
    full = np.ones(len(patterns), np.bool_)
    for index in np.flatnonzero(room.upper):
        more = patterns.copy()
        more[:, index] += 1
        full &= ~room.fits(more)
    return full


def filled(room: Room, pattern: Ints, worth: Floats) -> Ints:
    """A maximal pattern near the one given: first made small enough, then filled up by ``worth``."""
    low, high = 0.0, 1.0
    if not room.fits(pattern):
        for _ in range(40):
            middle = (low + high) / 2
            good = bool(room.fits(np.floor(pattern * middle)))
            low, high = (middle, high) if good else (low, middle)
        pattern = np.floor(pattern * low).astype(np.int64)
    share = np.where(room.upper > 0, worth * np.maximum(room.upper, 1), -1.0)
    found = pattern[None, :].copy()
    for index in np.argsort(-share, kind="stable"):
        if room.upper[index]:
            found[:, index] = room.most(int(index), found)
    return np.asarray(found[0])


def neighbours(room: Room, patterns: Ints) -> Ints:
    """These patterns, and those with a few instances of one shape less and filled up with another."""
    active = np.flatnonzero(room.upper)
    found = [patterns]
    if active.size > _MANY_SHAPES:
        return patterns
    many = active.size > _FEW_SHAPES
    for shape in active:
        for taken in _TAKEN[:1] if many else _TAKEN:
            fewer = patterns.copy()
            fewer[:, shape] = np.maximum(0, fewer[:, shape] - taken)
            others = active[active != shape]
            for first in others[:_MOST_FIRST] if many else others:
                for last in (active, active[::-1]):
                    filled_up = fewer.copy()
                    for index in (first, *last[(last != first) & (last != shape)], shape):
                        filled_up[:, index] = room.most(int(index), filled_up)
                    found.append(filled_up)
    return np.unique(np.vstack(found), axis=0)


def linear_rows(room: Room) -> tuple[Floats, Floats]:
    """Linear limits A·n ≤ b that every pattern that fits keeps; exactly the limits where nothing varies.

    √(V + Q²) is the length of (√V, Q), hence at least cos θ·√V + sin θ·Q for every θ; and √V ≥ V/√V' for
    V up to the largest V' that any pattern reaches.
    """
    varies = (room.own > 0).any(axis=1) | (room.noise > 0)
    exact = np.flatnonzero(~(varies & (room.risk_z > 0)))
    rows = [room.mean[exact] + room.risk_z * room.shared[exact]]
    limits = [room.limit[exact]]
    for index in np.setdiff1d(np.arange(room.limit.size), exact):
        part, most = _rows_of(room, int(index))
        rows.append(part)
        limits.append(most)
    matrix, most = np.vstack(rows), np.concatenate(limits)
    scale = np.where(most > 0, most, 1.0)  # bytes and processors in one programme would cost it digits
    return matrix / scale[:, None], most / scale


def _rows_of(room: Room, index: int) -> tuple[Floats, Floats]:
    own, shared, mean = room.own[index], room.shared[index], room.mean[index]
    limit, noise, z = float(room.limit[index]), float(room.noise[index]), room.risk_z
    rows, limits = mean[None, :], np.array([limit])
    largest = min(float(own @ room.upper) + noise, (max(0.0, limit) / z) ** 2)
    for _ in range(4):  # each round knows a smaller largest variance, and so draws the limits closer
        if largest <= 0:
            break
        slopes = [math.cos(angle) / math.sqrt(largest) for angle in _ANGLES]
        steps = [math.sin(angle) for angle in _ANGLES]
        rows = np.array(
            [mean + z * (slope * own + step * shared) for slope, step in zip(slopes, steps, strict=True)]
        )
        limits = limit - z * noise * np.array(slopes)
        bounds = [(0, int(most)) for most in room.upper]
        scale, unit = max(abs(limit), 1e-300), float(own.max()) or 1.0
        within = linear_programme(-own / unit, A_ub=rows / scale, b_ub=limits / scale, bounds=bounds)
        if within.x is None:
            break
        largest = min(largest, noise - float(within.fun) * unit * (1 + 1e-9))
    return rows, limits
