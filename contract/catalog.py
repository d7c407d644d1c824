"""What planning must know of drivers and experiments, and how both declare themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from contract.campaign import Frozen
from contract.rows import InstanceRow


class Capability(StrEnum):
    """What a driver can do; an experiment names those it needs."""

    CONSOLE = "console"  # lines in and out of an instance, so that the agent can be spoken to
    GRACEFUL_STOP = "graceful_stop"  # asks the instance to end before it is made to
    LIMITS = "limits"  # CPU and memory limits can be set
    ADDRESS = "address"  # instances can have an IP address that the host reaches
    LINK = "link"  # two instances can reach each other over a network
    COLD_IMAGE = "cold_image"  # the image can be dropped from the host, to be brought anew
    RESTART_POLICY = "restart_policy"  # the engine itself starts again what ended
    GUEST_KERNEL = "guest_kernel"  # instances have a kernel of their own, which can panic
    ENGINE_RESTART = "engine_restart"  # there is an engine daemon that can be restarted
    REGISTRY = "registry"  # images come from an OCI registry, layer by layer
    DISK_FORMS = "disk_forms"  # such images are disks: whole, compressed, or a base and what differs
    VIRTUAL_TIME = "virtual_time"  # time is the driver's own invention: nothing is real


class Settings(Frozen):
    """Base of a driver's profile settings."""


class Params(Frozen):
    """Base of an experiment's parameters."""


class FleetParams(Params):
    """Base of the parameters of an experiment that all hosts measure together."""

    meet_deadline_s: float = Field(
        900, gt=0, le=86_400, description="longest wait for the other hosts to come"
    )


@dataclass(frozen=True, slots=True)
class Metric:
    """A quantity that an experiment emits, declared once."""

    name: str
    unit: str
    better: Literal["lower", "higher", "neither"]
    meaning: str


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """What planning and docs know of a driver."""

    name: str
    summary: str
    settings: type[Settings]
    offers: frozenset[Capability]
    stands_for: Callable[[Mapping[str, Any]], str] | None = None
    """Name of the driver that a profile of these settings means; None: always this one."""


@dataclass(frozen=True, slots=True)
class ExperimentInfo:
    """What planning and docs know of an experiment."""

    name: str
    summary: str
    params: type[Params]
    metrics: tuple[Metric, ...]
    needs: Callable[[Any], frozenset[Capability]]
    plan_rows: Callable[[Any], list[InstanceRow]]
    example: str
    together: bool = False
    """All hosts of the campaign measure one trial of it at the same time."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All drivers and experiments that this installation has, by name."""

    drivers: Mapping[str, DriverInfo] = field(default_factory=dict)
    experiments: Mapping[str, ExperimentInfo] = field(default_factory=dict)

    def driver_of(self, name: str, settings: Mapping[str, Any]) -> DriverInfo | None:
        """The driver that a profile with this ``driver`` and these settings means; None when unknown."""
        info = self.drivers.get(name)
        if info is None or info.stands_for is None:
            return info
        return self.drivers.get(info.stands_for(settings), info)
