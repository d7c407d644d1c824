"""Mixed plans: several instance shapes on several kinds of hosts, with what they must cost at least.

Every host follows a pattern: so many instances of each shape at most. A plan chooses how many hosts of
which pattern lie in which failure domain (Gilmore & Gomory, Operations Research 9, 1961), by integer
programming (HiGHS through scipy). Its bound is proven by the solver where all maximal patterns were
looked at, else by the linear programme over all patterns.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from analysis.capacity.columns import Columns, columns_of, merged, narrowed
from analysis.capacity.cover import Cover, Effort, least_cost, least_shortage
from analysis.capacity.hindrances import Hindrance, Remedy, blocked_by, hindrances_of
from analysis.capacity.packing_task import PackingTask
from analysis.capacity.patterns import Ints
from analysis.capacity.placing import Stack, faults_of, held_now
from analysis.capacity.relaxed import relaxed_bound

_VARIABLES = 500
"""Patterns × domains above which only the most promising patterns are left to choose from."""
_SPREAD_VARIABLES = 180
"""The same where domains are told apart: their programme is much harder."""
_AT_LEAST = 40
_PRICE_UNIT = Fraction(1, 10_000)


@dataclass(frozen=True)
class MixedPlan:
    """Hosts, what lies on them, and how far it may be from the best."""

    feasible: bool
    """True where every instance has a host, and finds another after the loss that was asked for."""
    proven: bool
    """What ``feasible`` says is proven. False: no plan was found, but there may be one."""
    stacks: tuple[Stack, ...]
    hosts: Mapping[str, int]
    """By kind."""
    cost: float
    """Sum of prices, or number of hosts where a kind has no price."""
    priced: bool
    bound: float
    """No plan that keeps all limits costs less. Of an infeasible task 0."""
    all_patterns: bool
    """All maximal patterns were chosen from; else those that were generated."""
    stopped: bool
    """The search ended by its time limit; a longer one may find a cheaper plan."""
    unplaced: Mapping[str, int]
    """Instances without a host, by shape; only of infeasible tasks."""
    hindrances: tuple[Hindrance, ...] = ()
    """Of every shape that fits on no host: what stands in the way on each kind."""
    remedies: tuple[Remedy, ...] = ()
    """Hosts that would make it feasible; each is a way of its own."""

    @property
    def gap(self) -> float:
        """How much dearer than the bound, as a share of the cost; 0 where the plan is proven best."""
        return max(0.0, 1 - self.bound / self.cost) if self.cost else 0.0


def pack(task: PackingTask, effort: Effort | None = None) -> MixedPlan:
    """Cheapest hosts for a task. The same task gives the same plan, unless ``stopped`` is true."""
    effort = effort or Effort()
    columns = columns_of(task)
    hindrances = hindrances_of(task, columns.rooms)
    chosen = _chosen(task, columns)
    if not hindrances:
        chosen, cover = _covered(task, chosen, effort)
        if cover is not None:
            return _plan(task, columns, (chosen, cover), {})
    return replace(
        _short(task, columns, chosen, effort), hindrances=hindrances, remedies=_remedies(task, effort)
    )


def _chosen(task: PackingTask, columns: Columns) -> Columns:
    most = _VARIABLES if task.spread == 1 else max(_SPREAD_VARIABLES // task.spread, _AT_LEAST)
    return narrowed(task, columns, most)


def _covered(task: PackingTask, columns: Columns, effort: Effort) -> tuple[Columns, Cover | None]:
    """The cheapest hosts found. With losses, those for an equal share in every domain are a start.

    What holds a share of 1/(f−k) in each of f domains holds everything after the loss of any k.
    """
    relaxed = _whole(task, relaxed_bound(task, columns.rooms, effort))
    columns = replace(columns, whole_bound=relaxed)
    effort = replace(effort, floor=_floor(task, columns))
    if not task.lost or task.sizes:
        return columns, least_cost(task, columns, effort)
    one = _equal_share(task)
    small = columns_of(one)
    start = least_cost(one, _chosen(one, small), replace(effort, floor=_floor(one, small)))
    if start is None:
        return columns, least_cost(task, columns, effort)
    small = _chosen(one, small)
    used = np.flatnonzero(start.hosts[:, 0])
    every = merged(columns, small.patterns[used], small.kind[used])
    return every, least_cost(task, every, effort, _in_all(task, every, (small, start)))


def _equal_share(task: PackingTask) -> PackingTask:
    share = task.domains - task.lost
    return replace(
        task,
        shapes=tuple(replace(one, count=-(-one.count // share)) for one in task.shapes),
        kinds=tuple(
            replace(one, available=None if one.available is None else one.available // task.domains)
            for one in task.kinds
        ),
        domains=1,
        lost=0,
        whole=False,
    )


def _in_all(task: PackingTask, every: Columns, start: tuple[Columns, Cover]) -> Ints:
    """The same hosts in all domains."""
    small, cover = start
    place = {
        (int(kind), *map(int, row)): at
        for at, (kind, row) in enumerate(zip(every.kind, every.patterns, strict=True))
    }
    hosts = np.zeros((every.kind.size, task.domains), np.int64)
    for at in np.flatnonzero(cover.hosts[:, 0]):
        hosts[place[int(small.kind[at]), *map(int, small.patterns[at])]] = cover.hosts[at, 0]
    return hosts


def _plan(
    task: PackingTask, columns: Columns, found: tuple[Columns, Cover], unplaced: dict[str, int]
) -> MixedPlan:
    chosen, cover = found
    stacks = _stacks(task, chosen, cover.hosts)
    faults = faults_of(task, stacks, unplaced)
    assert not faults, f"a plan that was found must hold: {faults[:3]}"
    used = Counter[str]()
    for stack in stacks:
        used[stack.kind] += stack.hosts
    hosts = {kind.name: used[kind.name] for kind in task.kinds}
    cost = float(sum(task.cost_of(kind) * used[kind.name] for kind in task.kinds))
    bound = 0.0 if unplaced else min(cost, _bound(task, found))
    return MixedPlan(
        not unplaced,
        True,
        stacks,
        hosts,
        cost,
        task.priced,
        bound,
        math.isinf(columns.left_out),
        cover.stopped,
        unplaced,
    )


def _bound(task: PackingTask, found: tuple[Columns, Cover]) -> float:
    """The larger of what the search proved and of what hosts without failure domains must cost.

    Whatever k of f domains are lost, the others carry everything alone. Over all choices of them every
    domain is there in f−k of f, so that the whole costs at least f/(f−k) times as much. The search knows
    of plans from its own patterns only; one with any other costs at least what was noted of those.
    """
    columns, cover = found
    searched = min(cover.bound, columns.bound * _surplus(task) + columns.left_out)
    return max(_floor(task, columns), _whole(task, searched))


def _surplus(task: PackingTask) -> float:
    return task.domains / (task.domains - task.lost)


def _floor(task: PackingTask, columns: Columns) -> float:
    spread = _whole(task, _whole(task, columns.bound) * _surplus(task))
    return max(spread, columns.whole_bound)


def _whole(task: PackingTask, bound: float) -> float:
    """The next sum of prices at or above a bound, where prices have a common unit."""
    prices = [Fraction(task.cost_of(kind)).limit_denominator(10_000) for kind in task.kinds]
    if any(
        abs(float(one) - task.cost_of(kind)) > 1e-12
        for one, kind in zip(prices, task.kinds, strict=True)
    ):
        return bound
    units = [int(one / _PRICE_UNIT) for one in prices]
    if any(one % _PRICE_UNIT for one in prices):
        return bound
    unit = math.gcd(*units) * float(_PRICE_UNIT)
    return math.ceil(bound / unit - 1e-6) * unit


def _stacks(task: PackingTask, columns: Columns, hosts: Ints) -> tuple[Stack, ...]:
    """Single hosts with what they hold, gathered where they are alike."""
    rows = [
        (int(pattern), domain)
        for pattern, domain in np.argwhere(hosts > 0)
        for _ in range(int(hosts[pattern, domain]))
    ]
    pattern = np.array([row for row, _ in rows], dtype=np.int64)
    domain = np.array([one for _, one in rows], dtype=np.int64)
    wanted = np.array([shape.count for shape in task.shapes], dtype=np.int64)
    reserved = columns.patterns[pattern]
    held = held_now(reserved, wanted, even=task.lost > 0)
    if not task.lost:
        kept = held.any(axis=1) | task.whole
        reserved = reserved[kept]
        pattern, held = pattern[kept], held[kept]
        domain = domain[kept]
        if task.spread == 1:
            domain = np.arange(len(pattern)) % task.domains
    alike = Counter(
        (int(columns.kind[one]), int(where), tuple(map(int, now)), tuple(map(int, most)))
        for one, where, now, most in zip(pattern, domain, held, reserved, strict=True)
    )
    return tuple(_stack(task, columns, key, n) for key, n in sorted(alike.items()))


def _stack(
    task: PackingTask, columns: Columns, key: tuple[int, int, tuple[int, ...], tuple[int, ...]], n: int
) -> Stack:
    kind, domain, held, reserved = key
    names = [shape.name for shape in task.shapes]
    room = columns.rooms[kind]
    return Stack(
        room.kind.name,
        domain + 1,
        n,
        {name: count for name, count in zip(names, held, strict=True) if count},
        {name: count for name, count in zip(names, reserved, strict=True) if count},
        blocked_by(task, room, np.array(reserved if task.lost else held, dtype=np.int64)),
    )


def _short(task: PackingTask, columns: Columns, chosen: Columns, effort: Effort) -> MixedPlan:
    """As much as can be placed, and what is left over."""
    everything = {shape.name: shape.count for shape in task.shapes if shape.count}
    cover = least_shortage(task, chosen, effort)
    if cover is None:
        return MixedPlan(
            False,
            not chosen.kind.size,
            (),
            {},
            0.0,
            task.priced,
            0.0,
            math.isinf(chosen.left_out),
            False,
            everything,
        )
    room = _room_after_loss(task, chosen.patterns, cover.hosts)
    unplaced = {
        shape.name: shape.count - int(held)
        for shape, held in zip(task.shapes, room, strict=True)
        if held < shape.count
    }
    proven = columns.short_bound > 0.5 or (math.isinf(chosen.left_out) and cover.bound > 0.5)
    fewer = replace(
        task,
        shapes=tuple(replace(one, count=one.count - unplaced.get(one.name, 0)) for one in task.shapes),
    )
    best = least_cost(fewer, chosen, effort) or cover
    plan = _plan(fewer, columns, (chosen, best), {})
    return replace(plan, feasible=False, proven=proven, unplaced=unplaced, bound=0.0)


def _room_after_loss(task: PackingTask, patterns: Ints, hosts: Ints) -> Ints:
    """By shape, what is held whichever domains are lost."""
    held = np.sort(hosts.T @ patterns, axis=0)
    return np.asarray(held[: held.shape[0] - task.lost if task.lost else None].sum(axis=0))


def _remedies(task: PackingTask, effort: Effort) -> tuple[Remedy, ...]:
    """More hosts of one kind, of each that helps; of all kinds where no single one does."""
    limited = [kind for kind in task.kinds if kind.available is not None]
    found = [way for kind in limited if (way := _with_more(task, [kind.name], effort))]
    if not found and len(limited) > 1:
        found = [way for way in [_with_more(task, [kind.name for kind in limited], effort)] if way]
    return tuple(found)


def _with_more(task: PackingTask, names: list[str], effort: Effort) -> Remedy | None:
    kinds = tuple(replace(kind, available=None) if kind.name in names else kind for kind in task.kinds)
    freed = replace(task, kinds=kinds)
    columns = columns_of(freed)
    if hindrances_of(freed, columns.rooms):
        return None
    chosen, cover = _covered(freed, _chosen(freed, columns), effort)
    if cover is None:
        return None
    plan = _plan(freed, columns, (chosen, cover), {})
    more = {
        kind.name: plan.hosts[kind.name] - kind.available
        for kind in task.kinds
        if kind.name in names and kind.available is not None and plan.hosts[kind.name] > kind.available
    }
    return Remedy(more, plan.cost) if more else None
