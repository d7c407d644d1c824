"""The model: from what instances take and what is asked for to hosts. Pure, on whole arrays of draws."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.capacity.demand import Domains, HostFailures
from analysis.capacity.domains import Layout, hosts_up
from analysis.statistics.blocks import Floats

MOST_STEPS = 500
"""Hosts that are added one by one in search of a number that meets the RTO."""


@dataclass(frozen=True)
class Use:
    """Use of one resource and what there is of it: numbers, or arrays with a value per draw."""

    base: Floats
    each: Floats
    own: Floats
    shared: Floats
    noise: Floats
    capacity: Floats
    """What may be used: capacity less headroom."""


@dataclass(frozen=True)
class Restart:
    """How instances that were lost come back elsewhere, seconds; a value per draw."""

    rate_per_s: Floats
    """Starts per second of one host."""
    detect_s: Floats
    ready_s: Floats
    image_link_s: Floats
    """Time of the image over a host's own link; 0 when it is there already."""
    image_registry_s: Floats
    """Time that the registry needs for one host's image."""


@dataclass(frozen=True)
class Inputs:
    """Everything that the model reckons with; a value per draw."""

    demand: Floats
    """Instances that must run."""
    uses: Mapping[str, Use]
    caps: Mapping[str, Floats]
    restart: Restart | None = None


@dataclass(frozen=True)
class Rules:
    """What the operator wants, the same in every draw."""

    z: float
    """Quantile of the standard normal distribution that belongs to the overload risk."""
    domains: Domains | None = None
    failures: HostFailures | None = None
    rto_s: float | None = None

    @property
    def layout(self) -> Layout | None:
        """Hosts in domains; None when nothing is ever lost together."""
        return Layout(self.domains) if self.domains is not None else None


def density_of(use: Use, z: float) -> Floats:
    """Largest D with base + D·each + z·√(D·own² + D²·shared² + noise²) ≤ capacity; 0 if there is none.

    With σ² = own² + shared² and ρ = shared²/σ² the root is that of σ²·D·(1 + (D − 1)·ρ), to which the
    noise of the host itself is added. Squared it is a quadratic; its smaller root is written so that it
    holds when the square term vanishes. Infinite where instances take nothing.
    """
    room = use.capacity - use.base
    a = use.each**2 - (z * use.shared) ** 2
    b = 2 * room * use.each + (z * use.own) ** 2
    c = room**2 - (z * use.noise) ** 2
    root = np.sqrt(np.maximum(0.0, b**2 - 4 * a * c))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.floor(2 * c / (b + root) * (1 + 1e-12))
    fits = room >= z * use.noise
    return np.where(fits, np.where(use.each <= 0, np.inf, found), 0.0)


def densities(inputs: Inputs, rules: Rules) -> dict[str, Floats]:
    """Most instances on a host by each thing that bounds them."""
    found = {name: density_of(use, rules.z) for name, use in inputs.uses.items()}
    return found | {name: np.floor(cap) for name, cap in inputs.caps.items()}


def density(inputs: Inputs, rules: Rules) -> Floats:
    """D*: the least of them; infinite where nothing bounds."""
    every = list(densities(inputs, rules).values())
    return np.asarray(np.minimum.reduce([*every, np.full(inputs.demand.shape, np.inf)]))


def hosts_of(inputs: Inputs, rules: Rules) -> Floats:
    """Hosts that every draw needs, all steps taken; infinite where no number of hosts would do."""
    return hosts_by_step(inputs, rules)["RTO" if rules.rto_s is not None else "failures"]


def hosts_by_step(inputs: Inputs, rules: Rules) -> dict[str, Floats]:
    """Hosts after each step, each at least as many as before: demand, domains, failures, RTO.

    The last one is there only with an RTO.
    """
    most = density(inputs, rules)
    with np.errstate(divide="ignore"):
        bare = np.where(most >= 1, np.ceil(np.ceil(inputs.demand) / np.maximum(most, 1)), np.inf)
    bare = np.maximum(bare, 1)
    found = {"demand": bare}
    layout = rules.layout
    found["domains"] = layout.hosts_for(bare) if layout is not None else bare
    up = hosts_up(bare, rules.failures) if rules.failures is not None else bare
    both = np.maximum(found["domains"], up)
    found["failures"] = layout.allowed(both) if layout is not None else both
    if rules.rto_s is not None:
        found["RTO"] = _within_rto(inputs, rules, found["failures"])
    return found


