"""docker: containers of the Docker engine on this host, through its local socket."""

import asyncio
import fcntl
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, ParamSpec, TypeVar

from pydantic import Field

from contract.catalog import Capability, Settings
from contract.errors import EngineAbsent, EngineError, EngineTimeout, ImageError, TonnageError
from workers.cgroup import Cgroups
from workers.console import Console
from workers.drivers import base
from workers.drivers.base import OOM_SCORE_ADJ, Instance, InstanceSpec
from workers.drivers.docker_console import attach
from workers.images import tiny
from workers.ownership import LABEL_PREFIX, Leftover, Owner, owner_from_labels
from workers.settings import HostSettings

if TYPE_CHECKING:
    from docker import APIClient  # noqa: TID251 - this is the driver that speaks it

P = ParamSpec("P")
T = TypeVar("T")
Record = dict[str, Any]
"""What the engine answers, in its own words."""

STOP_GRACE_S = 10
"""How long a graceful stop waits before the engine kills: its own default."""
PULL_DEADLINE_S = 1800.0
_NEWEST_API = (1, 44)
"""Answers change shape in later versions; engines from 25 on speak this one."""
_TINY_REPOSITORY = "tonnage/tiny"
_REFERENCE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}$")
_POLL_S = 0.02


class DockerSettings(Settings):
    """One way to run a container. The defaults are the engine's, but for network and logs."""

    runtime: str | None = Field(
        None, pattern=r"^[A-Za-z0-9._-]+$", description="OCI runtime; None is the engine's default"
    )
    network: str = Field(
        "none", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="none, bridge, host or a network"
    )
    log_driver: Literal["none", "json-file", "local"] = Field(
        "none", description="where the engine writes the output that nobody reads"
    )
    read_only: bool = Field(False, description="root file system read-only, /work and /tmp in memory")
    no_new_privileges: bool = Field(False, description="no gain of privileges by set-uid programs")
    drop_capabilities: bool = Field(False, description="drop all capabilities")
    seccomp: Literal["default", "unconfined"] = Field("default", description="system call filter")
    cpuset: str | None = Field(
        None, pattern=r"^[0-9]+([,-][0-9]+)*$", description="processors to be pinned to, like 0-3,8"
    )
    pids_limit: int | None = Field(None, ge=1, le=4_194_304, description="processes and threads")


@dataclass(slots=True)
class DockerInstance(Instance):
    """A container, and where the engine keeps what belongs to it."""

    container: str
    """The engine's id, 64 hex digits."""
    places: tuple[str, ...] = ()
    """Paths of its layer and network namespace; known once the engine was asked for its PID."""


