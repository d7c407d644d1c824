"""Mixed plans in sentences."""

import math

from analysis import quantities
from analysis.capacity.hindrances import NO_HOST, NOT_MEASURED, Hindrance, Remedy
from analysis.capacity.mix import Mix
from analysis.capacity.mix_task import MOST_DOMAINS, MOST_PER_HOST, Mixture
from analysis.capacity.money import money
from analysis.capacity.packing import MixedPlan
from analysis.capacity.packing_task import PackingTask

METHOD = (
    (
        "A mixed plan gives every host a pattern: so many instances of each shape at most. Patterns "
        "are chosen by integer programming for the lowest price, or the fewest hosts where a class "
        "has no price; its lower bound is what no other choice of such patterns can fall below at the "
        "same amounts. Resources add up. Objectives and walls are shares of the host that add up too: "
        "half of what meets an objective of one shape leaves half of it to another; shapes were not "
        "measured side by side. After the loss of failure domains survivors fill up to their "
        "patterns, and nothing that runs is moved."
    ),
    (
        "A mixed plan is made for demands and needs at one quantile each, which is raised until the "
        "plan suffices in enough draws of demand and evidence; in each draw its hosts are filled in "
        "proportion to their patterns. Plans are not made anew in every draw."
    ),
)


def summary(mix: Mix, confidence: float) -> str:
    """What is recommended, in one sentence or two."""
    what = f"All shapes on shared hosts, as {_variants(mix)}"
    plan = mix.plan
    if mix.infeasible or plan is None:
        return f"{what}: not possible. {' '.join(mix.infeasible)}"
    hosts = quantities.listed(
        [f"{n} of {name}" for name, n in mix.hosts.items() if n] or ["no hosts"], 9
    )
    price = f" for {money(mix.cost)}" if plan.priced else ""
    chance = f"suffice with a chance of {quantities.share(confidence)}"
    if not mix.enough:
        chance = f"fall short in {quantities.share(mix.shortfall)} of the draws"
    spare = quantities.listed([f"{n} {name}" for name, n in mix.spares.items()], 9)
    spares = f", {spare} of them spare" if mix.spares else ""
    return f"{what}: {hosts}{price} {chance}{spares}. {_bound(mix, plan)}{_saved(mix, plan)}"


def _variants(mix: Mix) -> str:
    names = list(dict.fromkeys(mix.variants.values()))
    return names[0] if len(names) == 1 else ", ".join(f"{s} {v}" for s, v in mix.variants.items())


def _bound(mix: Mix, plan: MixedPlan) -> str:
    spare = " (spares apart)" if mix.spares else ""
    if plan.gap < 1e-9:
        return f"No plan for these amounts costs less{spare}: proven."
    return (
        f"No plan for these amounts costs less than {_amount(plan.bound, plan.priced)}{spare}: at most "
        f"{quantities.share(plan.gap)} could be saved."
    )


def _amount(cost: float, priced: bool) -> str:
    return money(cost) if priced else quantities.plural(math.ceil(cost - 1e-9), "host")


def _saved(mix: Mix, plan: MixedPlan) -> str:
    if mix.apart is None or mix.cost is None:
        return ""
    return (
        f" With hosts for every shape alone it would be {_amount(mix.apart, plan.priced)}, against "
        f"{_amount(mix.cost, plan.priced)}."
    )


def why_not(task: PackingTask, plan: MixedPlan) -> tuple[str, ...]:
    """Which shape finds no host, what stands in its way on each class, and what would do."""
    if plan.feasible:
        return ()
    said = [_hindrance(one) for one in plan.hindrances]
    if not plan.hindrances:
        left = quantities.listed([f"{n} {name}" for name, n in plan.unplaced.items()], 9)
        sure = "" if plan.proven else " by any plan that was found"
        loss = f", {task.lost} of {task.domains} failure domains lost" if task.lost else ""
        said.append(f"With the hosts that can be had, {left} are left without room{sure}{loss}.")
    said += [_remedy(way, task.priced) for way in plan.remedies]
    if not plan.remedies and not plan.hindrances:
        said.append("Domains that take more hosts, or smaller demands, would do.")
    return tuple(said)


