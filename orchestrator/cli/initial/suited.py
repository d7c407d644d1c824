"""What suits a driver on this machine: parameters of a first campaign, experiment by experiment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.cli.initial.found import Found

MEMORY_MIB = 128
"""Memory limit of every instance of a first campaign: enough for image `tiny`, also as a guest."""

IDLE_MIB = 16
"""What an idle process or container of image `tiny` takes, shim and daemon included, generously."""

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suit:
    """For whom: one driver on this machine, for a first look or for numbers."""

    driver: str
    found: Found
    quick: bool

    @property
    def machine(self) -> bool:
        """Whether instances are virtual machines."""
        return self.driver.startswith("libvirt") and self.driver != "libvirt_lxc"

    @property
    def slow(self) -> bool:
        """Whether their processors are emulated."""
        return self.driver in self.found.emulated

    def most(self, ceiling: int) -> int:
        """Instances that half of the memory available now holds, and no more than ``ceiling``."""
        if self.driver == "simulated":
            return ceiling
        each_mib = 2 * MEMORY_MIB if self.machine else IDLE_MIB
        return max(4, min(ceiling, self.found.available_mib // 2 // each_mib))

    def either(self, quick: Any, full: Any) -> Any:
        """The one for a first look, or the one for numbers."""
        return quick if self.quick else full


def _lifecycle(suit: Suit) -> Params:
    at_once = suit.either([1], sorted({1, min(4, suit.found.cpus)}))
    params = {"instances": suit.either(3, 5 if suit.slow else 10), "warm_ups": 1}
    return params | {"concurrency": at_once if len(at_once) > 1 else at_once[0]}


def _density(suit: Suit) -> Params:
    most = suit.most(suit.either(8 if suit.machine else 30, 24 if suit.machine else 200))
    return {
        "max_instances": most,
        "step": max(1, most // suit.either(3, 8)),
        "concurrency": min(2, suit.found.cpus),
        "memory_floor_share": 0.2,
        "settle_window_s": suit.either(1, 10),
        "settle_deadline_s": suit.either(5, 60),
        "sample_s": suit.either(2, 20),
        "probe_s": suit.either(2, 10),
    }


def _overhead(suit: Suit) -> Params:
    work = suit.either(["cpu", "fork"], ["cpu", "mem", "sys", "fork"])
    return {"work": work, "repeats": suit.either(3, 10), "warm_ups": suit.either(1, 2)}


def _security(_: Suit) -> Params:
    return {}


def _isolation(suit: Suit) -> Params:
    stress = "cpu" if suit.slow or suit.quick else ["cpu", "fork"]
    params: Params = {"stress": stress, "limited": [True, False]}
    if suit.slow:
        params |= {"work": "ping", "rate_per_s": 4}
    return params | {"phase_s": suit.either(3, 20), "ramp_s": suit.either(0.5, 2)}


def _recovery(suit: Suit) -> Params:
    faults = suit.either("kill", ["kill", "hang"])
    return {"fault": faults, "supervision": "watcher", "injections": suit.either(1, 3)}


def _management(suit: Suit) -> Params:
    verbs = suit.either(["exec", "stop"], ["exec", "pause", "stop", "restart"])
    params = {"verb": verbs, "operations": suit.either(1, 5)}
    return params | ({"probe_rate_per_s": 20} if suit.slow else {})


def _churn(suit: Suit) -> Params:
    bare = suit.driver in ("process", "simulated")
    rates = [0.1, 0.3] if suit.slow else [10, 40] if bare else [1, 4]
    return {
        "rate_per_s": rates[0] if suit.quick else rates,
        "duration_s": suit.either(10, 60),
        "hold_s": 1,
        "max_in_flight": suit.most(16 if suit.machine else 150),
    }


_SUITED: dict[str, Callable[[Suit], Params]] = {
    "lifecycle": _lifecycle,
    "density": _density,
    "overhead": _overhead,
    "security": _security,
    "isolation": _isolation,
    "recovery": _recovery,
    "management": _management,
    "churn": _churn,
}

EXPERIMENTS = tuple(_SUITED)
"""Experiments of a first campaign: those that one machine can measure without a registry."""


def suited(experiment: str, suit: Suit) -> Params:
    """Parameters of ``experiment`` that suit a driver here; a list makes one cell per value."""
    return _SUITED[experiment](suit)
