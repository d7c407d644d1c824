"""Tables of mixed plans, with every column's meaning."""

from collections.abc import Iterator
from typing import Any

from analysis.capacity.mix import Mix
from analysis.section import Field

_WHICH = (
    Field("mix", "Int64", "number of the mixed plan"),
    Field("variants", "string", "what every shape runs as"),
    Field("emulated", "boolean", "measured on an emulated CPU"),
    Field("virtual", "boolean", "time was simulated: nothing is real"),
)
FIELDS = {
    "mixed": (
        *_WHICH,
        Field("feasible", "boolean", "a plan was found that keeps every limit"),
        Field("enough", "boolean", "it suffices with the demand's confidence"),
        Field("level", "Float64", "quantile of demands and needs that it was made for"),
        Field("shortfall", "Float64", "share of draws in which it does not suffice; an upper bound"),
        Field("hosts", "Int64", "hosts of all classes, spares included"),
        Field("cost", "Float64", "their price, or their number where a class has no price"),
        Field("priced", "boolean", "cost is a price"),
        Field("spare_cost", "Float64", "part of it that is for spares"),
        Field("bound", "Float64", "no plan for the same amounts costs less, spares apart"),
        Field("gap", "Float64", "share of the cost without spares that lies above the bound"),
        Field("stopped", "boolean", "the search ended by its time limit"),
        Field("apart", "Float64", "cost of the cheapest plans with hosts for every shape alone"),
        Field("restore_s", "Float64", "until all that the worst loss took runs elsewhere, s"),
        Field("infeasible", "string", "why it cannot be, and what would make it so"),
        Field("cautions", "string", "what limits belief in the plan"),
    ),
    "mixed_hosts": (
        *_WHICH,
        Field("host_class", "string", "class of hosts"),
        Field("hosts", "Int64", "hosts of it, spares included"),
        Field("spares", "Int64", "of them spare"),
    ),
    "mixed_patterns": (
        *_WHICH,
        Field("host_class", "string", "class of hosts"),
        Field("domain", "Int64", "failure domain, from 1 on"),
        Field("hosts", "Int64", "hosts of it that hold the same"),
        Field("shape", "string", "shape of the demand"),
        Field("holds", "Int64", "instances of it on each of these hosts while all domains are there"),
        Field("reserved", "Int64", "instances of it that each may hold once domains are lost"),
        Field("bound_by", "string", "what stops a further instance on such a host"),
    ),
    "mixed_tried": (
        *_WHICH,
        Field("level", "Float64", "quantile of demands and needs that a plan was made for"),
        Field("hosts", "string", "hosts by class, without spares"),
        Field("cost", "Float64", "of them"),
        Field("shortfall", "Float64", "share of draws in which they do not suffice; an upper bound"),
    ),
}


def rows_of(mixes: tuple[Mix, ...]) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table of ``FIELDS``."""
    of = {"mixed": _plan, "mixed_hosts": _hosts, "mixed_patterns": _patterns, "mixed_tried": _tried}
    return {
        name: [_which(number, mix) | row for number, mix in enumerate(mixes, 1) for row in rows(mix)]
        for name, rows in of.items()
    }


def _which(number: int, mix: Mix) -> dict[str, Any]:
    variants = ", ".join(f"{shape}: {variant}" for shape, variant in mix.variants.items())
    return {"mix": number, "variants": variants, "emulated": mix.emulated, "virtual": mix.virtual}


def _plan(mix: Mix) -> Iterator[dict[str, Any]]:
    row = {
        "feasible": mix.plan is not None and mix.plan.feasible,
        "enough": mix.enough,
        "infeasible": " ".join(mix.infeasible) or None,
        "cautions": " ".join(mix.cautions) or None,
        "restore_s": mix.restore_s,
        "apart": mix.apart,
    }
    if mix.plan is not None and mix.plan.feasible:
        row |= {
            "level": mix.level,
            "shortfall": mix.shortfall,
            "hosts": sum(mix.hosts.values()),
            "cost": mix.cost,
            "priced": mix.plan.priced,
            "spare_cost": mix.spare_cost,
            "bound": mix.plan.bound,
            "gap": mix.plan.gap,
            "stopped": mix.plan.stopped,
        }
    yield dict.fromkeys(field.name for field in FIELDS["mixed"][len(_WHICH) :]) | row


def _hosts(mix: Mix) -> Iterator[dict[str, Any]]:
    for name, hosts in mix.hosts.items():
        yield {"host_class": name, "hosts": hosts, "spares": mix.spares.get(name, 0)}


def _patterns(mix: Mix) -> Iterator[dict[str, Any]]:
    for stack in mix.plan.stacks if mix.plan is not None else ():
        for shape, most in stack.reserved.items():
            yield {
                "host_class": stack.kind,
                "domain": stack.domain,
                "hosts": stack.hosts,
                "shape": shape,
                "holds": stack.holds.get(shape, 0),
                "reserved": most,
                "bound_by": stack.bound_by,
            }


def _tried(mix: Mix) -> Iterator[dict[str, Any]]:
    for one in mix.tried:
        hosts = " + ".join(f"{n} {name}" for name, n in one.hosts.items() if n)
        yield {"level": one.level, "hosts": hosts, "cost": one.cost, "shortfall": one.shortfall}
