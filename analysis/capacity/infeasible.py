"""Why a demand cannot be met, which constraint says so, and what would make it possible."""

import math
from collections.abc import Callable, Iterator

from analysis import quantities
from analysis.capacity import model
from analysis.capacity.evidence import Cap
from analysis.capacity.model import Inputs
from analysis.capacity.situation import NAMES, Situation
from analysis.capacity.units import bound


def why_not(now: Situation, point: Inputs, hosts: float) -> tuple[str, ...]:
    """Every reason, a sentence each; empty when ``hosts``, the recommended number, can be had."""
    if math.isfinite(hosts) and (now.host.most is None or hosts <= now.host.most):
        return ()
    said = [*_no_room(now, point), *_objectives(now), *_too_late(now, point)]
    if not said:
        said = [*_domains(now, point), *_too_few(now, hosts)]
    if not said:
        said.append(
            "The evidence is so uncertain that no number of hosts suffices with a chance of "
            f"{quantities.share(now.demand.confidence)}: measure more blocks or hosts"
            f"{_tight(now, point)}."
        )
    return tuple(said)


def _tight(now: Situation, point: Inputs) -> str:
    """How much of the RTO is gone before anything can be started again."""
    restart, rto = point.restart, now.demand.rto
    if restart is None or rto is None:
        return ""
    gone = float((restart.detect_s + restart.ready_s + restart.image_link_s)[0])
    return (
        f", or allow more time: noticing a loss and becoming ready take {_time(gone)} of the RTO of "
        f"{bound(rto)}"
    )


def _no_room(now: Situation, point: Inputs) -> Iterator[str]:
    """Not even one instance fits by a resource, a wall or a bound."""
    for line in now.lines():
        name = NAMES[line.resource]
        use = point.uses[name]
        if float(model.density_of(use, now.rules.z)[0]) >= 1:
            continue
        shown: Callable[[float], str] = quantities.size if name == "memory" else quantities.processors
        each, room = float(use.each[0]), float((use.capacity - use.base)[0])
        spread = now.rules.z * math.sqrt(line.noise**2 + float(use.own[0] ** 2 + use.shared[0] ** 2))
        whole = float(use.capacity[0]) + each + spread - room
        head = now.demand.headroom.mem if name == "memory" else now.demand.headroom.cpu
        yield (
            f"{name.capitalize()}: one instance takes {shown(each)}, and a host has "
            f"{shown(max(0.0, room))} for instances; a host with {shown(whole / (1 - head))} of it, "
            "a smaller instance or less headroom would do."
        )
    for name, cap in point.caps.items():
        walls = [c.name for c in now.evidence.caps if c.kind == "wall"]
        if float(cap[0]) < 1 and name in walls:
            yield f"{name.capitalize()}: hosts refused to go on before one instance ran."


def _objectives(now: Situation) -> Iterator[str]:
    """An objective that no number of instances met."""
    for cap in now.evidence.caps:
        if cap.kind == "objective" and cap.low * now.host.scale.slo < 1:
            yield _unmet(cap)


def _unmet(cap: Cap) -> str:
    what = cap.name[0].upper() + cap.name[1:]
    if cap.value >= 1:
        return f"{what}: in some climbs no number of instances met it; measure more, or ask for less."
    if cap.best_s is None:
        return f"{what}: no number of instances met it, for too few were answered or started at all."
    best = quantities.duration(cap.best_s * 1e9)
    return (
        f"{what}: no number of instances met it. The best 99 % point of any step or climb was {best}: "
        "an objective above that would do, or a variant that is faster."
    )


def _too_late(now: Situation, point: Inputs) -> Iterator[str]:
    """An RTO that detection and readiness alone exceed, or that the image does."""
    restart, rto = point.restart, now.demand.rto
    if restart is None or rto is None:
        return
    detect, ready, link = (
        float(part[0]) for part in (restart.detect_s, restart.ready_s, restart.image_link_s)
    )
    said = f"RTO of {bound(rto)}: "
    if math.isinf(ready):
        yield f"{said}more than 5 % of the starts failed, so the last ones never become ready."
    elif detect + ready + link >= rto:
        image = f" and the image {_time(link)} to come" if link else ""
        yield (
            f"{said}a loss is noticed after {_time(detect)}, and then 95 of 100 starts take "
            f"{_time(ready)}{image}, however many hosts there are. An RTO above "
            f"{_time(detect + ready + link)}, faster detection or faster starts would do."
        )
    elif not math.isfinite(float(model.hosts_of(point, now.rules)[0])) and restart.image_registry_s[0]:
        yield (
            f"{said}with few hosts too much is to be started on each, and with many the registry takes "
            "too long to serve them: images that are there already, or a faster registry, would do."
        )


def _domains(now: Situation, point: Inputs) -> Iterator[str]:
    layout, domains = now.rules.layout, now.demand.domains
    if layout is None or domains is None or not domains.sizes:
        return
    needed = float(model.hosts_by_step(point, now.rules)["demand"][0])
    room = int(layout.room)
    left = room - int(layout.lost(point.demand * 0 + room)[0])
    yield (
        f"Failure domains: they have room for {quantities.plural(room, 'host')}, of which "
        f"{quantities.count(left)} are left when {domains.lose} of {domains.number} are lost; "
        f"{quantities.count(needed)} are needed at the medians. More room, or denser hosts, would do."
    )


def _too_few(now: Situation, hosts: float) -> Iterator[str]:
    if now.host.most is not None and math.isfinite(hosts):
        yield (
            f"Hosts: {quantities.count(hosts)} are needed, and only {quantities.count(now.host.most)} "
            f"of {now.host.name} can be had ('most'). Other hosts beside them, or larger ones, would do."
        )


def _time(seconds: float) -> str:
    return quantities.duration(seconds * 1e9)
