"""The answer to a demand: plans for every shape, variant and host class, and what is said beside."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from analysis.capacity.mix import Mix
from analysis.capacity.service_lines import Services
from analysis.statistics.blocks import Floats

Basis = Literal["measured", "guaranteed"]
"""``measured``: by what instances used; ``guaranteed``: by what is reserved for each of them."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """One thing that bounds the number of instances on a host."""

    name: str
    """``memory``, ``processors``, ``probe p99 within 50 ms``, …"""
    density: float
    """Most instances that it allows; infinite when it does not bind at all."""
    low: float
    """Lower end of the 95 % interval of ``density``."""
    high: float
    beyond: bool
    """``density`` lies above what was measured."""
    at_least: bool = False
    """Climbs ended before it showed: it could be more."""


@dataclass(frozen=True, slots=True)
class Need:
    """How many hosts a step of the model asks for at the medians of everything, and why."""

    step: str
    """``demand``, ``domains``, ``host failures`` or ``RTO``."""
    hosts: float
    """Infinite when no number of hosts would do."""
    words: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long it takes until what a loss took runs elsewhere, with the recommended hosts, seconds."""

    detect_s: float | None
    starts_s: float | None
    ready_s: float | None
    image_s: float | None
    total_s: float | None
    """None when a part is not known."""
    rto_s: float
    feasible: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class Influence:
    """What one input does to the answer when it moves over its 95 % interval, all others at medians."""

    name: str
    low: float
    """The input's lower end, in its own unit."""
    high: float
    unit: str
    hosts_low: float
    """Hosts at the lower end."""
    hosts_high: float


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The recommended hosts if something were different."""

    change: str
    hosts: float
    """Infinite when no number of hosts would do."""
    price: float | None


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """What the model foretells of what it was not shown."""

    held_out: str
    """What was held out, in words."""
    quantity: str
    predicted: float
    measured: float
    unit: str

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class Plan:
    """One shape as one variant on one class of hosts."""

    shape: str
    variant: str
    host_class: str
    basis: Basis
    emulated: bool
    virtual: bool
    per_instance: Mapping[str, float]
    """What an instance takes of each resource, at the median: ``mem`` bytes, ``cpu`` processors."""
    usable: Mapping[str, float]
    """What a host has of each for instances: capacity less headroom and the empty host's own use."""
    constraints: tuple[Constraint, ...]
    """The tightest first."""
    density: int
    """D*: most instances on one host; 0 when not even one fits."""
    density_measured: int
    """The same, never above the highest number that was measured."""
    instances: float
    """Demand, median, growth included."""
    hosts: Mapping[str, float]
    """By ``p50``, ``p90`` and ``p95``; infinite when no number of hosts would do."""
    hosts_measured: float
    """Recommended hosts if no host may hold more than was measured."""
    recommended: float
    """Hosts that suffice with the demand's confidence."""
    spread: tuple[int, ...]
    """Recommended hosts by domain; empty without domains."""
    needs: tuple[Need, ...]
    """Steps of the model, each with the hosts that it asks for at the medians."""
    draws: Floats
    """Hosts needed in each Monte Carlo draw. Draw ``i`` has the same demand in all plans of a shape."""
    recovery: Recovery | None = None
    influences: tuple[Influence, ...] = ()
    """The strongest first."""
    what_ifs: tuple[WhatIf, ...] = ()
    price_per_host: float | None = None
    infeasible: tuple[str, ...] = ()
    """Why it cannot be, and what would make it so, in sentences; empty when it can."""
    warnings: tuple[str, ...] = ()
    checks: tuple[ModelCheck, ...] = ()

    @property
    def price(self) -> float | None:
        """Of the recommended hosts; None where no price is given or no number of hosts would do."""
        if self.price_per_host is None or math.isinf(self.recommended):
            return None
        return self.price_per_host * self.recommended

    @property
    def binding(self) -> Constraint | None:
        """What bounds the number of instances on a host first."""
        return self.constraints[0] if self.constraints else None


@dataclass(frozen=True)
class Difference:
    """Hosts that one variant needs more than another, for the same demand on the same class of hosts."""

    shape: str
    host_class: str
    basis: Basis
    variant: str
    baseline: str
    withheld: str | None
    """Why nothing may be said, whatever the numbers are."""
    draws: Floats = field(repr=False)
    """Hosts of ``variant`` less those of ``baseline`` in each draw."""
    p5: float | None = None
    p50: float | None = None
    p95: float | None = None
    more: float | None = None
    """Share of draws in which ``variant`` needs more."""
    fewer: float | None = None


@dataclass(frozen=True)
class Answer:
    """Everything that a demand is answered with."""

    demand: str
    campaign: str
    confidence: float
    plans: tuple[Plan, ...]
    differences: tuple[Difference, ...]
    assumptions: tuple[str, ...]
    """Every assumption and default that was used, in sentences."""
    missing: tuple[str, ...]
    """What the dataset could not say, in sentences."""
    mixes: tuple[Mix, ...] = ()
    """Plans with shapes on shared hosts; empty where there is nothing to share."""
    services: Services = field(default_factory=Services)
    """Waiting and availability, of shapes that ask for them."""