class Driver(base.Driver[DockerSettings]):
    """Containers. Images: ``tiny``, imported from bytes built here, or any name the engine can find."""

    name = "docker"
    summary = "containers of a Docker engine, with the OCI runtime as a setting"
    Settings: ClassVar[type[Settings]] = DockerSettings
    offers = frozenset(
        {
            Capability.CONSOLE,
            Capability.GRACEFUL_STOP,
            Capability.LIMITS,
            Capability.ADDRESS,
            Capability.COLD_IMAGE,
        }
    )

    def __init__(self, settings: DockerSettings, host: HostSettings, owner: Owner) -> None:
        super().__init__(settings, host, owner)
        self._cgroups = Cgroups()
        self._client: APIClient | None = None

    @property
    def api(self) -> "APIClient":
        """The engine's client; there is one between ``open`` and ``close``."""
        assert self._client is not None, "the driver is not open"
        return self._client

    async def open(self) -> None:
        """Connect, and see that the engine has the runtime asked for."""
        with _in_our_words("connect"):
            self._client = await self.engine(_connect, self.host)
        runtime = self.settings.runtime
        if runtime is None or runtime.startswith("io.containerd."):
            return
        known = sorted((await self._ask(self.api.info)).get("Runtimes") or {})
        if runtime not in known:
            raise EngineError(f"docker has no runtime '{runtime}'; it has: {', '.join(known)}")

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._threads.close()

    async def facts(self) -> dict[str, Any]:
        """Versions, storage, cgroups, runtime and security options of the engine."""
        info = await self._ask(self.api.info)
        version = await self._ask(self.api.version)
        running = await self._ask(self.api.containers)
        return _facts(info, version) | {
            "emulated": False,
            "api_version": self.api.api_version,
            "foreign_instances": sum(_owner_of(container) is None for container in running),
            "runtime": self.settings.runtime or info.get("DefaultRuntime"),
            "network": self.settings.network,
            "log_driver": self.settings.log_driver,
        }

    async def prepare(self, image: str) -> None:
        """Import ``tiny``, or pull the image, when the engine does not have it."""
        if not _REFERENCE.match(image):
            raise ImageError(f"'{image}' is no image name")
        if image == "tiny":
            with _in_our_words("import"):
                await self.engine(_import_tiny, self.api, self.host.state_dir)
        elif not await self._ask(_has_image, self.api, image):
            with _in_our_words("pull"):
                await self._threads.call(PULL_DEADLINE_S, _pull, self.api, image)

    async def drop_image(self, image: str) -> None:
        """Remove the image; one that is not there is no error."""
        with _in_our_words("remove_image"):
            await self.engine(_drop_image, self.api, _reference(image))

    async def create(self, spec: InstanceSpec) -> Instance:
        """Create the container."""
        body = _container(spec, self.settings, self.owner)
        with _in_our_words("create"):
            made = await self.engine(self.api.create_container_from_config, body, spec.name)
        return DockerInstance(spec, made["Id"])

    async def attach(self, instance: Instance) -> Console:
        """Attach to input, output and errors. Returns once the engine has connected them."""
        target = f"/v{self.api.api_version}/containers/{_own(instance).container}/attach"
        with _in_our_words("attach"):
            async with asyncio.timeout(self.host.engine_deadline_s):
                query = "?stream=1&stdin=1&stdout=1&stderr=1"
                return await attach(self.host.docker_socket, target + query)

    async def start(self, instance: Instance) -> None:
        """Start the container."""
        await self._ask(self.api.start, _own(instance).container)

    async def pid(self, instance: Instance) -> int | None:
        """PID of the container's first process on the host."""
        own = _own(instance)
        record = await self._ask(self.api.inspect_container, own.container)
        own.places = _places(record)
        return record["State"]["Pid"] or None

    async def address(self, instance: Instance) -> str:
        """Its address in the network of the settings."""
        if self.settings.network == "host":
            return "127.0.0.1"
        record = await self._ask(self.api.inspect_container, _own(instance).container)
        for network in record["NetworkSettings"]["Networks"].values():
            if network.get("IPAddress"):
                return str(network["IPAddress"])
        raise EngineError(
            f"docker gave '{instance.spec.name}' no address in network '{self.settings.network}'; "
            "'network: bridge' in the profile gives one"
        )

    async def stop(self, instance: Instance, *, graceful: bool) -> None:
        """SIGTERM and 10 s to end when graceful, else SIGKILL; returns when the engine saw it end."""
        container = _own(instance).container
        with _in_our_words("stop"):
            if graceful:
                deadline_s = self.host.engine_deadline_s + STOP_GRACE_S
                await self._threads.call(deadline_s, _stop, self.api, container)
            else:
                await self.engine(_kill, self.api, container)

    async def remove(self, instance: Instance) -> None:
        """Remove the container and its anonymous volumes, running or not."""
        await self._remove(_own(instance).container)

    async def remains(self, instance: Instance) -> list[str]:
        """Record, cgroups, mounts, layer and network namespace."""
        return await self._ask(_remains, self.api, self._cgroups, _own(instance))

    async def leftovers(self, host: str | None) -> list[Leftover]:
        """Containers with an owner's labels, in any state."""
        label = f"{LABEL_PREFIX}trial" if host is None else f"{LABEL_PREFIX}host={host}"
        found = await self._ask(self.api.containers, all=True, filters={"label": [label]})
        owned = [(container, _owner_of(container)) for container in found]
        return [
            Leftover(self.name, "container", _name_of(container), owner.host)
            for container, owner in owned
            if owner is not None
        ]

    async def sweep(self, leftover: Leftover) -> None:
        """Remove the container."""
        await self._remove(leftover.name)

    async def _ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with _in_our_words(function.__name__):
            return await self.engine(function, *args, **kwargs)

    async def _remove(self, container: str) -> None:
        if await self._ask(_remove, self.api, container):
            return
        # Somebody else's removal of it is under way: it is over when the record is gone.
        try:
            async with asyncio.timeout(self.host.engine_deadline_s):
                while await self._ask(_exists, self.api, container):
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            deadline = f"{self.host.engine_deadline_s:g} s"
            raise EngineTimeout(
                f"docker did not end the removal of {container} in {deadline}"
            ) from error
