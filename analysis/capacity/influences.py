"""What moves the answer: each input over its interval, and the answer to other questions."""

import math
from dataclasses import replace

import numpy as np

from analysis.capacity import model
from analysis.capacity.answer import Influence, WhatIf
from analysis.capacity.demand import HostClassEntry
from analysis.capacity.domains import ALONE
from analysis.capacity.forecast import Forecast
from analysis.capacity.situation import (
    Amounts,
    Pick,
    Situation,
    amounts_at_point,
    amounts_in_draws,
    inputs_of,
)
from analysis.capacity.units import bound

_SHOWN = {
    "demand": ("demand", "instances"),
    "mem base": ("memory of the empty host", "bytes"),
    "mem each": ("memory of an instance", "bytes"),
    "mem shared": ("memory of an instance, between hosts", "bytes"),
    "mem noise": ("memory of the host, how far it wanders", "bytes"),
    "cpu noise": ("processors of the host, how far it wanders", "cpus"),
    "cpu base": ("processors of the empty host", "cpus"),
    "cpu each": ("processors of an instance", "cpus"),
    "cpu shared": ("processors of one, between hosts", "cpus"),
    "start rate": ("starts per second", "1/s"),
    "ready": ("time until 95 of 100 are ready", "s"),
    "detection": ("time to notice a loss", "s"),
}


def influences_of(now: Situation, pick: Pick) -> tuple[Influence, ...]:
    """Every input at both ends of its 95 % interval, all others at their point; the strongest first.

    Inputs that move nothing are left out.
    """
    point, drawn = amounts_at_point(now), amounts_in_draws(now, pick)
    found = []
    for name, draws in drawn.items():
        low, high = (float(end) for end in np.quantile(draws, (0.025, 0.975), method="inverted_cdf"))
        if not (math.isfinite(low) and math.isfinite(high)) or low == high:
            continue
        ends = (_hosts(now, point | {name: np.array([end])}) for end in (low, high))
        shown, unit = _SHOWN.get(name, (name, "instances"))
        found.append(Influence(shown, low, high, unit, *ends))
    moving = [one for one in found if one.hosts_low != one.hosts_high]
    return tuple(sorted(moving, key=lambda one: (-_width(one), one.name)))


def _hosts(now: Situation, amounts: Amounts) -> float:
    return float(model.hosts_of(inputs_of(now, amounts), now.rules)[0])


def _width(one: Influence) -> float:
    ends = one.hosts_low, one.hosts_high
    return math.inf if math.isinf(max(ends)) else abs(ends[0] - ends[1])


def what_ifs_of(now: Situation, pick: Pick) -> tuple[WhatIf, ...]:
    """The recommended hosts under other circumstances."""
    return tuple(
        WhatIf(change, hosts, _price(now.host, hosts))
        for change, other in _others(now).items()
        for hosts in [recommended(other, pick)]
    )


def recommended(now: Situation, pick: Pick) -> float:
    """Hosts that suffice with the demand's confidence."""
    drawn = inputs_of(now, amounts_in_draws(now, pick))
    return model.quantile(model.hosts_of(drawn, now.rules), now.demand.confidence)


def _price(host: HostClassEntry, hosts: float) -> float | None:
    return None if host.price is None or math.isinf(hosts) else host.price * hosts


def _others(now: Situation) -> dict[str, Situation]:
    demand, host = now.demand, now.host
    head = demand.headroom
    found = {
        "hosts with twice the memory": _scaled(now, mem=2 * host.scale.mem),
        "hosts with twice the processors": _scaled(now, cpus=2 * host.scale.cpus),
        "instances that take 20 % less memory": _lighter(now, 0.8),
        "instances that take 20 % more memory": _lighter(now, 1.2),
        "20 % more instances": _more(now, 1.2),
        "no headroom in memory": _demanding(now, headroom=head.model_copy(update={"mem": 0.0})),
        "no headroom in processors": _demanding(now, headroom=head.model_copy(update={"cpu": 0.0})),
    }
    domains = demand.domains
    if domains is not None and domains.lose + 1 < domains.number:
        more = domains.lose + 1
        changed = domains.model_copy(update={"lose": more})
        found[f"{more} domains lost at once"] = _demanding(now, domains=changed)
    if domains is None and demand.rto is None:
        found["any one host that may be lost"] = _demanding(now, domains=ALONE)
    if demand.rto is not None:
        found[f"an RTO of {bound(demand.rto / 2)}"] = _demanding(now, rto=demand.rto / 2)
    return found


def _demanding(now: Situation, **changes: object) -> Situation:
    return replace(now, demand=now.demand.model_copy(update=changes))


def _scaled(now: Situation, **changes: float) -> Situation:
    scale = now.host.scale.model_copy(update=changes)
    return replace(now, host=now.host.model_copy(update={"scale": scale}))


def _more(now: Situation, times: float) -> Situation:
    count = Forecast(p50=now.shape.count.p50 * times, p95=now.shape.count.p95 * times)
    return replace(now, shape=now.shape.model_copy(update={"count": count}))


def _lighter(now: Situation, times: float) -> Situation:
    """The same with instances that take so many times the memory, reserved memory included."""
    lines = tuple(
        replace(
            line,
            each=line.each * times,
            eaches=line.eaches * times,
            shared=line.shared * times,
            shareds=line.shareds * times,
            own=line.own * times,
        )
        if line.resource == "mem"
        else line
        for line in now.evidence.lines
    )
    shape, reserve = now.shape, now.shape.reserve
    if reserve is not None and reserve.mem is not None:
        kept = reserve.model_copy(update={"mem": reserve.mem * times})
        shape = shape.model_copy(update={"reserve": kept})
    return replace(now, evidence=replace(now.evidence, lines=lines), shape=shape)