def _hindrance(one: Hindrance) -> str:
    where = f"{one.shape} on {one.kind}"
    if one.what == NOT_MEASURED:
        return f"{where}: not measured."
    if one.what == NO_HOST:
        return f"{where}: it would fit, but there is no such host."
    if one.what == MOST_PER_HOST:
        return f"{where}: 'most_per_host' allows none."
    if one.asked is None or one.room is None or one.what not in ("memory", "processors"):
        return f"{where}: no number of instances keeps to {one.what}."
    shown = quantities.size if one.what == "memory" else quantities.processors
    return (
        f"{where}: one instance with its spread takes {shown(one.asked)} of {one.what}, and a host has "
        f"{shown(max(0.0, one.room))} for instances."
    )


def _remedy(way: Remedy, priced: bool) -> str:
    more = quantities.listed([f"{n} more of {name}" for name, n in way.more.items()], 9)
    return f"{more[0].upper()}{more[1:]} would do, for {_amount(way.cost, priced)} in all."


def cautions_of(mixture: Mixture, mix: Mix) -> tuple[str, ...]:
    """Everything to know before the plan is relied on."""
    asked, plan = mixture.demand.domains, mix.plan
    together = asked is not None and asked.number > max(MOST_DOMAINS, asked.lose + 1)
    beyond = _beyond(mixture, plan) if plan is not None else ""
    unknown = _unknown(mixture)
    late = mix.restore_s is not None and mix.restore_s > (mixture.demand.rto or math.inf)
    said = (
        (mix.virtual, "Time was simulated: nothing here is real."),
        (mix.emulated, "Measured on an emulated CPU: on a real one everything is faster."),
        (bool(beyond), beyond),
        (bool(unknown), unknown),
        (together, _TOGETHER),
        (plan is not None and plan.feasible and not mix.enough, _UNCERTAIN),
        (plan is not None and plan.stopped and plan.gap > 0, _STOPPED),
        (late, _late(mix.restore_s, mixture.demand.rto)),
        (asked is not None and mixture.demand.rto is not None and mix.restore_s is None, _RTO_UNKNOWN),
    )
    return tuple(text for is_so, text in said if is_so)


_TOGETHER = (
    f"More than {MOST_DOMAINS} failure domains were taken together, so that each loss takes more than "
    "it would: fewer hosts may do."
)
_UNCERTAIN = (
    "The evidence is so uncertain that no mixed plan was found that suffices with the demand's "
    "confidence: measure more."
)
_STOPPED = "The search for a cheaper plan ended by its time limit: another run may find another plan."
_RTO_UNKNOWN = (
    "Whether the mixed plan keeps the RTO is not known: a part of the time to restore is missing."
)


def _late(restore_s: float | None, rto_s: float | None) -> str:
    if restore_s is None or rto_s is None:
        return ""
    when = "never" if math.isinf(restore_s) else f"after {quantities.duration(restore_s * 1e9)}"
    return (
        f"What the worst loss takes is back {when}, later than the RTO of "
        f"{quantities.duration(rto_s * 1e9)}: the mixed plan holds it, and does not start it fast "
        "enough. More hosts, or a smaller 'most_per_host', would do."
    )


def _unknown(mixture: Mixture) -> str:
    """What was measured of one shape and not of another on the same class: there it counts as none."""
    lacking = []
    for kind in mixture.names:
        uses = {one.now.shape.name: set(one.drawn.uses) for one in mixture.of_kind(kind)}
        for resource in sorted(set().union(*uses.values())):
            lacking += [
                f"{resource} of {shape} on {kind}" for shape, has in uses.items() if resource not in has
            ]
    return (
        f"Not measured, and so counted as none beside other shapes: {quantities.listed(lacking, 6)}."
        if lacking
        else ""
    )


def _beyond(mixture: Mixture, plan: MixedPlan) -> str:
    """Whether a host holds more than was ever held at once, counted in shares of each shape's peak."""
    most = 0.0
    for stack in plan.stacks:
        share = sum(
            n / max(1, mixture.placed[shape, stack.kind].now.evidence.peak)
            for shape, n in stack.reserved.items()
        )
        most = max(most, share)
    if most <= 1:
        return ""
    return (
        f"The fullest host holds {most:.1f} times what was ever held at once, counted in shares of each "
        "shape's highest number: beyond what was measured."
    )
