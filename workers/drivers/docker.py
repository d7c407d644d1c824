"""docker: containers of the Docker engine on this host, through its local socket."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from contract.catalog import Capability, Settings
from contract.errors import EngineError, EngineTimeout, ImageError
from workers.census import Marks
from workers.console import Console
from workers.drivers import base
from workers.drivers.base import Fault, Hear, Instance, InstanceSpec
from workers.engines import docker_calls, docker_containers, docker_trees, docker_verbs
from workers.engines.cgroup import Cgroups
from workers.engines.daemon_restart import restart_engine
from workers.engines.delivery import Delivery
from workers.engines.docker_console import attach
from workers.engines.docker_delivery import DeliveredImages, DockerDelivery
from workers.engines.docker_events import ContainerEvents
from workers.engines.docker_http import ApiConnections
from workers.engines.docker_records import (
    ContainerSettings,
    DockerSettings,
    Places,
    Record,
    confinement_of,
    container_body,
    facts_of,
    name_of,
    owner_of,
    places_of,
    reference,
    see_that_it_is_as_asked,
)
from workers.engines.docker_server import ApiServer
from workers.images.tree import BUILD_DEADLINE_S, is_tree
from workers.ownership import LABEL_PREFIX, Leftover, Owner
from workers.settings import HostSettings
from workers.verbs.docker import DockerVerbs

if TYPE_CHECKING:
    from docker import APIClient  # noqa: TID251 - this is the driver that speaks it

P = ParamSpec("P")
T = TypeVar("T")

PULL_DEADLINE_S = 1800.0
_REFERENCE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}$")
_POLL_S = 0.02


@dataclass(slots=True)
class DockerInstance(Instance):
    """A container, and where the engine keeps what belongs to it."""

    container: str
    """The engine's id, 64 hex digits."""
    places: Places = field(default_factory=Places)
    """Known once the engine was asked for its PID."""


