"""The interface of all drivers. A driver makes instances; it never takes a time."""

import asyncio
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, ParamSpec, TypeVar

from contract.campaign import Limits
from contract.catalog import Capability, Settings
from contract.errors import EngineError
from workers.census import Marks, count_daemon, count_host
from workers.console import Console
from workers.engine_threads import EngineThreads
from workers.engines.delivery import Delivery
from workers.engines.footprint import footprint_of
from workers.exit_watch import watch_process
from workers.gauge import Footprint, Gauge, HostPss, pss_of_all, read_gauge
from workers.ownership import Leftover, Owner
from workers.settings import HostSettings
from workers.surface.outside import HostView, look
from workers.surface.system_calls import ProcessTracer, Tracer
from workers.verbs.base import Verbs

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound=Settings)

Hear = Callable[[Literal["ended", "started"]], None]
"""Who is told what an engine says of an instance."""

RECORDS = frozenset({"container", "domain", "instance"})
"""Kinds of leftovers that are records of an engine."""
OOM_SCORE_ADJ = 500
"""What instances get, so that the kernel short of memory takes them and not the worker."""


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """What an instance shall be."""

    index: int
    name: str
    image: str
    nonce: str
    """The agent says it in its beacon: TONNAGE_NONCE in the environment, or on the kernel's line."""
    limits: Limits
    pids: int | None = None
    """Most processes and threads; None: as many as the engine allows. A guest has its kernel's own."""
    revived: bool = False
    """The engine's own restart policy is on: the engine starts it again whenever it ends by itself."""


class Fault(StrEnum):
    """What is done to an instance from the host, by its driver. Nothing in the instance helps."""

    KILL = "kill"  # SIGKILL to the instance's own process: container PID 1, QEMU, the bare process
    HANG = "hang"  # SIGSTOP to it
    PANIC = "panic"  # its kernel panics
    ENGINE_RESTART = "engine_restart"  # the engine's daemon ends and is started again


@dataclass(slots=True)
class Instance:
    """Handle of an instance. Drivers extend it with what they need to find theirs again."""

    spec: InstanceSpec


