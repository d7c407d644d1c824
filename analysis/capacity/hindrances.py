"""What stands in the way of one more instance, or of the first one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.capacity.packing_task import PackingTask
from analysis.capacity.patterns import Ints, Room

DEMAND = "demand"
NOT_MEASURED = "not measured"
NO_HOST = "no host available"


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why a kind of host holds not a single instance of a shape."""

    shape: str
    kind: str
    what: str
    """A resource, the reason of a cap, ``not measured`` or ``no host available``."""
    asked: float | None = None
    """Of the resource by one instance."""
    room: float | None = None
    """Of the resource on one host."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """Hosts by kind beyond those available that make a task feasible, and what the plan then costs."""

    more: Mapping[str, int]
    cost: float


def hindrances_of(task: PackingTask, rooms: tuple[Room, ...]) -> tuple[Hindrance, ...]:
    """Of every shape that no kind of host can hold, the reason on each of them."""
    found = []
    for index, shape in enumerate(task.shapes):
        held = [room.upper[index] > 0 and room.kind.available != 0 for room in rooms]
        if shape.count and not any(held):
            found += [_of(task, room, index) for room in rooms]
    return tuple(found)


def blocked_by(task: PackingTask, room: Room, pattern: Ints) -> str:
    """What stops a further instance on a host with this pattern.

    Of all resources and caps that stop one shape or another, the fullest. Where every shape could still
    come, no instance is left to place: the demand.
    """
    shares: dict[str, float] = {}
    for index in np.flatnonzero(room.upper):
        more = pattern.copy()
        more[index] += 1
        load = room.load(more)
        over = np.flatnonzero(load > room.limit * (1 + 1e-9))
        for resource in over:
            name = room.resources[int(resource)]
            used = float(room.load(pattern)[resource]) / max(float(room.limit[resource]), 1e-300)
            shares[name] = max(shares.get(name, 0.0), used)
        cap = task.caps.get((task.shapes[index].name, room.kind.name))
        if cap is not None and more[index] > cap.most:
            shares[cap.reason] = 1.0
    return max(shares, key=lambda name: (shares[name], name)) if shares else DEMAND


def _of(task: PackingTask, room: Room, index: int) -> Hindrance:
    shape, kind = task.shapes[index].name, room.kind
    if (shape, kind.name) not in task.needs:
        return Hindrance(shape, kind.name, NOT_MEASURED)
    cap = task.caps.get((shape, kind.name))
    if cap is not None and cap.most < 1:
        return Hindrance(shape, kind.name, cap.reason, 1.0, float(cap.most))
    one = np.zeros(room.upper.size, np.int64)
    one[index] = 1
    load = room.load(one)
    over = np.flatnonzero(load > room.limit * (1 + 1e-9))
    if not over.size:
        return Hindrance(shape, kind.name, NO_HOST, 1.0, 0.0)
    worst = int(over[np.argmax(load[over] - room.limit[over])])
    return Hindrance(
        shape, kind.name, room.resources[worst], float(load[worst]), float(room.limit[worst])
    )
