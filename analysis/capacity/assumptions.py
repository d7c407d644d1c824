"""What a plan takes for granted: every default and every assumption, in sentences."""

from collections.abc import Sequence

from analysis import quantities
from analysis.capacity.demand import Demand, HostClassEntry, Scale, Shape
from analysis.capacity.evidence import Evidence
from analysis.capacity.situation import MONTE_CARLO


def assumptions_of(
    demand: Demand, hosts: Sequence[HostClassEntry], every: Sequence[Evidence]
) -> tuple[str, ...]:
    """All of them, those of the demand first."""
    return tuple(
        dict.fromkeys(
            [
                *_demand(demand),
                *_hosts(hosts),
                *_losses(demand),
                *_extrapolation(demand),
                *_evidence(every, demand),
            ]
        )
    )


def _default(demand: Demand, *names: str) -> str:
    """A mark for what nobody asked for."""
    return "" if demand.model_fields_set & set(names) else " (default)"


def _demand(demand: Demand) -> list[str]:
    head, said = demand.headroom, _default(demand, "headroom")
    risk, sure = quantities.share(demand.overload_risk), quantities.share(demand.confidence)
    return [
        *(_shape(shape) for shape in demand.shapes),
        (
            f"Left free on every host: {quantities.share(head.mem)} of memory, "
            f"{quantities.share(head.cpu)} of processors, {quantities.share(head.pids)} of process "
            f"numbers{said}."
        ),
        (
            f"A single host may need more than that with a chance of {risk}"
            f"{_default(demand, 'overload_risk')}."
        ),
        (
            f"The recommended hosts suffice with a chance of {sure}{_default(demand, 'confidence')}, "
            f"over {quantities.count(MONTE_CARLO)} draws of demand and evidence."
        ),
        "A plan of one shape gives it hosts of its own: what sharing them would save is not in it.",
    ]


def _shape(shape: Shape) -> str:
    count = shape.count
    number = quantities.count(count.p50)
    spread = (
        f", log-normal with {quantities.count(count.p95)} passed in one case of twenty"
        if count.sigma
        else ", for sure (no spread given)"
    )
    growth = ""
    if shape.growth is not None:
        year = f"{100 * shape.growth.per_year:+.0f} %"
        growth = f", growing by {year} a year for {shape.growth.months:g} months"
    return f"Shape {shape.name}: {number} instances{spread}{growth}; all run all the time."


def _hosts(hosts: Sequence[HostClassEntry]) -> list[str]:
    found = []
    for entry in hosts:
        if entry.like is None:
            continue
        scale = entry.scale
        found.append(
            f"{entry.name} was not measured: it is taken for {entry.like} with {scale.mem:g} times the "
            f"memory, {scale.cpus:g} times the processors, {scale.start_rate:g} times the start rate, "
            f"and objectives that hold up to {scale.slo:g} times the instances; the empty host, single "
            "instances and walls of the engine stay as measured."
        )
        if scale == Scale():
            found[-1] = f"{entry.name} is taken for a host like {entry.like}."
    return found


def _losses(demand: Demand) -> list[str]:
    domains = demand.domains
    said = []
    if domains is not None:
        many = quantities.plural(domains.number, "failure domain")
        said.append(
            f"Hosts are spread as evenly as can be over {many}, of which any {domains.lose} may be lost "
            "at once; instances are spread evenly over the hosts."
        )
    elif demand.rto is not None:
        said.append("No failure domains are given: any one host may be lost, for the RTO's sake.")
    else:
        said.append("Neither failure domains nor an RTO are given: no host is ever lost.")
    if demand.host_failures is not None:
        up, target = demand.host_failures.up, demand.host_failures.target
        said.append(
            f"Single hosts fail independently of each other and are up {quantities.share(up)} of the "
            f"time; enough of them are up with a chance of {quantities.share(target)}."
        )
    if demand.rto is not None:
        image = (
            "have the images already" + _default(demand, "images")
            if demand.images.prepulled
            else "fetch the whole image first, over links and a registry of the stated rates"
        )
        said.append(f"Survivors {image}; all start at the same time, each at its measured rate.")
    return said


def _extrapolation(demand: Demand) -> list[str]:
    if demand.extrapolate is not None:
        times = f"{demand.extrapolate.factor:g}"
        return [
            (
                f"No host holds more than {times} times the instances that were held at once, and "
                f"objectives that held to the end of the climbs are taken to hold up to there."
            )
        ]
    return [
        (
            "Use of memory and processors is taken to go on in a straight line beyond what was "
            "measured, and flagged where it does; objectives are never taken to hold there "
            "('extrapolate' not set)."
        )
    ]


def _evidence(every: Sequence[Evidence], demand: Demand) -> list[str]:
    said = []
    for one in every:
        where = f"{one.variant} on {one.host_class}"
        conditions = "" if one.conditions == "same for all" else f", under {one.conditions}"
        climbs = quantities.plural(one.staircases, "climb")
        said.append(
            f"{where}: instances use what they used in {climbs} on "
            f"{quantities.plural(one.hosts, 'host')}, up to {quantities.count(one.peak)} at once"
            f"{conditions}."
        )
        if demand.rto is not None and one.starts is not None:
            rate, ready = quantities.rate(one.starts.rate_per_s), one.starts.ready_p95_s
            said.append(
                f"{where}: a host starts {rate} with {one.starts.concurrency} at a time, 95 of 100 "
                f"ready within {quantities.duration(ready * 1e9)} (from {one.starts.source})."
            )
        if demand.rto is not None and one.detection is not None:
            noticed = quantities.duration(one.detection.p95_s * 1e9)
            said.append(f"{where}: a loss is noticed within {noticed} (from {one.detection.source}).")
    return said
