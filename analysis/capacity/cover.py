"""How many hosts of which pattern lie in which failure domain: the integer programme."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, sparse

from analysis.capacity.columns import Columns
from analysis.capacity.packing_task import PackingTask
from analysis.capacity.patterns import Floats, Ints
from analysis.capacity.pruning import pruned
from analysis.capacity.solver import integer_programme, linear_programme

Matrix = sparse.csr_array
Ends = float | Floats
Row = tuple[Matrix, Ends, Ends]
_FEW_HOSTS = 50
"""Above it an order of the domains hinders the search more than it spares."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard an optimum is sought. A plan is found in any case; the gap says how good it is."""

    time_limit_s: float = 20.0
    gap: float = 0.0
    """Relative gap at which the search may stop."""
    floor: float = 0.0
    """What no plan falls below, as far as it is known beforehand."""


@dataclass(frozen=True)
class Cover:
    """Hosts by pattern and domain, and what the solver proved."""

    hosts: Ints
    """Patterns × domains."""
    value: float
    bound: float
    """No choice from these patterns is below it."""
    stopped: bool
    """The time limit ended the search."""


def least_cost(
    task: PackingTask, columns: Columns, effort: Effort, known: Ints | None = None
) -> Cover | None:
    """Cheapest hosts that hold all instances after any loss; None where the search found none.

    ``known`` are hosts (patterns × domains) that do; they are returned where nothing cheaper is found.
    Nothing is searched where a plan is known that costs ``effort.floor``.
    """
    costs = np.array([task.cost_of(kind) for kind in task.kinds])[columns.kind]
    if not any(shape.count for shape in task.shapes):
        return Cover(np.zeros((len(columns.kind), task.spread), np.int64), 0.0, 0.0, False)
    starts = [known, _greedy(task, columns, costs) if columns.kind.size else None]
    guesses = [pruned(task, columns, costs, hosts) for hosts in starts if hosts is not None]
    values = [float(costs @ hosts.sum(axis=1)) for hosts in guesses]
    if values and min(values) <= effort.floor + 1e-9:
        return Cover(guesses[int(np.argmin(values))], min(values), effort.floor, False)
    found = _searched(task, columns, costs, effort)
    bound, stopped = (found.bound, found.stopped) if found else (0.0, True)
    others = [Cover(hosts, value, bound, stopped) for hosts, value in zip(guesses, values, strict=True)]
    every = [*([found] if found else []), *others]
    return min(every, key=lambda cover: round(cover.value, 9), default=None)


def _searched(task: PackingTask, columns: Columns, costs: Floats, effort: Effort) -> Cover | None:
    """A short search that ends at the floor, then one without it, which does better above it."""
    objective = (costs, np.zeros(len(task.shapes)), 0.0)
    short = effort.time_limit_s / 4 if effort.floor else 0.0
    first = None
    if effort.floor:
        first = _solved(task, columns, objective, replace(effort, time_limit_s=short))
        if first is not None and not first.stopped:
            return first
    rest = replace(effort, time_limit_s=effort.time_limit_s - short, floor=0.0)
    second = _solved(task, columns, objective, rest)
    if first is None or second is None:
        return first or second
    return (
        replace(second, hosts=first.hosts, value=first.value) if first.value < second.value else second
    )


def least_shortage(task: PackingTask, columns: Columns, effort: Effort) -> Cover | None:
    """Hosts that leave as few instances without room as can be, within what is available."""
    objective = (np.zeros(len(columns.kind)), np.ones(len(task.shapes)), math.inf)
    return _solved(task, columns, objective, effort)


def _solved(
    task: PackingTask, columns: Columns, objective: tuple[Floats, Floats, float], effort: Effort
) -> Cover | None:
    """Variables: hosts (patterns × domains), then per shape the shortage, a threshold and excesses.

    What the k richest of f domains hold of a shape is the least k·θ + Σ max(0, held_d − θ) over θ, so
    that one row per shape stands for every choice of lost domains at once.
    """
    per_host, per_short, most_short = objective
    spread = task.spread
    shapes, patterns = len(task.shapes), len(columns.kind)
    hosts = patterns * spread
    if not patterns:
        return None
    rows = _rows(task, columns, spread)
    free = shapes * (1 + spread) if task.lost else 0
    costs = np.concatenate([np.tile(per_host, spread), per_short, np.zeros(free)])
    if effort.floor:  # what is known beforehand ends the search as soon as it is reached
        rows.append((Matrix(costs[None, :]), effort.floor * (1 - 1e-9), np.inf))
    result = integer_programme(
        costs,
        constraints=[optimize.LinearConstraint(matrix, low, high) for matrix, low, high in rows],
        integrality=np.concatenate([np.ones(hosts + shapes), np.zeros(free)]),
        bounds=optimize.Bounds(
            0,
            np.concatenate([np.full(hosts, np.inf), np.full(shapes, most_short), np.full(free, np.inf)]),
        ),
        options={"time_limit": effort.time_limit_s, "mip_rel_gap": effort.gap},
    )
    if result.x is None:
        return None
    found = np.rint(result.x[:hosts]).astype(np.int64).reshape(spread, patterns).T
    bound = result.mip_dual_bound
    proven = float(bound) if bound is not None and math.isfinite(bound) else 0.0
    return Cover(found, float(result.fun), proven, result.status == 1)