class Driver(base.Driver[ContainerSettings]):
    """Containers. Images: ``tiny``, an image's folder, or any that the engine has or can pull."""

    name = "docker"
    summary = "containers of a Docker engine, with the OCI runtime as a setting"
    version_fact = "engine_version"
    Settings: ClassVar[type[Settings]] = DockerSettings
    offers = frozenset(
        {
            Capability.CONSOLE,
            Capability.GRACEFUL_STOP,
            Capability.LIMITS,
            Capability.ADDRESS,
            Capability.LINK,
            Capability.COLD_IMAGE,
            Capability.RESTART_POLICY,
            Capability.ENGINE_RESTART,
            Capability.REGISTRY,
        }
    )
    verb_kind = DockerVerbs
    backoff_reset_s = 15.0  # 10 s by restartmanager.go, which counts from a start that takes a while

    def __init__(self, settings: ContainerSettings, host: HostSettings, owner: Owner) -> None:
        super().__init__(settings, host, owner)
        self.server = self.find_server(host)
        self._delivered = DeliveredImages(self.server, host)
        self._cgroups = Cgroups()
        self._client: APIClient | None = None
        self._links: ApiConnections | None = None
        self._made: set[str] = set()

    @staticmethod
    def find_server(host: HostSettings) -> ApiServer:
        """Where this driver's engine is on a host."""
        return ApiServer.docker(host)

    @property
    def api(self) -> "APIClient":
        """The engine's client library, which exists between ``open`` and ``close``."""
        assert self._client is not None, "the driver is not open"
        return self._client

    @property
    def links(self) -> ApiConnections:
        """Connections for what is timed, which exist between ``open`` and ``close``."""
        assert self._links is not None, "the driver is not open"
        return self._links

    async def open(self) -> None:
        """Connect, and see that the engine is as the settings ask for."""
        self._client = await self._ask(docker_calls.connect, self.server)
        self._links = ApiConnections(self.server, self._client.api_version)
        await self._ask(docker_calls.see_who_answers, self.api, self.server)
        self.check(await self._ask(self.api.info))

    def check(self, info: Record) -> None:
        """See that an engine of this description can do what the settings ask. Raises EngineError."""
        assert isinstance(self.settings, DockerSettings)
        see_that_it_is_as_asked(info, self.settings)

    async def close(self) -> None:
        """Close the connections."""
        if self._links is not None:
            self._links.close()
        if self._client is not None:
            self._client.close()
            self._client = None
        self._threads.close()

    async def facts(self) -> dict[str, Any]:
        """Versions, storage, cgroups, runtimes and security options of the engine."""
        info = await self._ask(self.api.info)
        version = await self._ask(self.api.version)
        running = await self._ask(self.api.containers)
        return self.describe(info, version) | {
            "emulated": False,
            "api_version": self.api.api_version,
            "foreign_instances": sum(owner_of(container) is None for container in running),
        }

    def describe(self, info: Record, version: Record) -> dict[str, Any]:
        """What of the engine shapes numbers, out of what it tells of itself."""
        assert isinstance(self.settings, DockerSettings)
        runtime = self.settings.runtime or info.get("DefaultRuntime")
        return facts_of(info, version) | {"runtime": runtime}

    async def prepare(self, image: str) -> None:
        """Import ``tiny`` or a folder, or pull the image, when the engine does not have it."""
        if is_tree(image):
            with self._in_our_words("import"):
                where = self.api, self.host.state_dir
                await self._threads.call(BUILD_DEADLINE_S, docker_trees.import_tree, *where, image)
            return
        if not _REFERENCE.match(image):
            raise ImageError(f"'{image}' is no name of a container image, and no folder on this host")
        if image == "tiny":
            await self._ask(docker_calls.import_tiny, self.api, self.host.state_dir)
        elif not await self._ask(docker_calls.has_image, self.api, image):
            with self._in_our_words("pull"):
                await self._threads.call(PULL_DEADLINE_S, docker_calls.pull, self.api, image)

    async def drop_image(self, image: str) -> None:
        """Remove the image; one that is not there is no error."""
        await self._ask(docker_calls.drop_image, self.api, reference(image))

    async def create(self, spec: InstanceSpec) -> Instance:
        """Create the container."""
        body = container_body(spec, self.settings, self.owner)
        made = await docker_containers.create(self.links, spec.name, body)
        self._made.add(made)
        return DockerInstance(spec, made)

    async def attach(self, instance: Instance) -> Console:
        """Attach to input, output and errors. Returns once the engine has connected them."""
        target = f"/v{self.api.api_version}/containers/{_own(instance).container}/attach"
        query = "?stream=1&stdin=1&stdout=1&stderr=1"
        with self._in_our_words("attach"):
            async with asyncio.timeout(self.host.engine_deadline_s):
                return await attach(self.server, target + query)

    async def reattach(self, instance: Instance) -> Console:
        """Attach once more. Refused while the engine is about to start the container again."""
        return await self.attach(instance)

    async def listen(self, instance: Instance, hear: Hear) -> Callable[[], None]:
        """Follow the engine's events about the container."""
        ear = ContainerEvents(self.server, _own(instance).container, hear)
        await self._ask(ear.begin)
        return ear.end

    async def inject(self, instance: Instance, fault: Fault) -> None:
        """Signals to the container's first process; or end the engine and start it again."""
        if fault is Fault.ENGINE_RESTART:
            await restart_engine(self, self.server.socket)
        else:
            await super().inject(instance, fault)

    async def start(self, instance: Instance) -> None:
        """Start the container."""
        await docker_containers.start(self.links, _own(instance).container)

    async def pid(self, instance: Instance) -> int | None:
        """PID of the container's first process, as the host sees it."""
        own = _own(instance)
        record = await docker_containers.inspect(self.links, own.container)
        if record is None:
            return None
        pid: int | None = record["State"]["Pid"] or None
        if pid is not None:
            groups = await self.engine(self._cgroups.of_process, pid)
            own.places = replace(places_of(record), cgroups=tuple(groups))
        elif own.places == Places():  # a dead one tells less than it did alive
            own.places = places_of(record)
        return pid

    async def confinement(self, instance: Instance) -> dict[str, Any]:
        """Privileges, profiles and masks, out of the container's record."""
        return confinement_of(await self._record(_own(instance)))

    async def address(self, instance: Instance) -> str:
        """Its address in the network of the settings. Raises EngineError where that gives none."""
        if self.settings.network == "host":
            return "127.0.0.1"
        record = await self._record(_own(instance))
        for network in record["NetworkSettings"]["Networks"].values():
            if network.get("IPAddress"):
                return str(network["IPAddress"])
        raise EngineError(
            f"{self.name} gave '{instance.spec.name}' no address in network '{self.settings.network}'; "
            "'network: bridge' in the profile gives one"
        )

    async def stop(self, instance: Instance, *, graceful: bool) -> None:
        """SIGTERM and 10 s to end when graceful, else SIGKILL; returns when the engine saw it end."""
        end = docker_containers.stop if graceful else docker_containers.kill
        await end(self.links, _own(instance).container)

    async def remove(self, instance: Instance) -> None:
        """Remove the container and its anonymous volumes, running or not."""
        await self._remove(_own(instance).container)

    async def remains(self, instance: Instance) -> list[str]:
        """Record, cgroups, mounts, layer and network namespace."""
        own = _own(instance)
        record = await docker_containers.inspect(self.links, own.container)
        left = [] if record is None else [f"record {own.container}"]
        return left + await self.engine(self._files_left, own)

    def marks(self) -> Marks:
        """Names of the trial's containers, and the engine's ids of all that were made."""
        return Marks(self.owner.name_prefix, self._made)

    def daemon_socket(self) -> Path | None:
        """The engine's."""
        return self.server.socket

    async def leftovers(self, host: str | None) -> list[Leftover]:
        """Containers with an owner's labels, in any state; snapshots of them; delivered images."""
        label = f"{LABEL_PREFIX}trial" if host is None else f"{LABEL_PREFIX}host={host}"
        found = await self._ask(self.api.containers, all=True, filters={"label": [label]})
        owned = [(container, owner_of(container)) for container in found]
        containers = [
            Leftover(self.name, "container", name_of(container), owner.host)
            for container, owner in owned
            if owner is not None
        ]  # before images: one that is in use stays
        snapshots = await self._ask(docker_verbs.snapshot_leftovers, self.api, self.name, host)
        return [*containers, *snapshots, *await self.engine(self._delivered.leftovers, host)]

    async def sweep(self, leftover: Leftover) -> None:
        """Remove the container, snapshot or image."""
        if leftover.kind == "snapshot":
            await self._ask(docker_calls.drop_image, self.api, leftover.name)
            return
        if leftover.kind == "image":
            await self._ask(self._delivered.remove, self.api, leftover.host, leftover.name)
            return
        await self._remove(leftover.name)

    def delivery(self) -> Delivery:
        """Container images, which the engine pulls."""
        return DockerDelivery(self._delivered, self.api, self._threads)

    def _in_our_words(self, doing: str) -> AbstractContextManager[None]:
        return docker_calls.in_our_words(doing, self.server)

    async def _ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._in_our_words(function.__name__):
            return await self.engine(function, *args, **kwargs)

    def _files_left(self, own: DockerInstance) -> list[str]:
        groups = own.places.cgroups
        if groups is None:
            groups = tuple(self._cgroups.find_named(own.container))
        return docker_containers.files_left(self.server, own.container, groups, own.places)

    async def _record(self, own: DockerInstance) -> Record:
        """The engine's record. Raises EngineError when it has none."""
        record = await docker_containers.inspect(self.links, own.container)
        if record is None:
            raise EngineError(f"{self.name} has no container '{own.spec.name}'")
        return record

    async def _remove(self, container: str) -> None:
        if await docker_containers.remove(self.links, container):
            return
        # Another removal of it is under way, which is over when the record is gone.
        try:
            async with asyncio.timeout(self.host.engine_deadline_s):
                while await docker_containers.inspect(self.links, container) is not None:
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            deadline = f"{self.host.engine_deadline_s:g} s"
            raise EngineTimeout(
                f"{self.name} did not end the removal of {container} in {deadline}"
            ) from error


def _own(instance: Instance) -> DockerInstance:
    assert isinstance(instance, DockerInstance)
    return instance
