"""Mixed plans as the report and the terminal show them."""

from collections import Counter
from collections.abc import Mapping

from analysis import quantities
from analysis.capacity.answer import Answer
from analysis.capacity.mix import Mix
from analysis.capacity.money import money
from analysis.section import ShownTable
from analysis.shown import assemble


def plans(answer: Answer) -> ShownTable | None:
    """Hosts of every mixed plan, with its bound and gap."""
    body = []
    for mix in answer.mixes:
        plan = mix.plan
        if plan is None or not plan.feasible or mix.infeasible:
            continue
        body.append(
            (
                variants(mix),
                _hosts(mix.hosts),
                _hosts(mix.spares),
                money(mix.cost),
                money(plan.bound + mix.spare_cost),
                quantities.share(plan.gap),
                quantities.share(mix.shortfall),
                money(mix.apart) or quantities.NOT_AVAILABLE,
            )
        )
    heads = ("Shapes", "Hosts", "Spares", "Cost", "At least", "Gap", "Chance of a shortfall", "Apart")
    caption = (
        "All shapes on shared hosts. Cost: price, or number of hosts where a class has no price. At "
        "least: no plan for the same amounts costs less. Chance of a shortfall: of the draws, at "
        "most. Apart: with hosts for every shape alone."
    )
    return assemble("Shapes on shared hosts", caption, heads, body, "capacity-mixed")


def patterns(answer: Answer) -> ShownTable | None:
    """What lies on the hosts, kind by kind."""
    body = []
    for mix in answer.mixes:
        alike: Counter[tuple[str, str, str, str]] = Counter()
        for stack in mix.plan.stacks if mix.plan is not None and mix.plan.feasible else ():
            key = stack.kind, _instances(stack.reserved), _instances(stack.holds), stack.bound_by
            alike[key] += stack.hosts
        body += [
            (variants(mix), kind, quantities.count(n), most, now, bound)
            for (kind, most, now, bound), n in alike.items()
        ]
    heads = ("Shapes", "Hosts of", "Hosts", "Each holds at most", "Each holds first", "Bound by")
    caption = (
        "At most: once failure domains are lost. First: while all are there. Bound by: what stops a "
        "further instance, or that no more are asked for."
    )
    return assemble("What lies on shared hosts", caption, heads, body, "capacity-mixed_patterns")


def around(answer: Answer) -> ShownTable | None:
    """What more or less certainty costs."""
    body = [
        (
            variants(mix),
            quantities.share(one.level),
            _hosts(one.hosts),
            money(one.cost),
            quantities.share(one.shortfall),
        )
        for mix in answer.mixes
        for one in mix.tried
    ]
    heads = ("Shapes", "Made for", "Hosts", "Cost", "Chance of a shortfall")
    caption = (
        "Plans that were looked at, spares apart. Made for: the quantile at which every demand and "
        "every need was taken. The chance is an upper bound."
    )
    return assemble("Around the mixed plan", caption, heads, body, "capacity-mixed_tried")


def variants(mix: Mix) -> str:
    """What the shapes run as: one variant, or each its own."""
    names = list(dict.fromkeys(mix.variants.values()))
    return (
        f"all as {names[0]}"
        if len(names) == 1
        else ", ".join(f"{s}: {v}" for s, v in mix.variants.items())
    )


def _hosts(hosts: Mapping[str, int]) -> str:
    return " + ".join(f"{quantities.count(n)} {name}" for name, n in hosts.items() if n) or "none"


def _instances(held: Mapping[str, int]) -> str:
    return " + ".join(f"{quantities.count(n)} {name}" for name, n in held.items() if n) or "nothing"


ALL = (plans, patterns, around)