def _rows(task: PackingTask, columns: Columns, spread: int) -> list[Row]:
    shapes, hosts = len(task.shapes), columns.kind.size * spread
    wanted = np.array([shape.count for shape in task.shapes], dtype=np.float64)
    held = sparse.csr_array(columns.patterns.T.astype(np.float64))
    eye = sparse.eye_array(shapes)
    total = [*[held] * spread, eye]
    rows: list[Row] = []
    if task.lost:
        total += [-task.lost * eye, *[-eye] * spread]
        each = [
            -sparse.block_diag([held] * spread),
            sparse.csr_array((shapes * spread, shapes)),
            sparse.vstack([eye] * spread),
            sparse.eye_array(shapes * spread),
        ]
        rows.append((Matrix(sparse.hstack(each)), 0.0, np.inf))
    everything = Matrix(sparse.hstack(total))
    rows.append((everything, wanted, np.inf))
    others = everything.shape[1] - hosts
    return rows + [
        (Matrix(np.hstack([matrix, np.zeros((len(matrix), others))])), low, high)
        for matrix, low, high in [*_stock(task, columns, spread), *_places(task, columns, spread)]
    ]


def _stock(task: PackingTask, columns: Columns, spread: int) -> Iterator[tuple[Floats, Ends, Ends]]:
    for index, kind in enumerate(task.kinds):
        if kind.available is not None:
            mine = np.tile(columns.kind == index, spread).astype(np.float64)
            yield mine[None, :], -np.inf, float(kind.available)


def _places(task: PackingTask, columns: Columns, spread: int) -> Iterator[tuple[Floats, Ends, Ends]]:
    """What single domains take; or, where they are alike, the first as the dearest.

    That order spares the search their permutations.
    """
    n = columns.kind.size
    steps = np.asarray(np.eye(spread - 1, spread) - np.eye(spread - 1, spread, 1), dtype=np.float64)
    if task.sizes:
        yield _kron(np.eye(spread), np.ones(n)), -np.inf, np.array(task.sizes, dtype=np.float64)
    if task.whole and spread > 1:
        yield _kron(steps, np.ones(n)), 0.0, 0.0
    least = min(task.cost_of(kind) for kind in task.kinds)
    if spread > 1 and not task.sizes and columns.bound <= _FEW_HOSTS * least:
        costs = np.array([task.cost_of(kind) for kind in task.kinds])[columns.kind]
        yield _kron(steps, costs), 0.0, np.inf


def _kron(by_domain: Floats, by_pattern: Floats) -> Floats:
    return np.asarray(np.kron(by_domain, by_pattern[None, :]), dtype=np.float64)


def _greedy(task: PackingTask, columns: Columns, costs: Floats) -> Ints | None:
    """A plan without search: every domain alike, with an equal share of all. None where it does not fit.

    Twice: from nothing, and from the whole hosts of the linear programme. The cheaper one is returned.
    """
    spread, share = task.spread, task.spread - task.lost
    wanted = np.array([-(-shape.count // share) for shape in task.shapes], dtype=np.int64)
    stock = np.array(
        [math.inf if one.available is None else one.available // spread for one in task.kinds],
        dtype=np.float64,
    )
    found = []
    for start in (np.zeros(len(columns.kind), np.int64), _whole_hosts(columns, costs, wanted, stock)):
        hosts = None if start is None else _filled_up(columns, costs, (start, wanted, stock))
        if hosts is not None:
            found.append(hosts)
    best = min(found, key=lambda hosts: float(costs @ hosts), default=None)
    if best is None or (task.sizes and best.sum() > min(task.sizes)):
        return None
    return np.tile(best[:, None], (1, spread))


def _whole_hosts(columns: Columns, costs: Floats, wanted: Ints, stock: Floats) -> Ints | None:
    limited = np.flatnonzero(np.isfinite(stock))
    matrix = np.vstack([-columns.patterns.T, *[(columns.kind == index)[None, :] for index in limited]])
    limits = np.concatenate([-wanted, stock[limited]])
    found = linear_programme(costs, A_ub=matrix.astype(np.float64), b_ub=limits, bounds=(0, None))
    return None if found.x is None else np.floor(found.x + 1e-9).astype(np.int64)


def _filled_up(columns: Columns, costs: Floats, given: tuple[Ints, Ints, Floats]) -> Ints | None:
    """Hosts added to those there are, each time the pattern that holds most of the rest for its cost.

    First fit decreasing for hosts of several kinds: what an instance counts is the share that it takes
    of the host that holds most of its shape.
    """
    hosts, wanted, stock = given[0].copy(), given[1], given[2].copy()
    np.subtract.at(stock, columns.kind, hosts)
    left = np.maximum(0, wanted - hosts @ columns.patterns)
    size = _sizes(columns)
    while left.any():
        worth = np.minimum(columns.patterns, left) @ size / costs
        worth[stock[columns.kind] < 1] = 0.0
        best = int(np.argmax(worth))
        if worth[best] <= 0:
            return None
        pattern, kind = columns.patterns[best], int(columns.kind[best])
        held = pattern > 0
        times = max(1, int(min(float((left[held] // pattern[held]).min()), float(stock[kind]))))
        hosts[best] += times
        stock[kind] -= times
        left = np.maximum(0, left - times * pattern)
    return hosts


def _sizes(columns: Columns) -> Floats:
    uppers = np.array([room.upper for room in columns.rooms], dtype=np.float64)
    return np.asarray(1.0 / np.maximum(uppers.max(axis=0), 1.0))
