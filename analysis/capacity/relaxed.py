"""What hosts cost at least, if only hosts were whole and what lies on them could be cut at will."""

import itertools
import math
from typing import Any

import numpy as np
from scipy import optimize, sparse

from analysis.capacity.cover import Effort
from analysis.capacity.packing_task import PackingTask
from analysis.capacity.patterns import Floats, Room, linear_rows
from analysis.capacity.solver import integer_programme


def relaxed_bound(task: PackingTask, rooms: tuple[Room, ...], effort: Effort) -> float:
    """A lower bound of every plan, losses of domains included; 0 where nothing was proven.

    Of every kind in every domain: N whole hosts, and y instances of each shape that together keep N
    times the linear limits that every pattern keeps. A few variables per kind and domain, whatever the
    number of patterns.
    """
    spread, shapes = task.spread, len(task.shapes)
    places = [(kind, domain) for domain in range(spread) for kind in range(len(rooms))]
    held, hosts = shapes * len(places), len(places)
    extra = shapes * (1 + spread) if task.lost else 0
    limits = [linear_rows(room) for room in rooms]
    blocks = [limits[kind] for kind, _ in places]
    room_rows: Any = sparse.hstack(
        [
            sparse.block_diag([rows for rows, _ in blocks]),
            -sparse.block_diag([most[:, None] * (1 + 1e-9) for _, most in blocks]),
        ]
    )
    upper_rows = sparse.hstack(
        [
            sparse.eye_array(held),
            -sparse.block_diag([rooms[kind].upper[:, None].astype(np.float64) for kind, _ in places]),
        ]
    )
    own = [sparse.csr_array(part) for part in (room_rows, upper_rows)]
    rows = [
        optimize.LinearConstraint(_padded(part, extra), -np.inf, 0.0) for part in own if part.shape[0]
    ]
    rows += _demand_rows(task, len(rooms), extra) + _host_rows(task, places, held, extra)
    costs = np.array([task.cost_of(task.kinds[kind]) for kind, _ in places])
    result = integer_programme(
        np.concatenate([np.zeros(held), costs, np.zeros(extra)]),
        constraints=rows,
        integrality=np.concatenate([np.zeros(held), np.ones(hosts), np.zeros(extra)]),
        bounds=optimize.Bounds(0, np.inf),
        options={"time_limit": effort.time_limit_s},
    )
    bound = result.mip_dual_bound
    return float(bound) if bound is not None and math.isfinite(bound) else 0.0


def _padded(rows: sparse.csr_array, extra: int) -> sparse.csr_array:
    return sparse.csr_array(sparse.hstack([rows, sparse.csr_array((rows.shape[0], extra))]))


def _demand_rows(task: PackingTask, kinds: int, extra: int) -> list[optimize.LinearConstraint]:
    """All that is wanted is held, less what the richest ``lost`` domains hold."""
    spread, shapes = task.spread, len(task.shapes)
    wanted = np.array([shape.count for shape in task.shapes], dtype=np.float64)
    eye = np.eye(shapes)
    of_domain = np.tile(eye, kinds)
    nothing = np.zeros((shapes, kinds * spread))
    if not extra:
        total = np.hstack([np.tile(of_domain, spread), nothing])
        return [optimize.LinearConstraint(total, wanted, np.inf)]
    total = np.hstack([np.tile(of_domain, spread), nothing, -task.lost * eye, np.tile(-eye, spread)])
    each = np.hstack(
        [
            -np.kron(np.eye(spread), of_domain),
            np.zeros((shapes * spread, kinds * spread)),
            np.tile(eye, (spread, 1)),
            np.eye(shapes * spread),
        ]
    )
    return [
        optimize.LinearConstraint(total, wanted, np.inf),
        optimize.LinearConstraint(each, 0.0, np.inf),
    ]


def _host_rows(
    task: PackingTask, places: list[tuple[int, int]], held: int, extra: int
) -> list[optimize.LinearConstraint]:
    """Hosts that can be had, and what domains take. Domains that are alike stand in order of cost."""
    found: list[tuple[Floats, float, float]] = []
    for at, kind in enumerate(task.kinds):
        if kind.available is not None:
            mine = np.array([float(one == at) for one, _ in places])
            found.append((mine, -np.inf, float(kind.available)))
    here = [np.array([float(one == domain) for _, one in places]) for domain in range(task.spread)]
    costs = np.array([task.cost_of(task.kinds[kind]) for kind, _ in places])
    for size, mine in zip(task.sizes, here, strict=False):
        found.append((mine, -np.inf, float(size)))
    for first, second in itertools.pairwise(here):
        if task.whole:
            found.append((first - second, 0.0, 0.0))
        if not task.sizes:
            found.append(((first - second) * costs, 0.0, np.inf))
    return [
        optimize.LinearConstraint(
            np.concatenate([np.zeros(held), row, np.zeros(extra)])[None, :], low, high
        )
        for row, low, high in found
    ]
