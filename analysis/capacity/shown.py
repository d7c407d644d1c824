"""Tables of an answer as the report and the terminal show them."""

import math
from collections.abc import Sequence

from analysis import quantities
from analysis.capacity import mix_shown, services_shown
from analysis.capacity.answer import Answer, Constraint, Influence, ModelCheck, Plan
from analysis.capacity.checks import MOST_ERROR
from analysis.capacity.money import money
from analysis.capacity.units import bound
from analysis.capacity.words import best, hosts
from analysis.section import ShownTable
from analysis.shown import assemble

MOST_INFLUENCES = 5
AROUND = (-2, -1, 0, 1, 2)
"""Steps around the recommended number of hosts at which the chance of a shortfall is shown."""


def plans(answer: Answer) -> ShownTable | None:
    """Hosts of every plan, and what binds."""
    body = [
        (
            *_named(p),
            quantities.count(p.density),
            p.binding.name if p.binding else "nothing",
            *(hosts(p.hosts[name]) for name in ("p50", "p90", "p95")),
            hosts(p.recommended),
            hosts(p.hosts_measured),
            money(p.price),
        )
        for p in answer.plans
    ]
    heads = (*_HEADS, "On a host", "Bound by", "P50", "P90", "P95", "Hosts", "Within measured", "Price")
    caption = (
        "P50, P90, P95: hosts that suffice in half, 90 % and 95 % of the draws. Hosts: recommended, "
        f"enough with a chance of {quantities.share(answer.confidence)}. Within measured: the same if "
        "no host may hold more instances than were ever held at once. Plan: by what instances used, or "
        "by what is reserved for each."
    )
    return _assemble("Hosts", caption, heads, body, "capacity-plans")


def constraints(answer: Answer) -> ShownTable | None:
    """Everything that bounds the instances on a host, the tightest first."""
    body = [
        (*_named(p), c.name, _instances(c), _interval(c), _remark(c, p))
        for p in _main(answer)
        for c in p.constraints
    ]
    heads = (*_HEADS, "Constraint", "Instances on a host", "95 % interval", "Remark")
    caption = "The tightest first: it binds. Of objectives the lower end of the interval counts."
    return _assemble("What bounds a host", caption, heads, body, "capacity-constraints")


def shortfall(answer: Answer) -> ShownTable | None:
    """The chance that hosts do not suffice, around the recommended number."""
    body = []
    for p in _main(answer):
        if math.isinf(p.recommended):
            continue
        step = max(1, round(p.recommended * 0.05))
        for place in AROUND:
            number = round(p.recommended) + place * step
            if number >= 1:
                short = quantities.share(float((p.draws > number).mean()))
                price = money(p.price_per_host * number if p.price_per_host is not None else None)
                body.append((*_named(p), quantities.count(number), short, price))
    heads = (*_HEADS, "Hosts", "Chance of a shortfall", "Price")
    caption = "Share of the draws of demand and evidence in which more hosts are needed."
    return _assemble("Around the recommendation", caption, heads, body, "capacity-shortfall")


def steps(answer: Answer) -> ShownTable | None:
    """What each step of the model asks for."""
    body = [(*_named(p), n.step, hosts(n.hosts), n.words) for p in _main(answer) for n in p.needs]
    heads = (*_HEADS, "Step", "Hosts", "Why")
    caption = "With everything at its point: the median, and for objectives their lower bound."
    return _assemble("How the hosts add up", caption, heads, body, "capacity-steps")


def recovery(answer: Answer) -> ShownTable | None:
    """Whether what a loss took is back in time."""
    body = []
    for p in _main(answer):
        found = p.recovery
        if found is None:
            continue
        word = {True: "yes", False: "no", None: "not known"}[found.feasible]
        parts = (found.detect_s, found.starts_s, found.ready_s, found.image_s, found.total_s)
        body.append((*_named(p), *(_time(part) for part in parts), bound(found.rto_s), word))
    heads = (*_HEADS, "Noticed", "Starts", "Ready", "Image", "In all", "RTO", "Met")
    caption = (
        "With the recommended hosts, after the loss of as many domains, or of one host without domains. "
        "Noticed and ready: 95 % points. Starts: what each survivor starts, one after the other."
    )
    return _assemble("Back after a loss", caption, heads, body, "capacity-steps")


def what_ifs(answer: Answer) -> ShownTable | None:
    """The recommended hosts if something were different."""
    body = [
        (*_named(p), one.change, hosts(one.hosts), _more(one.hosts, p.recommended), money(one.price))
        for p in _main(answer)
        for one in p.what_ifs
    ]
    heads = (*_HEADS, "If there were", "Hosts", "More", "Price")
    caption = (
        "Recommended hosts, all else being the same. A price is that of the class's hosts as given."
    )
    return _assemble("What if", caption, heads, body, "capacity-what_if")


