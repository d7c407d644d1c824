"""What is to be packed: instance shapes, kinds of hosts, and what one instance needs on each of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from contract.errors import UseError


@dataclass(frozen=True, slots=True)
class Shape:
    """Instances that are alike, and how many of them are wanted."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class HostKind:
    """Hosts that are alike."""

    name: str
    room: Mapping[str, float]
    """By resource, what instances may use of one host: after base use and headroom."""
    price: float | None = None
    """Of one host; where any kind has none, hosts are counted instead."""
    available: int | None = None
    """How many there are at most; None for as many as it takes."""
    noise: Mapping[str, float] = field(default_factory=dict)
    """By resource, standard deviation of the host's own use; 0 where it is not named."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one instance uses of one resource, in the unit of the room."""

    mean: float
    sd: float = 0.0
    """Standard deviation from instance to instance."""
    correlation: float = 0.0
    """Between two instances of this shape on one host: 0 evens out, 1 never does."""


@dataclass(frozen=True, slots=True)
class Cap:
    """The most instances of one shape that one host may hold, whatever its resources say."""

    most: int
    reason: str


@dataclass(frozen=True)
class PackingTask:
    """Everything that a mixed plan is computed from.

    ``needs`` and ``caps`` have keys (shape, kind); a shape without needs on a kind does not run there. A
    host is full where mean + ``risk_z`` standard deviations of its load reach the room of a resource.
    Hosts lie in ``domains`` failure domains, of which any ``lost`` may go at once without an instance
    being left without room. ``sizes`` says how many hosts each domain takes, ``whole`` that all have the
    same number. Raises UseError where numbers make no sense.
    """

    shapes: tuple[Shape, ...]
    kinds: tuple[HostKind, ...]
    needs: Mapping[tuple[str, str], Mapping[str, Need]]
    caps: Mapping[tuple[str, str], Cap] = field(default_factory=dict)
    risk_z: float = 0.0
    domains: int = 1
    lost: int = 0
    sizes: tuple[int, ...] = ()
    whole: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.lost < self.domains:
            most = self.domains - 1
            raise UseError(f"of {self.domains} failure domains 0 to {most} can be lost, not {self.lost}")
        if self.sizes and len(self.sizes) != self.domains:
            raise UseError(f"{self.domains} failure domains, but {len(self.sizes)} sizes of them")
        for names in ([one.name for one in self.shapes], [one.name for one in self.kinds]):
            if not names or len(set(names)) < len(names):
                raise UseError(
                    "shapes and host classes need names, each its own, and at least one of them"
                )
        if any(one.count < 0 for one in self.shapes) or not _plain(self.risk_z):
            raise UseError("counts of shapes and the risk factor must be 0 or more")
        self._check_amounts()

    def _check_amounts(self) -> None:
        if any(one.price is not None and not 0 < one.price < math.inf for one in self.kinds):
            raise UseError("prices of hosts must be above 0")
        for (shape, kind), needs in self.needs.items():
            for resource, need in needs.items():
                if not (_plain(need.mean) and _plain(need.sd) and 0 <= need.correlation <= 1):
                    raise UseError(f"what {shape} needs of {resource} on {kind} must be 0 or more")

    @property
    def spread(self) -> int:
        """Domains that a plan must tell apart; 1 where it does not matter in which a host lies."""
        return self.domains if self.lost or self.sizes or self.whole else 1

    @property
    def priced(self) -> bool:
        """True where prices are minimised, not hosts."""
        return all(kind.price is not None for kind in self.kinds)

    def cost_of(self, kind: HostKind) -> float:
        """Of one host of a kind: its price, or 1 where hosts are counted."""
        return float(kind.price) if self.priced and kind.price is not None else 1.0


def _plain(number: float) -> bool:
    return 0 <= number < math.inf
