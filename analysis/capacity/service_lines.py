"""What is said of waiting and availability: a line per shape."""

from dataclasses import dataclass

from analysis.capacity.queueing import Waiting
from analysis.statistics.proportions import Estimate


@dataclass(frozen=True, slots=True)
class Restored:
    """Mean time until an instance is back, seconds, each recovery counted up to a horizon at most."""

    mean_s: Estimate
    horizon_s: float | None
    """None where somebody said how long it takes."""
    unrecovered: float
    """Share that was not back by then: it counts too little."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A shape whose requests wait for instances."""

    shape: str
    arrivals_per_s: float
    wait_s: float
    quantile: float
    least: Waiting
    """At the fewest instances that keep the objective."""
    planned: Waiting
    """At the instances of the demand."""


@dataclass(frozen=True, slots=True)
class Available:
    """A shape as one variant: how often enough of its instances are there."""

    shape: str
    variant: str
    total: int
    needed: int
    restored: Restored | None
    """None where nobody measured or said it."""
    each: float | None = None
    """Share of the time for which one instance is there."""
    low: float | None = None
    """The same at the upper end of the interval of the time to restore."""
    high: float | None = None
    service: float | None = None
    """Share of the time for which enough are there."""
    budget_min: float | None = None
    """Minutes of 30 days for which not enough are there."""
    target: float | None = None
    for_target: int | None = None
    """Fewest instances with which the target is met, failure domains apart."""


@dataclass(frozen=True)
class Services:
    """Everything that a demand asks of waiting and availability."""

    queued: tuple[Queued, ...] = ()
    available: tuple[Available, ...] = ()