def restore_s(inputs: Inputs, layout: Layout, hosts: Floats) -> Floats:
    """Time until all that a loss took runs elsewhere, seconds.

    T_detect + L/(S·X) + p95(ready) + image, where the lost hosts held L of the instances, spread
    evenly over all, S survive and each starts X per second. The image comes over the slower one of a
    host's own link and the registry that all S share.
    """
    restart = inputs.restart
    if restart is None:
        return np.zeros_like(hosts)
    lost = layout.lost(hosts)
    left = np.maximum(hosts - lost, 1)
    starting = inputs.demand * lost / np.maximum(hosts, 1) / (left * restart.rate_per_s)
    image = np.maximum(restart.image_link_s, left * restart.image_registry_s)
    return np.asarray(restart.detect_s + starting + restart.ready_s + image)


def _within_rto(inputs: Inputs, rules: Rules, hosts: Floats) -> Floats:
    """Fewest hosts, at least ``hosts``, with which the RTO is met.

    More hosts start what was lost faster, and fetch the image more slowly. The search begins at a
    lower bound, from k domains being at least k/f of all hosts, and goes up one by one.
    """
    layout, restart, rto_s = rules.layout, inputs.restart, rules.rto_s
    if layout is None or restart is None or rto_s is None or layout.domains.lose == 0:
        return hosts
    found = layout.allowed(np.maximum(hosts, _least_within(inputs, layout, rto_s)))
    step = layout.domains.number if layout.domains.whole else 1
    late = np.isfinite(found)
    for _ in range(MOST_STEPS + 2 * min(MOST_STEPS, layout.domains.number)):
        late &= restore_s(inputs, layout, np.where(late, found, 1.0)) > rto_s
        if not late.any():
            break
        found = np.where(late, found + step, found)
    return layout.allowed(np.where(late, np.inf, found))


def _least_within(inputs: Inputs, layout: Layout, rto_s: float) -> Floats:
    """A number of hosts below which no RTO is met; infinite where it cannot be met at all.

    What is lost is at least k of H hosts, and at least k/f of them. With w = instances/rate, the starts
    take w·k/((f − k)·H) at least, and w·k/(H·(H − k)); the registry takes at least (f − k)/f·H times
    what it needs for one host.
    """
    restart = inputs.restart
    assert restart is not None  # the caller has looked
    f, k = layout.domains.number, layout.domains.lose
    budget = rto_s - restart.detect_s - restart.ready_s
    work, served = inputs.demand / restart.rate_per_s, restart.image_registry_s * (f - k) / f
    domain = work * k / (f - k)
    under = budget**2 - 4 * domain * served
    possible = (budget > restart.image_link_s) & (under >= 0)
    left = np.where(possible, budget - restart.image_link_s, 1.0)
    single = k / 2 + np.sqrt(k * k / 4 + k * work / left)
    shared = 2 * domain / (np.maximum(budget, 1e-9) + np.sqrt(np.maximum(0.0, under)))
    least = np.ceil(np.maximum.reduce([domain / left, single, shared]) * (1 - 1e-9))
    return np.where(possible, least, np.inf)


def z_of(risk: float) -> float:
    """Quantile of the standard normal distribution that is passed with chance ``risk``."""
    return -float(special.ndtri(risk))


def draw_demand(p50: float, sigma: float, normals: Floats) -> Floats:
    """Demands of a log-normal forecast, whole instances."""
    return np.asarray(np.ceil(p50 * np.exp(sigma * normals) * (1 - 1e-12)), dtype=np.float64)


def quantile(hosts: Floats, p: float) -> float:
    """Least number of hosts that suffices in a share ``p`` of the draws; may be infinite."""
    ranked = np.sort(hosts)
    return float(ranked[min(hosts.size - 1, math.ceil(p * hosts.size - 1e-9) - 1)])
