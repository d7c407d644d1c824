"""The patterns from which a plan is made, and what no plan from any patterns can fall below.

Gilmore & Gomory, A linear programming approach to the cutting-stock problem, Operations Research 9,
1961; the bound is the Lagrangian one of Farley, Operations Research 38, 1990, with limited hosts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, sparse

from analysis.capacity.packing_task import PackingTask
from analysis.capacity.patterns import (
    Floats,
    Ints,
    Room,
    filled,
    linear_rows,
    maximal_patterns,
    neighbours,
    room_of,
)
from analysis.capacity.solver import integer_programme, linear_programme

MANY = 20_000
"""Maximal patterns of all kinds that are listed; where there are more, they are generated as needed."""
_ROUNDS = 200
_SMALL = 1e-9


@dataclass(frozen=True)
class Columns:
    """Patterns (n × shapes) and the kind of host of each."""

    rooms: tuple[Room, ...]
    patterns: Ints
    kind: Ints
    left_out: float
    """By how much a plan with any other pattern must exceed ``bound``; infinite where there is none."""
    bound: float
    """No plan without failure domains costs less; 0 where nothing better is known."""
    short_bound: float
    """No plan leaves fewer instances without a host than this; 0 where nothing better is known."""
    whole_bound: float = 0.0
    """No plan costs less, with failure domains and whole hosts; 0 where it was not sought."""


def columns_of(task: PackingTask) -> Columns:
    """All maximal patterns where they are few, else those that the linear programme asks for."""
    rooms = tuple(room_of(task, kind) for kind in task.kinds)
    listed = [maximal_patterns(room) for room in rooms]
    known = [part for part in listed if part is not None]
    if len(known) == len(listed) and sum(len(part) for part in known) <= MANY:
        kind = np.repeat(np.arange(len(rooms)), [len(part) for part in known])
        return _bounded(task, Columns(rooms, np.vstack(known), kind, math.inf, 0.0, 0.0))
    return _generated(task, rooms)


def narrowed(task: PackingTask, columns: Columns, n: int) -> Columns:
    """The ``n`` patterns that fit the linear programme best, and what leaving out others may cost."""
    if len(columns.kind) <= n:
        return columns
    lack = _lack(task, columns)
    order = np.argsort(lack, kind="stable")
    kept = np.sort(order[:n])
    left_out = min(columns.left_out, max(0.0, float(lack[order[n]])))
    return replace(columns, patterns=columns.patterns[kept], kind=columns.kind[kept], left_out=left_out)


def merged(columns: Columns, patterns: Ints, kind: Ints) -> Columns:
    """With further patterns of the same kinds; bounds stay."""
    mine = np.hstack([columns.kind[:, None], columns.patterns])
    every = np.unique(np.vstack([mine, np.hstack([kind[:, None], patterns])]), axis=0)
    return replace(columns, patterns=every[:, 1:], kind=every[:, 0])


def _lack(task: PackingTask, columns: Columns) -> Floats:
    """Reduced cost: by how much any plan with this pattern costs more than the linear programme says."""
    each = np.array([task.cost_of(kind) for kind in task.kinds])
    worth, scarcity = _duals(task, columns, each, float(each.max()) * 1000)
    return np.asarray((each + scarcity)[columns.kind] - columns.patterns @ worth)


def _bounded(task: PackingTask, columns: Columns) -> Columns:
    """A complete list with the bounds that its linear programme proves."""
    each = np.array([task.cost_of(kind) for kind in task.kinds])
    bounds = []
    for costs, penalty in ((each, float(each.max()) * 1000), (np.zeros_like(each), 1.0)):
        worth, _ = _duals(task, columns, costs, penalty)
        values = np.zeros(len(task.kinds))
        np.maximum.at(values, columns.kind, columns.patterns @ worth)
        wanted = np.array([shape.count for shape in task.shapes], dtype=np.float64)
        bounds.append(_lagrangian(task, costs, wanted * worth, values))
    return replace(columns, bound=bounds[0], short_bound=bounds[1])


def _generated(task: PackingTask, rooms: Sequence[Room]) -> Columns:
    start = [(pattern, index) for index, room in enumerate(rooms) for pattern in _first(room)]
    found = Columns(
        tuple(rooms),
        np.array([pattern for pattern, _ in start], dtype=np.int64).reshape(-1, len(task.shapes)),
        np.array([index for _, index in start], dtype=np.int64),
        0.0,
        0.0,
        0.0,
    )
    short_bound = 0.0
    if any(kind.available is not None for kind in task.kinds):
        found, short_bound = _priced_out(task, found, np.zeros(len(rooms)), 1.0)
    each = np.array([task.cost_of(kind) for kind in task.kinds])
    penalty = float(each.max()) * 1000
    found, bound = _priced_out(task, found, each, penalty)
    return _enriched(replace(found, bound=bound, short_bound=short_bound))


def _enriched(columns: Columns) -> Columns:
    """Whole numbers of hosts need other patterns than the linear programme: those near its own."""
    near = [
        neighbours(room, columns.patterns[columns.kind == index])
        for index, room in enumerate(columns.rooms)
    ]
    kinds = np.repeat(np.arange(len(near)), [len(part) for part in near])
    new = np.unique(np.hstack([kinds[:, None], np.vstack(near)]), axis=0)
    return replace(columns, patterns=new[:, 1:], kind=new[:, 0])


def _first(room: Room) -> list[Ints]:
    """Of every shape a host that is full of it, filled up with the others."""
    nothing = np.zeros(room.upper.size, np.int64)
    starts = []
    for index in np.flatnonzero(room.upper):
        alone = nothing.copy()
        alone[index] = room.upper[index]
        starts.append(filled(room, alone, np.ones(room.upper.size)))
    return starts


def _priced_out(
    task: PackingTask, columns: Columns, each: Floats, penalty: float
) -> tuple[Columns, float]:
    """Patterns added until none is worth more than its host; and the best lower bound on the way."""
    rows = [linear_rows(room) for room in columns.rooms]
    wanted = np.array([shape.count for shape in task.shapes], dtype=np.float64)
    bound = 0.0
    for _ in range(_ROUNDS):
        worth, scarcity = _duals(task, columns, each, penalty)
        values, added = np.zeros(len(rows)), []
        for index, (room, limits) in enumerate(zip(columns.rooms, rows, strict=True)):
            values[index], best = _dearest(room, limits, worth)
            pattern = filled(room, best, worth)
            if pattern @ worth > each[index] + scarcity[index] + 1e-7 * max(1.0, penalty / 1000):
                added.append((pattern, index))
        bound = max(bound, _lagrangian(task, each, wanted * worth, values))
        columns, grew = _with(columns, added)
        if not grew:
            break
    return columns, bound


def _with(columns: Columns, added: list[tuple[Ints, int]]) -> tuple[Columns, bool]:
    known = {
        (int(kind), *map(int, row)) for kind, row in zip(columns.kind, columns.patterns, strict=True)
    }
    new = [(row, kind) for row, kind in added if (kind, *map(int, row)) not in known]
    if not new:
        return columns, False
    patterns = np.vstack([columns.patterns, *[row for row, _ in new]])
    kinds = np.append(columns.kind, [kind for _, kind in new])
    return replace(columns, patterns=patterns, kind=kinds), True


def _duals(task: PackingTask, columns: Columns, each: Floats, penalty: float) -> tuple[Floats, Floats]:
    """Worth of one more instance of every shape, and what one more host of every kind would save."""
    shapes = len(task.shapes)
    limited = [index for index, kind in enumerate(task.kinds) if kind.available is not None]
    held = sparse.csr_array(
        (columns.kind[None, :] == np.array(limited, np.int64)[:, None]).astype(np.float64)
    )
    matrix = sparse.vstack(
        [
            sparse.hstack(
                [-sparse.csr_array(columns.patterns.T.astype(np.float64)), -sparse.eye_array(shapes)]
            ),
            sparse.hstack([held, sparse.csr_array((len(limited), shapes))]),
        ]
    )
    limits = [-float(shape.count) for shape in task.shapes] + [
        float(task.kinds[index].available or 0) for index in limited
    ]
    costs = np.append(each[columns.kind], np.full(shapes, penalty))
    found = linear_programme(costs, A_ub=sparse.csr_array(matrix), b_ub=limits, bounds=(0, None))
    assert found.status == 0, "shortage makes the programme feasible"
    marginals = -np.asarray(found.ineqlin.marginals)
    scarcity = np.zeros(len(task.kinds))
    scarcity[limited] = marginals[shapes:]
    return np.maximum(0.0, marginals[:shapes]), np.maximum(0.0, scarcity)


def _dearest(room: Room, limits: tuple[Floats, Floats], worth: Floats) -> tuple[float, Ints]:
    """The pattern that is worth most within linear limits, and what no pattern's worth exceeds."""
    nothing = np.zeros(room.upper.size, np.int64)
    if not (room.upper * worth).any():
        return 0.0, nothing
    rows, most = limits
    found = integer_programme(
        -worth,
        constraints=optimize.LinearConstraint(rows, -np.inf, most + _SMALL * np.abs(most)),
        integrality=np.ones(room.upper.size),
        bounds=optimize.Bounds(0, room.upper.astype(np.float64)),
        options={"time_limit": 2.0, "mip_rel_gap": 1e-6},
    )
    highest = float(worth @ room.upper)
    if found.mip_dual_bound is not None and math.isfinite(found.mip_dual_bound):
        highest = min(highest, -float(found.mip_dual_bound) + _SMALL * highest)
    best = nothing if found.x is None else np.rint(found.x).astype(np.int64)
    return highest, best


def _lagrangian(task: PackingTask, each: Floats, worth: Floats, values: Floats) -> float:
    """Lower bound from any worths ≥ 0: what is wanted is worth this much, less what hosts could gain."""
    scale = 1.0
    for kind, cost, value in zip(task.kinds, each, values, strict=True):
        if kind.available is None and value > cost:
            scale = min(scale, cost / value)
    total = scale * float(worth.sum())
    for kind, cost, value in zip(task.kinds, each, values, strict=True):
        if kind.available is not None:
            total += kind.available * min(0.0, float(cost) - scale * float(value))
    return max(0.0, total)
