"""Instances put on single hosts, and a plan checked host by host."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.capacity.packing_task import HostKind, PackingTask
from analysis.capacity.patterns import NOTHING, Ints

_LOSSES_TRIED = 20_000


@dataclass(frozen=True, slots=True)
class Stack:
    """Hosts of one kind in one failure domain that hold the same."""

    kind: str
    domain: int
    """From 1 on."""
    hosts: int
    holds: Mapping[str, int]
    """Instances by shape on each of these hosts while every domain is there."""
    reserved: Mapping[str, int]
    """What each of them holds at most, once domains are lost."""
    bound_by: str
    """What stops a further instance: a resource, the reason of a cap, or the demand."""


def held_now(reserved: Ints, wanted: Ints, even: bool) -> Ints:
    """Of what hosts (n × shapes) can hold, what they hold so that exactly ``wanted`` is placed.

    Even: every host holds the same share of what it can, so that the rest is free everywhere. Else the
    last hosts stay empty first.
    """
    total = reserved.sum(axis=0)
    target: Ints = np.minimum(wanted, total)
    if not even:
        before: Ints = np.cumsum(reserved, axis=0) - reserved
        return np.asarray(np.minimum(np.maximum(target - before, 0), reserved), dtype=np.int64)
    exact = reserved * (target / np.maximum(total, 1))
    held: Ints = np.asarray(np.floor(exact + 1e-9), dtype=np.int64)
    for shape in range(held.shape[1]):
        rest = int(target[shape] - held[:, shape].sum())
        room = np.argsort(-(exact[:, shape] - held[:, shape]), kind="stable")
        free = room[reserved[room, shape] > held[room, shape]][:rest]
        held[free, shape] += 1
    return held


def faults_of(task: PackingTask, stacks: tuple[Stack, ...], unplaced: Mapping[str, int]) -> list[str]:
    """What is wrong with a plan, looked at host by host without the solver's arithmetic."""
    kinds = {kind.name: kind for kind in task.kinds}
    found = []
    for stack in stacks:
        for what, counts in (("holds", stack.holds), ("reserves", stack.reserved)):
            found += [
                f"a {stack.kind} {what} {fault}" for fault in _overfull(task, kinds[stack.kind], counts)
            ]
        if any(n > stack.reserved.get(shape, 0) for shape, n in stack.holds.items()):
            found.append(f"a {stack.kind} holds more than is reserved on it")
    return found + _misplaced(task, stacks) + _miscounted(task, stacks, unplaced)


def _misplaced(task: PackingTask, stacks: tuple[Stack, ...]) -> list[str]:
    found = []
    for kind in task.kinds:
        used = sum(stack.hosts for stack in stacks if stack.kind == kind.name)
        if kind.available is not None and used > kind.available:
            found.append(f"{used} {kind.name}, of which there are {kind.available}")
    everywhere = [sum(s.hosts for s in stacks if s.domain == d + 1) for d in range(task.domains)]
    if task.whole and len(set(everywhere)) > 1:
        found.append("domains have different numbers of hosts")
    for place, size in enumerate(task.sizes, 1):
        if everywhere[place - 1] > size:
            found.append(f"more hosts in domain {place} than it takes")
    return found


def _miscounted(task: PackingTask, stacks: tuple[Stack, ...], unplaced: Mapping[str, int]) -> list[str]:
    found = []
    losses = itertools.islice(
        itertools.combinations(range(1, task.domains + 1), task.lost), _LOSSES_TRIED
    )
    for gone in losses:
        for shape in task.shapes:
            left = sum(
                one.hosts * one.reserved.get(shape.name, 0) for one in stacks if one.domain not in gone
            )
            if left < shape.count - unplaced.get(shape.name, 0):
                found.append(
                    f"without domains {gone} there is room for {left} {shape.name}, not {shape.count}"
                )
    for shape in task.shapes:
        placed = sum(one.hosts * one.holds.get(shape.name, 0) for one in stacks)
        if placed != shape.count - unplaced.get(shape.name, 0):
            found.append(f"{placed} of {shape.count} {shape.name} are placed")
    return found


def _overfull(task: PackingTask, kind: HostKind, counts: Mapping[str, int]) -> list[str]:
    found = []
    for shape, n in counts.items():
        cap = task.caps.get((shape, kind.name))
        if n and (shape, kind.name) not in task.needs:
            found.append(f"{shape}, which does not run there")
        if cap is not None and n > cap.most:
            found.append(f"{n} {shape}, of which it may hold {cap.most}")
    for resource, room in kind.room.items():
        used = _load(task, kind, counts, resource)
        if used > room + 1e-6 * max(abs(room), 1e-12) and any(counts.values()):
            found.append(f"{used:g} of {resource}, of which it has {room:g}")
    return found


def _load(task: PackingTask, kind: HostKind, counts: Mapping[str, int], resource: str) -> float:
    """Mean and risk from the covariances of all pairs of instances."""
    needs = [
        (n, (task.needs.get((shape, kind.name)) or {}).get(resource, NOTHING))
        for shape, n in counts.items()
        if n
    ]
    variance = kind.noise.get(resource, 0.0) ** 2
    for i, (n, one) in enumerate(needs):
        variance += n * one.sd**2
        for j, (m, other) in enumerate(needs):
            pairs = n * (n - 1) if i == j else n * m
            variance += pairs * one.sd * other.sd * math.sqrt(one.correlation * other.correlation)
    return sum(n * one.mean for n, one in needs) + task.risk_z * math.sqrt(max(0.0, variance))
