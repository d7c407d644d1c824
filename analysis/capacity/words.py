"""The answer in sentences: what is recommended, what binds, what cannot be."""

import math
from collections import defaultdict
from collections.abc import Sequence

from analysis import quantities
from analysis.capacity import mix_words, services_shown
from analysis.capacity.answer import Answer, Difference, Plan
from analysis.capacity.cautions import FAR
from analysis.capacity.checks import MOST_ERROR
from analysis.capacity.money import money

METHOD = (
    (
        "A host holds as many instances as the tightest constraint allows. Memory and processors: the "
        "empty host, what each instance takes, and for the overload risk its spread within and between "
        "hosts, below capacity less headroom. Objectives: the lower 95 % bound of the largest number of "
        "instances that met them. Walls: where hosts refused to go on."
    ),
    (
        "Hosts are those for the demand, then enough of them that what failure domains, independent "
        "failures and the RTO ask for holds as well. P50, P90 and P95 are over draws of the demand and "
        "of everything that was measured, blocks being resampled whole."
    ),
)


MOST_DOMAINS = 12
"""Failure domains whose hosts are named one by one."""


def summary(answer: Answer) -> tuple[str, ...]:
    """One sentence per shape and variant: how many hosts of which class, and what binds there."""
    said = [_recommend(plan, answer.confidence) for plan in best(answer.plans)]
    said += [mix_words.summary(mix, answer.confidence) for mix in answer.mixes]
    said += _differences(answer.differences)
    return tuple(said) or ("Nothing was measured that the demand could be planned with.",)


def caveats(answer: Answer) -> tuple[str, ...]:
    """What limits belief in the plans: each sentence once, with the plans that it holds for."""
    of_text: dict[str, list[str]] = defaultdict(list)
    for plan in answer.plans:
        for text in (*plan.warnings, *_failed_checks(plan)):
            of_text[text].append(f"{plan.variant} on {plan.host_class}")
    every = len({f"{plan.variant} on {plan.host_class}" for plan in answer.plans})
    said = []
    for text, plans in of_text.items():
        names = list(dict.fromkeys(plans))
        said.append(text if len(names) == every else f"{quantities.listed(names, 3)}: {text}")
    mixed = dict.fromkeys(f"Shared hosts: {text}" for mix in answer.mixes for text in mix.cautions)
    return (*services_shown.cautions(answer), *said, *mixed, *answer.missing)


def best(plans: Sequence[Plan]) -> list[Plan]:
    """Of every shape and variant the cheapest plan; the one with the fewest hosts without prices.

    Plans by what is reserved are listed after those by what was measured.
    """
    alike: dict[tuple[str, str, str], list[Plan]] = defaultdict(list)
    for plan in plans:
        alike[plan.basis, plan.shape, plan.variant].append(plan)
    ranked = sorted(alike.items(), key=lambda item: item[0][0] != "measured")
    return [_cheapest(some) for _, some in ranked]


def _cheapest(plans: Sequence[Plan]) -> Plan:
    possible = [plan for plan in plans if not plan.infeasible] or list(plans)
    if all(plan.price is not None for plan in possible):
        return min(possible, key=lambda plan: (plan.price or 0.0, plan.recommended))
    return min(possible, key=lambda plan: plan.recommended)


def hosts(number: float) -> str:
    """A number of hosts; that none would do is said so."""
    return "none would do" if math.isinf(number) else quantities.count(number)


def _recommend(plan: Plan, confidence: float) -> str:
    what = f"{plan.shape} as {plan.variant}"
    if plan.basis == "guaranteed":
        what += ", by what is reserved for each instance"
    if plan.infeasible:
        return f"{what}: not possible on {plan.host_class}. {' '.join(plan.infeasible)}"
    number = quantities.plural(round(plan.recommended), "host")
    price = f" for {money(plan.price)}" if plan.price is not None else ""
    chance = quantities.share(confidence)
    few = 0 < len(plan.spread) <= MOST_DOMAINS
    domains = f", {' + '.join(map(str, plan.spread))} by failure domain" if few else ""
    bound = f", bound by {plan.binding.name}" if plan.binding else ""
    density, instances = quantities.count(plan.density), quantities.count(plan.instances)
    return (
        f"{what}: {number} of {plan.host_class}{price} suffice with a chance of {chance}{domains}. A "
        f"host holds up to {density} instances{bound}; {instances} are asked for.{_within(plan)}"
    )


def _within(plan: Plan) -> str:
    """The other answer, where the first one lies far beyond what was measured."""
    if plan.density <= FAR * plan.density_measured:
        return ""
    held = quantities.count(plan.density_measured)
    return (
        f" That lies far beyond what was measured: with no more than the {held} that were held at once, "
        f"it takes {hosts(plan.hosts_measured)}."
    )


def _differences(differences: Sequence[Difference]) -> list[str]:
    """Each sentence once, with the shapes and classes that it holds for."""
    where: dict[str, list[str]] = defaultdict(list)
    for one in differences:
        if one.basis == "measured":
            where[_differs(one)].append(f"{one.shape} on {one.host_class}")
    return [f"{quantities.listed(places, 6)}: {text}" for text, places in where.items()]


def _differs(one: Difference) -> str:
    if one.withheld or one.p50 is None or one.p5 is None or one.p95 is None:
        return f"{one.variant} is not set against {one.baseline}: {one.withheld}."
    if one.p5 == one.p95 == 0:
        return f"{one.variant} needs as many hosts as {one.baseline}, in 90 of 100 draws at least."
    ends = f"in 90 of 100 draws between {_signed(one.p5)} and {_signed(one.p95)}"
    if one.p50 == 0:
        return f"{one.variant} needs as many hosts as {one.baseline} in the median, {ends}."
    more = "more" if one.p50 > 0 else "fewer"
    number = quantities.plural(round(abs(one.p50)), "host")
    return f"{one.variant} needs {number} {more} than {one.baseline}, {ends}."


def _signed(number: float) -> str:
    return f"{'+' if number > 0 else '−' if number < 0 else ''}{quantities.count(abs(number))}"


def _failed_checks(plan: Plan) -> list[str]:
    return [
        f"The model missed {one.quantity} by {100 * abs(one.error):.0f} % when {one.held_out} were held "
        "out: do not rely on the plan beyond what was measured."
        for one in plan.checks
        if abs(one.error) > MOST_ERROR
    ]
