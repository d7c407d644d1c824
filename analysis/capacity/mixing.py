"""Mixed plans of a demand: every shape on shared hosts, made so that they suffice often enough."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from analysis.capacity.answer import Plan
from analysis.capacity.availability import hosts_for
from analysis.capacity.cover import Effort
from analysis.capacity.demand import Demand
from analysis.capacity.mix import Mix, Tried
from analysis.capacity.mix_recovery import restored_s
from analysis.capacity.mix_task import MOST_DOMAINS, Mixture, Placed, overfull, task_at
from analysis.capacity.mix_words import cautions_of, why_not
from analysis.capacity.packing import MixedPlan, pack
from analysis.capacity.packing_task import PackingTask
from analysis.statistics.blocks import Floats

EFFORT = Effort(time_limit_s=3.0, gap=0.001)
"""Of one plan; one mix takes up to eight."""
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.995)
_REFINED = 2
"""Halvings between the last level that did not suffice and the first that did."""
_TOO_MANY = (
    "Of {} failure domains of given sizes no mixed plan is made: "
    f"{MOST_DOMAINS} is the most. Give 'count', or fewer of them."
)


def mixes_of(demand: Demand, placed: Sequence[Placed], plans: Sequence[Plan]) -> tuple[Mix, ...]:
    """Mixed plans, one for each variant that can carry every shape.

    None where there is nothing to mix: one shape, and no price or number of hosts that would tell one
    class from another. A shape that names one variant only runs as that in each of them.
    """
    classes = {one.now.host.name: one.now.host for one in placed}
    told_apart = any(host.price is not None or host.most is not None for host in classes.values())
    if len(demand.shapes) < 2 and (len(classes) < 2 or not told_apart):
        return ()
    found: list[Mix] = []
    for variant in dict.fromkeys(one.now.evidence.variant for one in placed):
        mixture = _mixture(demand, placed, variant)
        if mixture is None:
            continue
        variants = {shape: one.now.evidence.variant for (shape, _), one in mixture.placed.items()}
        if all(variants != known.variants for known in found):
            found.append(_mix(mixture, variants, plans))
    return tuple(found)


def _mixture(demand: Demand, placed: Sequence[Placed], variant: str) -> Mixture | None:
    """Every shape as one variant, or as the only one that it may run as; None where one is missing.

    Neither simulated and real numbers nor emulated and real processors are put on one host.
    """
    mine: dict[tuple[str, str], Placed] = {}
    for one in placed:
        only = len(one.now.shape.variants) == 1
        if one.now.evidence.variant == variant or only:
            mine[one.now.shape.name, one.now.host.name] = one
    marks = {(one.now.evidence.virtual, one.now.evidence.emulated) for one in mine.values()}
    complete = {shape for shape, _ in mine} == {shape.name for shape in demand.shapes}
    return Mixture(demand, mine) if complete and len(marks) == 1 else None


def _mix(mixture: Mixture, variants: Mapping[str, str], plans: Sequence[Plan]) -> Mix:
    evidence = next(iter(mixture.placed.values())).now.evidence
    empty = Mix(variants, evidence.emulated, evidence.virtual, None)
    domains = mixture.demand.domains
    if domains is not None and domains.sizes and domains.number > MOST_DOMAINS:
        return replace(empty, infeasible=(_TOO_MANY.format(domains.number),))
    found, tried = _searched(mixture)
    level, task, plan = found
    shortfall = _shortfall(mixture, plan) if plan.feasible else 1.0
    spares = _spares(mixture, task, plan) if plan.feasible else {}
    kinds = {kind.name: kind for kind in task.kinds}
    said = why_not(task, plan)
    for name, more in spares.items():
        most = kinds[name].available
        if most is not None and plan.hosts[name] + more > most:
            said = (*said, f"{plan.hosts[name] + more} {name} with spares, and only {most} can be had.")
    mix = Mix(
        variants,
        evidence.emulated,
        evidence.virtual,
        plan,
        {shape.name: shape.count for shape in task.shapes},
        level,
        shortfall,
        plan.feasible and shortfall <= 1 - mixture.demand.confidence + 1e-12,
        spares,
        tried,
        _apart(mixture, variants, plans, task.priced),
        said,
        restore_s=_restore_s(mixture, plan),
        spare_cost=float(sum(task.cost_of(kinds[name]) * n for name, n in spares.items())),
    )
    return replace(mix, cautions=cautions_of(mixture, mix))


def _searched(mixture: Mixture) -> tuple[tuple[float, PackingTask, MixedPlan], tuple[Tried, ...]]:
    """The plan for the lowest level that suffices, and all that were tried."""
    allowed = 1 - mixture.demand.confidence + 1e-12
    tried: dict[float, tuple[PackingTask, MixedPlan, float]] = {}

    def suffices(level: float) -> bool:
        if level not in tried:
            task = task_at(mixture, level)
            plan = pack(task, EFFORT)
            tried[level] = task, plan, _shortfall(mixture, plan) if plan.feasible else 1.0
        return tried[level][2] <= allowed

    good = next(
        (level for level in LEVELS if suffices(level) or not tried[level][1].feasible), LEVELS[-1]
    )
    low = LEVELS[max(0, LEVELS.index(good) - 1)]
    if tried[good][2] <= allowed:
        for _ in range(_REFINED if low < good else 0):
            middle = (low + good) / 2
            low, good = (low, middle) if suffices(middle) else (middle, good)
        cheapest = min(
            (level for level, (_, _, short) in tried.items() if short <= allowed),
            key=lambda level: (tried[level][1].cost, tried[level][2]),
        )
        good = cheapest
    shown = tuple(
        Tried(level, plan.hosts, plan.cost, short)
        for level, (_, plan, short) in sorted(tried.items())
        if plan.feasible
    )
    return (good, *tried[good][:2]), shown


def _shortfall(mixture: Mixture, plan: MixedPlan) -> float:
    """Share of the draws in which the hosts do not carry the demand that comes, or are back too late.

    In every draw each host is given the same share of what its pattern holds, so that all that is wanted
    is placed after the worst loss for each shape. A plan falls short where that is too much for any of
    its hosts. Other ways to place the same might still do: the share is an upper bound.
    """
    names = [shape.name for shape in mixture.demand.shapes]
    wanted = {name: mixture.of_shape(name).drawn.demand for name in names}
    left = _left(mixture, plan)
    short = np.zeros_like(wanted[names[0]])
    for name in names:
        if left[name] < 1:
            short = np.maximum(short, wanted[name] > 0)
    reserved: dict[str, list[Mapping[str, int]]] = {}
    for stack in plan.stacks:
        known = reserved.setdefault(stack.kind, [])
        if dict(stack.reserved) not in known:
            known.append(dict(stack.reserved))
    for kind, patterns in reserved.items():
        held: list[Mapping[str, Floats]] = [
            {
                name: np.ceil(n * wanted[name] / max(left[name], 1) * (1 - 1e-12))
                for name, n in pattern.items()
                if n
            }
            for pattern in patterns
        ]
        short = np.maximum(short, overfull(mixture, kind, held))
    back_s, rto_s = restored_s(mixture, plan), mixture.demand.rto
    if rto_s is not None and back_s is not None:
        short = np.maximum(short, back_s > rto_s)
    return float(short.mean())


def _restore_s(mixture: Mixture, plan: MixedPlan) -> float | None:
    """At the median, where somebody asked for it."""
    found = restored_s(mixture, plan) if mixture.demand.rto is not None else None
    return None if found is None else float(np.median(found))


def _left(mixture: Mixture, plan: MixedPlan) -> dict[str, int]:
    """By shape, for how many there is room whichever domains are lost."""
    number, lost, _, _ = mixture.domains
    held: dict[str, Counter[int]] = {shape.name: Counter() for shape in mixture.demand.shapes}
    for stack in plan.stacks:
        for name, n in stack.reserved.items():
            held[name][stack.domain] += n * stack.hosts
    return {
        name: sum(sorted(by[d] for d in range(1, number + 1))[: number - lost])
        for name, by in held.items()
    }


def _spares(mixture: Mixture, task: PackingTask, plan: MixedPlan) -> dict[str, int]:
    """Hosts of every class beside the plan's, so that enough of each class are up.

    Failures of single hosts: of every class as many more as make the plan without domains whole with
    the asked-for chance, shared evenly among the classes. An RTO without domains: one host of each
    class, which takes over from any one that is lost.
    """
    demand = mixture.demand
    found: dict[str, int] = Counter()
    if demand.rto is not None and demand.domains is None:
        found.update({name: 1 for name, n in plan.hosts.items() if n})
    if demand.host_failures is not None:
        bare = plan
        if task.lost:
            bare = pack(replace(task, domains=1, lost=0, sizes=(), whole=False), EFFORT)
        used = {name: n for name, n in bare.hosts.items() if n}
        chance = demand.host_failures.target ** (1 / max(1, len(used)))
        for name, n in used.items():
            more = hosts_for(n, demand.host_failures.up, chance) - plan.hosts[name]
            found[name] = max(found.get(name, 0), more)
    return {name: n for name, n in found.items() if n > 0}


def _apart(
    mixture: Mixture, variants: Mapping[str, str], plans: Sequence[Plan], priced: bool
) -> float | None:
    """The sum of the cheapest plans with hosts for every shape alone; None where one cannot be."""
    total = 0.0
    for shape in mixture.demand.shapes:
        some = [
            plan.price if priced else plan.recommended
            for plan in plans
            if (plan.shape, plan.variant, plan.basis) == (shape.name, variants[shape.name], "measured")
            and not plan.infeasible
        ]
        known = [cost for cost in some if cost is not None and math.isfinite(cost)]
        if not known:
            return None
        total += min(known)
    return total
