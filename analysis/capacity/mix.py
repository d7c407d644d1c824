"""The answer for shapes that share hosts of several classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.capacity.packing import MixedPlan


@dataclass(frozen=True, slots=True)
class Tried:
    """One mixed plan that was looked at: made for amounts that are passed in so few of the draws."""

    level: float
    """Every demand and need was taken at this quantile, for itself."""
    hosts: Mapping[str, int]
    cost: float
    shortfall: float
    """Share of the draws of demand and evidence in which it does not suffice."""


@dataclass(frozen=True)
class Mix:
    """All shapes of a demand on shared hosts, each as one variant."""

    variants: Mapping[str, str]
    """Variant by shape."""
    emulated: bool
    virtual: bool
    plan: MixedPlan | None
    """The recommended one; None where nothing could be planned."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Instances by shape that it is made for."""
    level: float = 0.0
    shortfall: float = 1.0
    enough: bool = False
    """It suffices with the demand's confidence."""
    spares: Mapping[str, int] = field(default_factory=dict)
    """Hosts by class beside those of the plan, for the failures of single hosts."""
    tried: tuple[Tried, ...] = ()
    apart: float | None = None
    """What the cheapest plans of every shape on hosts of its own cost together, in the plan's unit."""
    infeasible: tuple[str, ...] = ()
    """Why it cannot be, and what would make it so, in sentences."""
    cautions: tuple[str, ...] = ()
    restore_s: float | None = None
    """Until all that the worst loss took runs elsewhere, at the medians; None if not known."""
    spare_cost: float = 0.0

    @property
    def hosts(self) -> dict[str, int]:
        """Hosts by class, spares included."""
        planned = self.plan.hosts if self.plan is not None else {}
        return {name: n + self.spares.get(name, 0) for name, n in planned.items()}

    @property
    def cost(self) -> float | None:
        """Of all hosts, spares included, in the plan's unit."""
        return None if self.plan is None else self.plan.cost + self.spare_cost
