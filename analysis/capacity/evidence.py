"""What a dataset says about one variant on one class of hosts, as far as a capacity plan needs it.

Everything that was estimated carries ``DRAWS`` bootstrap replicates of it. Replicate ``i`` of all parts
of a ``Line`` and of all ``Cap`` of one evidence comes from the same resample of staircases, so what
belongs together stays together.
"""

from dataclasses import dataclass
from typing import Literal

from analysis.capacity.answer import ModelCheck
from analysis.cells import Evidence as Belief
from analysis.statistics.blocks import Floats

DRAWS = 2000
"""Bootstrap replicates of every number."""

Resource = Literal["mem", "cpu"]
"""``mem`` in bytes, ``cpu`` in processors."""
RESOURCES: tuple[Resource, ...] = ("mem", "cpu")


@dataclass(frozen=True)
class Line:
    """Use of one resource of a host against the number of instances: base + each · n, with its spread.

    The variance of the use of n instances is n·own² + n²·shared² + noise². In the words of the model,
    σ² = own² + shared² for one instance and ρ = shared²/σ² between any two of a host.
    """

    resource: Resource
    base: float
    """Use of the empty host: bytes or processors."""
    each: float
    """What one instance more takes."""
    own: float
    """Standard deviation of what single instances take, within a host."""
    shared: float
    """Standard deviation of what all instances of a host take more or less than elsewhere, each."""
    noise: float
    """Standard deviation of the host's use around its line, and of its base between climbs."""
    bases: Floats
    """Replicates of ``base``: one per draw."""
    eaches: Floats
    """Replicates of ``each``."""
    shareds: Floats
    """Replicates of ``shared``."""
    noises: Floats
    """Replicates of ``noise``."""
    flat: bool
    """The interval of ``each`` holds 0: no use that grows with the instances could be seen."""

    @property
    def sigma(self) -> float:
        """σ: standard deviation of one instance's use, anywhere."""
        return float((self.own**2 + self.shared**2) ** 0.5)

    @property
    def rho(self) -> float:
        """ρ: correlation of the use of two instances of the same host."""
        return self.shared**2 / self.sigma**2 if self.sigma else 0.0


CapKind = Literal["objective", "wall"]
"""``objective``: up to where an SLO is met; ``wall``: what the host itself refused to pass."""


@dataclass(frozen=True)
class Cap:
    """Most instances on one host for another reason than memory or processors."""

    name: str
    """What caps, in words: ``probe p99 within 50 ms``."""
    kind: CapKind
    value: float
    """Median over staircases; 0 when no number of instances met it."""
    low: float
    """Lower end of its 95 % interval; the least of all staircases where there are too few for one."""
    draws: Floats
    """Replicates of ``value``."""
    at_least: bool
    """The climbs ended first: it holds up to here, and nobody knows beyond."""
    best_s: float | None = None
    """The least p99 of any step, seconds: what a looser objective would have to be."""


@dataclass(frozen=True)
class Starts:
    """How fast a host starts instances, at the level of concurrency at which it starts most."""

    source: str
    """Where it was seen: ``lifecycle``, or ``density``, whose climbs start instances too."""
    concurrency: int
    rate_per_s: float
    rates: Floats
    """Replicates of ``rate_per_s``."""
    ready_p95_s: float
    """95 of 100 starts are ready within; infinite when more than 5 % failed."""
    ready_p95s: Floats


@dataclass(frozen=True)
class Detection:
    """How long it takes until somebody notices a loss."""

    source: str
    """``failover``, ``recovery`` or ``demand``."""
    p95_s: float
    p95s: Floats
    """Replicates of ``p95_s``."""


@dataclass(frozen=True)
class Evidence:
    """One variant on one measured class of hosts under one set of conditions."""

    variant: str
    """As reports name it, with its mark: ``libvirt (emulated CPU)``."""
    name: str
    """Driver, or driver/profile, without any mark: what demand files call it."""
    host_class: str
    conditions: str
    """Of the density cell, in words."""
    emulated: bool
    virtual: bool
    belief: Belief
    """What kind of trials the numbers rest on."""
    hosts: int
    staircases: int
    peak: int
    """Most instances that were ever held: what lies beyond was not measured."""
    mem_bytes: float | None
    """Memory of a host of the class."""
    cpu_count: int | None
    lines: tuple[Line, ...]
    caps: tuple[Cap, ...]
    starts: Starts | None = None
    detection: Detection | None = None
    unrecovered_share: float | None = None
    """Of the injections of ``recovery``, those that did not come back by themselves."""
    image_bytes: float | None = None
    """What a host that has nothing of the image fetches; None when that was not measured."""
    checks: tuple[ModelCheck, ...] = ()
    missing: tuple[str, ...] = ()
    """What could not be learnt from the dataset, and what was left out because of it, in sentences."""

    def line(self, resource: Resource) -> Line | None:
        """The line of one resource, if it was measured."""
        return next((line for line in self.lines if line.resource == resource), None)
