"""The demand: what must be carried, how well, on which hosts. One YAML file, frozen once loaded."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from analysis.capacity.demand_service import Service, Uptime
from analysis.capacity.forecast import Count
from analysis.capacity.units import Bytes, BytesPerSecond, Growing, Seconds, Share
from contract.campaign import Frozen, Name, Scalar
from contract.yaml_source import YamlSource, load_yaml

MOST_DOMAINS = 1_000_000


class Growth(Frozen):
    """How the demand moves until the day that is planned for."""

    per_year: Growing = Field(description="change per year, such as 30%")
    months: float = Field(12, gt=0, le=120, description="how far ahead is planned")

    @property
    def factor(self) -> float:
        """By what the demand of today is multiplied."""
        return float((1 + self.per_year) ** (self.months / 12))


class Reserve(Frozen):
    """What is set aside for every instance, whatever it uses: the guaranteed plan counts with it."""

    mem: Bytes | None = Field(None, description="memory, such as 256MiB")
    cpus: float | None = Field(None, gt=0, le=4096, description="processors")


class Shape(Frozen):
    """One kind of instance, and how many of it must run."""

    name: Name
    count: Count = Field(description="instances, or {p50, p95}; may be left out with 'service'")
    growth: Growth | None = None
    variants: tuple[str, ...] = Field(
        (), description="what it may run as, as reports name it; none: all that were measured"
    )
    measured: dict[str, Scalar] = Field(
        {}, description="conditions of the density cells that stand for it, such as {workload: light}"
    )
    reserve: Reserve | None = None
    most_per_host: int | None = Field(None, ge=1, description="instances that one host may take with it")
    service: Service | None = Field(None, description="requests that it serves")
    uptime: Uptime | None = Field(None, description="failures of its instances")

    @model_validator(mode="before")
    @classmethod
    def _counted_by_its_service(cls, given: Any) -> Any:
        if isinstance(given, dict) and "count" not in given and isinstance(given.get("service"), dict):
            try:
                service = Service.model_validate(given["service"])
            except ValidationError:
                return given | {"count": 1}  # what is wrong with the service is said of the service
            return given | {"count": service.instances().model_dump()}
        return given


class Slo(Frozen):
    """Objectives that every host must meet."""

    start_p99: Seconds | None = Field(None, description="99 of 100 starts are ready within")
    probe_p99: Seconds | None = Field(None, description="99 of 100 requests are answered within")


class Domains(Frozen):
    """Groups of hosts that fail together: racks, rooms, power feeds."""

    count: int | None = Field(None, ge=1, le=MOST_DOMAINS, description="domains of equal size")
    sizes: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = Field(
        (), max_length=1000, description="or hosts that each has room for"
    )
    lose: int = Field(1, ge=0, description="domains that may be lost at once")
    whole: bool = Field(False, description="the same number of hosts in every domain")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.count is None) == (not self.sizes):
            raise ValueError("either 'count' or 'sizes'")
        if self.lose >= self.number:
            raise ValueError(f"'lose' below the number of domains, which is {self.number}")
        if self.whole and self.sizes:
            raise ValueError("'whole' with 'count' only: domains of different sizes are never equal")
        return self

    @property
    def number(self) -> int:
        """How many there are."""
        return self.count if self.count is not None else len(self.sizes)


class Headroom(Frozen):
    """Share of every resource that the plan leaves free."""

    mem: Share = Field(0.15, lt=1)
    cpu: Share = Field(0.2, lt=1)
    pids: Share = Field(0.1, lt=1)


class Scale(Frozen):
    """How many times a host of a class has what the measured one had. An assumption, and printed so."""

    mem: float = Field(1, gt=0, le=1000, description="memory")
    cpus: float = Field(1, gt=0, le=1000, description="processors")
    start_rate: float = Field(1, gt=0, le=1000, description="starts per second")
    slo: float = Field(1, gt=0, le=1000, description="instances up to which objectives are met")


class HostClassEntry(Frozen):
    """Hosts that could be had: measured ones, or like measured ones but larger or smaller."""

    name: str = Field(min_length=1, max_length=200, description="as reports name it, or a new one")
    like: str | None = Field(None, description="the measured class that it is scaled from")
    scale: Scale = Scale()
    price: float | None = Field(None, ge=0, description="of one host, in any currency and time")
    most: int | None = Field(None, ge=1, description="hosts that can be had of it")

    @model_validator(mode="after")
    def _scaled_from_something(self) -> Self:
        if self.like is None and self.scale != Scale():
            raise ValueError("'like' beside 'scale': the measured class that it is scaled from")
        return self


class HostFailures(Frozen):
    """How often single hosts fail, independently of each other."""

    mtbf: Seconds = Field(description="mean time between failures of one host")
    mttr: Seconds = Field(description="mean time until it is back")
    target: Share = Field(0.999, lt=1, description="chance that enough hosts are up")

    @property
    def up(self) -> float:
        """Share of the time in which a host is up: MTBF / (MTBF + MTTR)."""
        return self.mtbf / (self.mtbf + self.mttr)


class Images(Frozen):
    """Whether survivors must fetch an image before they can start what was lost."""

    prepulled: bool = Field(True, description="every host has every image already")
    link: BytesPerSecond | None = Field(None, description="of one host, such as 10Gbit/s")
    registry: BytesPerSecond | None = Field(None, description="of the registry, for all hosts together")

    @model_validator(mode="after")
    def _enough_is_known(self) -> Self:
        if not self.prepulled and (self.link is None or self.registry is None):
            raise ValueError("'link' and 'registry' beside 'prepulled: false'")
        return self


class Extrapolate(Frozen):
    """How far the plan may go beyond the highest number of instances that was measured."""

    factor: float = Field(gt=0, le=1e6, description="times the highest number that was measured")


class Demand(Frozen):
    """Everything that a capacity plan is asked for. What is left out has a default that is printed."""

    demand: Name = Field(description="name of the demand")
    description: str = Field("", max_length=2000)
    shapes: tuple[Shape, ...] = Field(min_length=1, max_length=50)
    slo: Slo = Slo()
    domains: Domains | None = None
    rto: Seconds | None = Field(None, description="longest time until lost instances run elsewhere")
    detect: Seconds | None = Field(None, description="time until a loss is noticed; none: as measured")
    images: Images = Images()
    headroom: Headroom = Headroom()
    overload_risk: Share = Field(0.01, gt=0, lt=0.5, description="chance that one host is overloaded")
    confidence: Share = Field(
        0.95, ge=0.5, lt=1, description="chance that the recommended hosts suffice"
    )
    extrapolate: Extrapolate | None = None
    host_classes: tuple[HostClassEntry, ...] = Field((), max_length=20)
    host_failures: HostFailures | None = None

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        for what, names in (
            ("shapes", [shape.name for shape in self.shapes]),
            ("host_classes", [entry.name for entry in self.host_classes]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"every name once in '{what}': {twice[0]!r} stands there twice")
        return self


def load_demand(path: Path) -> tuple[Demand, YamlSource]:
    """Read and check a demand file.

    Returns the frozen demand and its source, which knows the line of every key. Raises CampaignError
    with file, line, key, what was found and what is allowed. Names of variants and host classes are
    checked against the dataset later.
    """
    source = load_yaml(path)
    return demand_of(source), source


def demand_of(source: YamlSource) -> Demand:
    """The demand that a file says. Raises CampaignError as ``load_demand`` does."""
    if not isinstance(source.data, dict):
        raise source.error((), source.data, "a mapping with at least 'demand' and 'shapes'")
    try:
        return Demand.model_validate(source.data)
    except ValidationError as error:
        raise source.refuse(error, Demand) from error
