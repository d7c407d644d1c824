"""One shape on one kind of host under one demand: what the model reckons with, at points or in draws."""

from dataclasses import dataclass

import numpy as np

from analysis.capacity.answer import Basis
from analysis.capacity.demand import Demand, HostClassEntry, Shape
from analysis.capacity.domains import ALONE
from analysis.capacity.evidence import DRAWS, Cap, Evidence, Line, Resource
from analysis.capacity.model import Inputs, Restart, Rules, Use, draw_demand, z_of
from analysis.statistics.blocks import Floats

MONTE_CARLO = 10_000
"""Draws of demand and evidence together."""
NAMES: dict[Resource, str] = {"mem": "memory", "cpu": "processors"}
BEYOND = "what was measured, times the factor of 'extrapolate'"

Amounts = dict[str, Floats]
"""Every uncertain input of the model by name; a value per draw, or one at the point."""


@dataclass(frozen=True)
class Pick:
    """Which replicate of the evidence and which demand each draw has."""

    place: np.ndarray[tuple[int], np.dtype[np.int64]]
    normals: Floats
    """Of the demand's forecast; the same for all plans of a shape."""


@dataclass(frozen=True)
class Situation:
    """What a plan is made for. Changed copies of it answer what would be if."""

    evidence: Evidence
    shape: Shape
    host: HostClassEntry
    demand: Demand
    basis: Basis = "measured"
    most: float | None = None
    """Instances on a host at most, beside all that bounds anyway."""

    @property
    def rules(self) -> Rules:
        """What the operator wants."""
        demand = self.demand
        alone = ALONE if demand.rto is not None else None
        return Rules(
            z_of(demand.overload_risk), demand.domains or alone, demand.host_failures, demand.rto
        )

    @property
    def factor(self) -> float:
        """How far beyond what was measured objectives may be taken to hold."""
        return self.demand.extrapolate.factor if self.demand.extrapolate is not None else 1.0

    @property
    def instances(self) -> float:
        """Median of the demand, growth included."""
        growth = self.shape.growth.factor if self.shape.growth is not None else 1.0
        return self.shape.count.p50 * growth

    def reserved(self, resource: Resource) -> float | None:
        """What is set aside for an instance under this basis; None where use counts."""
        if self.basis == "measured" or self.shape.reserve is None:
            return None
        return self.shape.reserve.mem if resource == "mem" else self.shape.reserve.cpus

    def capacity(self, resource: Resource) -> float | None:
        """What a host may use of a resource: all of it, scaled, less headroom."""
        demand, scale = self.demand, self.host.scale
        if resource == "mem":
            found, kept = self.evidence.mem_bytes, scale.mem * (1 - demand.headroom.mem)
        else:
            found, kept = self.evidence.cpu_count, scale.cpus * (1 - demand.headroom.cpu)
        return None if found is None else found * kept

    def lines(self) -> list[Line]:
        """Lines of the resources that bound anything."""
        return [line for line in self.evidence.lines if self.capacity(line.resource) is not None]

    def caps(self) -> dict[str, tuple[Cap, float]]:
        """Caps by name, and by what their instances are multiplied on this host."""
        scale = self.host.scale.slo
        return {
            cap.name: (
                cap,
                1.0 if cap.kind == "wall" else scale * (self.factor if cap.at_least else 1.0),
            )
            for cap in self.evidence.caps
        }

    def bounds(self) -> dict[str, float]:
        """Bounds that somebody set, by name."""
        found = {}
        if self.shape.most_per_host is not None:
            found["'most_per_host'"] = float(self.shape.most_per_host)
        if self.demand.extrapolate is not None:
            found[BEYOND] = self.evidence.peak * self.factor
        if self.most is not None:
            found["what was measured"] = self.most
        return found


def amounts_at_point(now: Situation) -> Amounts:
    """Every input at its point: medians, and for caps the lower end of their interval."""
    found = {"demand": np.ceil(np.array([now.instances]) * (1 - 1e-12))}
    for line in now.lines():
        found |= {
            f"{line.resource} base": np.array([line.base]),
            f"{line.resource} each": np.array([line.each]),
            f"{line.resource} shared": np.array([line.shared]),
            f"{line.resource} noise": np.array([line.noise]),
        }
    found |= {name: np.array([cap.low * times]) for name, (cap, times) in now.caps().items()}
    if now.evidence.starts is not None:
        found["start rate"] = np.array([now.evidence.starts.rate_per_s])
        found["ready"] = np.array([now.evidence.starts.ready_p95_s])
    if now.evidence.detection is not None:
        found["detection"] = np.array([now.evidence.detection.p95_s])
    return found


def amounts_in_draws(now: Situation, pick: Pick) -> Amounts:
    """Every input in every draw: one replicate of the evidence and one demand each."""
    at = pick.place
    found = {"demand": draw_demand(now.instances, now.shape.count.sigma, pick.normals)}
    for line in now.lines():
        found |= {
            f"{line.resource} base": line.bases[at],
            f"{line.resource} each": line.eaches[at],
            f"{line.resource} shared": line.shareds[at],
            f"{line.resource} noise": line.noises[at],
        }
    found |= {name: cap.draws[at] * times for name, (cap, times) in now.caps().items()}
    # starts and detection come from trials of their own: their replicates are independent
    apart = np.roll(at, 1)
    if now.evidence.starts is not None:
        found["start rate"] = now.evidence.starts.rates[apart]
        found["ready"] = now.evidence.starts.ready_p95s[apart]
    if now.evidence.detection is not None:
        found["detection"] = now.evidence.detection.p95s[np.roll(at, 2)]
    return found


def inputs_of(now: Situation, amounts: Amounts) -> Inputs:
    """The model's inputs from amounts."""
    uses = {}
    for line in now.lines():
        reserved, capacity = now.reserved(line.resource), now.capacity(line.resource)
        each, shared = amounts[f"{line.resource} each"], amounts[f"{line.resource} shared"]
        fixed = reserved is not None
        uses[NAMES[line.resource]] = Use(
            base=amounts[f"{line.resource} base"],
            each=np.full_like(each, reserved) if fixed else each,
            own=np.full_like(each, 0.0 if fixed else line.own),
            shared=np.zeros_like(shared) if fixed else shared,
            noise=amounts[f"{line.resource} noise"],
            capacity=np.full_like(each, capacity),
        )
    like = np.ones_like(amounts["demand"])
    caps = {name: amounts[name] for name in now.caps()}
    caps |= {name: like * bound for name, bound in now.bounds().items()}
    return Inputs(amounts["demand"], uses, caps, _restart(now, amounts))


def _restart(now: Situation, amounts: Amounts) -> Restart | None:
    """None where a part of the time to restore is not known: the step is left out then."""
    images, image = now.demand.images, now.evidence.image_bytes
    known = "start rate" in amounts and "detection" in amounts
    if now.demand.rto is None or not known or (not images.prepulled and image is None):
        return None
    fetched = 0.0 if images.prepulled or image is None else image
    like = np.ones_like(amounts["demand"])
    return Restart(
        rate_per_s=amounts["start rate"] * now.host.scale.start_rate,
        detect_s=amounts["detection"],
        ready_s=amounts["ready"],
        image_link_s=like * (fetched / images.link if images.link else 0.0),
        image_registry_s=like * (fetched / images.registry if images.registry else 0.0),
    )


def pick_draws(of_evidence: np.random.Generator, normals: Floats) -> Pick:
    """A replicate of the evidence for every demand."""
    return Pick(of_evidence.integers(0, DRAWS, size=normals.size), normals)