def influences(answer: Answer) -> ShownTable | None:
    """What moves the answer most."""
    body = [
        (*_named(p), i.name, _range(i), hosts(i.hosts_low), hosts(i.hosts_high))
        for p in _main(answer)
        for i in p.influences[:MOST_INFLUENCES]
    ]
    heads = (*_HEADS, "Input", "95 % interval", "Hosts at its lower end", "At its upper end")
    caption = "Each input over its interval, all others at their point; the strongest first."
    return _assemble("What moves the answer", caption, heads, body, "capacity-influences")


def checks(answer: Answer) -> ShownTable | None:
    """What the model foretold of what it was not shown."""
    body = list(
        dict.fromkeys(
            (p.variant, p.host_class, c.held_out, c.quantity, *_foretold(c))
            for p in answer.plans
            for c in p.checks
        )
    )
    heads = ("Variant", "Hosts of", "Held out", "Foretold", "Predicted", "Measured", "Error")
    caption = f"Errors above {MOST_ERROR:.0%} are flagged."
    return _assemble("The model against measurements", caption, heads, body, "capacity-checks")


def _assemble(
    title: str, caption: str, heads: tuple[str, ...], body: Sequence[tuple[str, ...]], full: str
) -> ShownTable | None:
    """The table without columns in which no row says anything; None when it is empty.

    Whose plan a row is of is said only where plans differ in it.
    """
    values = [{row[i] for row in body} for i in range(len(heads))]
    same = {head: len(found) < 2 for head, found in zip(heads, values, strict=True)}
    kept = [
        i
        for i, head in enumerate(heads)
        if values[i] != {""} and not (head in _HEADS and same[head] and full != "capacity-plans")
    ]
    rows = [tuple(row[i] for i in kept) for row in body]
    return assemble(title, caption, tuple(heads[i] for i in kept), rows, full)


def _main(answer: Answer) -> list[Plan]:
    """The best plan of every shape and variant by what was measured; exported tables hold all."""
    return [plan for plan in best(answer.plans) if plan.basis == "measured"]


_HEADS = ("Shape", "Variant", "Hosts of", "Plan")


def _named(p: Plan) -> tuple[str, str, str, str]:
    return p.shape, p.variant, p.host_class, p.basis


def _instances(c: Constraint) -> str:
    if math.isinf(c.density):
        return "no bound"
    return f"{'≥ ' if c.at_least else ''}{quantities.count(c.density)}"


def _interval(c: Constraint) -> str:
    ends = ("no bound" if math.isinf(end) else quantities.count(end) for end in (c.low, c.high))
    return " to ".join(ends)


def _remark(c: Constraint, p: Plan) -> str:
    said = []
    if c is p.binding:
        said.append("binds")
    if c.at_least:
        said.append("climbs ended first")
    if c.beyond and not math.isinf(c.density):
        said.append("beyond what was measured")
    return ", ".join(said)


def _more(number: float, than: float) -> str:
    if math.isinf(number) or math.isinf(than):
        return ""
    more = number - than
    return f"{'+' if more > 0 else '−' if more < 0 else ''}{quantities.count(abs(more))}"


def _range(one: Influence) -> str:
    low, high = one.low, one.high
    if one.unit == "bytes":
        return quantities.size_range(low, high)
    if one.unit == "cpus":
        return quantities.processors_range(low, high)
    if one.unit == "s":
        return quantities.duration_range(low * 1e9, high * 1e9)
    if one.unit == "1/s":
        return quantities.rate_range(low, high)
    return f"{quantities.count(low)} to {quantities.count(high)}"


def _foretold(c: ModelCheck) -> tuple[str, str, str]:
    shown = {"bytes": quantities.size, "cpus": quantities.processors}.get(c.unit, quantities.count)
    flag = " !" if abs(c.error) > MOST_ERROR else ""
    return shown(c.predicted), shown(c.measured), f"{_signed_percent(c.error)}{flag}"


def _signed_percent(error: float) -> str:
    shown = f"{abs(100 * error):.1f} %"
    if shown == "0.0 %":
        return shown
    return f"{'+' if error > 0 else '−'}{shown}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return quantities.NOT_AVAILABLE
    return "never" if math.isinf(seconds) else quantities.duration(seconds * 1e9)


ALL = (
    plans,
    *mix_shown.ALL,
    *services_shown.ALL,
    constraints,
    shortfall,
    steps,
    recovery,
    what_ifs,
    influences,
    checks,
)


def tables(answer: Answer) -> Sequence[ShownTable]:
    """All of them that have rows, in the order in which they are read."""
    return [found for show in ALL if (found := show(answer)) is not None]