class Driver(ABC, Generic[S]):
    """Makes instances of one kind on this host, for one trial.

    Every method is bounded in time: blocking engine calls go through ``engine``. Any method may raise
    EngineError (or EngineTimeout, EngineAbsent). Order of calls for one instance: ``create``,
    ``attach`` (only when the agent is wanted), ``start``, ``stop``, ``remove``; any of them may be
    left out at the end when an earlier one failed, and ``remove`` must then still remove what is there.
    After ``stop`` the same instance may be started again, with ``attach`` before it where wanted.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Settings: ClassVar[type[Settings]]
    offers: ClassVar[frozenset[Capability]]
    version_fact: ClassVar[str] = ""
    """Which fact is the engine's own version; empty where there is no engine."""
    backoff_reset_s: ClassVar[float] = 0.0
    """How long an instance must have run before the engine's restart policy acts without delay again."""

    verb_kind: ClassVar[type[Verbs]] = Verbs
    """How day-2 verbs are done here."""

    @classmethod
    def stands_for(cls, settings: Mapping[str, Any]) -> str:  # noqa: ARG003 - the interface names it
        """Name of the driver that a profile means: this one, but where a setting chooses another."""
        return cls.name

    def __init__(self, settings: S, host: HostSettings, owner: Owner) -> None:
        self.settings = settings
        self.host = host
        self.owner = owner
        self._threads = EngineThreads(self.name)

    async def engine(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking engine call on a thread. Raises EngineTimeout at the host's deadline."""
        return await self._threads.call(self.host.engine_deadline_s, function, *args, **kwargs)

    @abstractmethod
    async def open(self) -> None:
        """Connect. Raises EngineAbsent that says what is missing and how to get it."""

    @abstractmethod
    async def close(self) -> None:
        """Disconnect and let go of everything on this side. Removes no instances."""

    @abstractmethod
    async def facts(self) -> dict[str, Any]:
        """What of the engine shapes numbers: versions, storage, runtime, accelerator, limits.

        ``emulated: True`` when instances run on an emulated CPU. ``foreign_instances``: how many
        running instances of this engine are not ours. Keys that end in ``version`` are versions.
        """

    @abstractmethod
    async def prepare(self, image: str) -> None:
        """See that ``image`` is on this host, building or fetching it. Raises ImageError."""

    async def drop_image(self, image: str) -> None:
        """Remove ``image`` from this host. Offered as Capability.COLD_IMAGE."""
        raise AssertionError(f"{self.name} does not offer {Capability.COLD_IMAGE} ({image})")

    @abstractmethod
    async def create(self, spec: InstanceSpec) -> Instance:
        """Make the instance without running it. Raises ImageError when the image is not there."""

    @abstractmethod
    async def attach(self, instance: Instance) -> Console:
        """Take the console of a created instance that has not started, so that no line is lost."""

    @abstractmethod
    async def start(self, instance: Instance) -> None:
        """Run it. Returns when the engine says that it runs."""

    @abstractmethod
    async def pid(self, instance: Instance) -> int | None:
        """Host PID of the instance's own process (container PID 1, QEMU); None when it has none."""

    async def watch_exit(self, instance: Instance) -> asyncio.Future[None] | None:
        """A future that is done once the instance's own process is dead; None where it has none."""
        pid = await self.pid(instance)
        return None if pid is None else watch_process(pid)

    async def address(self, instance: Instance) -> str:
        """IP address that the host reaches it at. Offered as Capability.ADDRESS.

        Where Capability.LINK is offered, other instances of this driver reach it there, too.
        """
        raise AssertionError(f"{self.name} does not offer {Capability.ADDRESS} ({instance.spec.name})")

    async def reattach(self, instance: Instance) -> Console:
        """Take the console of a running instance anew: its engine has started it again, or lost it.

        Raises EngineError while there is none to be had, and where there never is one.
        """
        raise EngineError(f"{self.name}: the console of '{instance.spec.name}' cannot be taken anew")

    async def listen(self, instance: Instance, hear: Hear) -> Callable[[], None]:
        """Hear from the engine that an instance has ended, and that the engine has started it again.

        ``hear`` is called on the event loop. Returns what ends the listening. Offered as
        Capability.RESTART_POLICY.
        """
        raise AssertionError(f"{self.name} does not offer {Capability.RESTART_POLICY} ({hear})")

    @abstractmethod
    async def stop(self, instance: Instance, *, graceful: bool) -> None:
        """End it: ask first when ``graceful``, else at once. One that is gone already is no error."""

    @abstractmethod
    async def remove(self, instance: Instance) -> None:
        """Remove it and all that belongs to it. One that is gone already is no error."""

    @abstractmethod
    async def remains(self, instance: Instance) -> list[str]:
        """What the host still holds of a removed instance: records, cgroups, mounts, disks, sockets."""

    @abstractmethod
    async def leftovers(self, host: str | None) -> list[Leftover]:
        """Everything of ours that exists here, of the named host or (None) of all. Foreign: never."""

    @abstractmethod
    async def sweep(self, leftover: Leftover) -> None:
        """Remove one leftover. One that is gone already is no error."""

    async def inject(self, instance: Instance, fault: Fault) -> None:
        """Do this to a running instance, from outside. Raises EngineError when it cannot be done.

        PANIC is offered as Capability.GUEST_KERNEL, ENGINE_RESTART under its own name.
        """
        numbers = {Fault.KILL: signal.SIGKILL, Fault.HANG: signal.SIGSTOP}
        assert fault in numbers, f"{self.name} does not offer {fault}"
        pid = await self.pid(instance)
        if pid is None:
            raise EngineError(
                f"{self.name}: '{instance.spec.name}' has no process to inject '{fault}' into"
            )
        with suppress(ProcessLookupError):  # dead already: what was wanted
            os.kill(pid, numbers[fault])

    async def surface(self, instance: Instance) -> HostView:
        """What the host's /proc says of the instance's own process, and of the host."""
        return await self.engine(look, await self.pid(instance))

    async def confinement(self, instance: Instance) -> dict[str, Any]:
        """What the engine's API says of how the instance is confined, in the engine's own words."""
        return {}

    async def tracer(self, instance: Instance) -> Tracer:
        """What counts the system calls that the instance makes on the host's kernel."""
        return ProcessTracer(self.engine, await self.pid(instance))

    def verbs(self) -> Verbs:
        """What can be done to instances that run, beside what this interface asks of every driver."""
        return self.verb_kind(self)

    def delivery(self) -> Delivery:
        """How images come to this host from a registry. Offered as Capability.REGISTRY."""
        raise AssertionError(f"{self.name} does not offer {Capability.REGISTRY}")

    async def gauge(self) -> Gauge:
        """The host's memory, processors and pressure now."""
        return await self.engine(read_gauge)

    async def footprint(self, instances: Sequence[Instance]) -> Footprint:
        """What these instances hold together, by their processes and control groups.

        Reads a file per process and asks the engine for each: never inside a timed section.
        """
        pids = [await self.pid(instance) for instance in instances]
        return await self.engine(footprint_of, [pid for pid in pids if pid is not None])

    async def host_pss(self) -> HostPss:
        """PSS of all processes of the host. The same caution applies."""
        return await self.engine(pss_of_all)

    def marks(self) -> Marks:
        """What tells things of this trial's instances from all others on the host."""
        return Marks(self.owner.name_prefix)

    def daemon_socket(self) -> Path | None:
        """The local socket of the engine's daemon; None where there is no daemon."""
        return None

    async def census(self) -> dict[str, int]:
        """How many things of each of ``workers.census.KINDS`` there are now, instances' own included.

        A kind that cannot be counted is left out. Not for timed sections.
        """
        counted = await self.engine(count_host, self.marks())
        daemon = self.daemon_socket()
        if daemon is not None:
            counted |= await self.engine(count_daemon, daemon)
        kinds = [leftover.kind for leftover in await self.leftovers(self.host.name)]
        records = sum(kind in RECORDS for kind in kinds)
        files = sum(kind not in RECORDS | {"process", "cgroup"} for kind in kinds)
        return counted | {"records": records, "files": files}


AnyDriver = Driver[Any]
