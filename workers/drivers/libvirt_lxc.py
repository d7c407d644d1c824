"""libvirt_lxc: containers of libvirt's LXC driver. No image store, no layers: a folder per container."""

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from contract.catalog import Capability, Settings
from contract.errors import EngineAbsent, EngineError, ImageError
from workers import shell
from workers.census import pid_behind
from workers.console import Console
from workers.drivers.base import Instance, InstanceSpec
from workers.drivers.libvirt_base import LocalLibvirtDriver, binding_version, make_folder, volunteer
from workers.engines import libvirt_calls
from workers.engines.cgroup import Cgroups
from workers.engines.hypervisors import lxc
from workers.engines.libvirt_files import cgroups_of, connection_limits
from workers.engines.pty_console import PtyConsole
from workers.gauge import read_gauge
from workers.images import tiny
from workers.libvirt_uris import own_uri
from workers.ownership import NAME_PREFIX, Leftover, Owner
from workers.settings import HostSettings
from workers.verbs.libvirt_lxc import LxcVerbs

_MIB = 1024 * 1024
_COPY_DEADLINE_S = 600.0


class LxcSettings(Settings):
    """What a profile of libvirt's containers can vary."""

    network: str = Field(
        "none", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="none, or a libvirt network"
    )
    init: str = Field(
        "/sbin/init",
        pattern=r"^/[!-~]{1,200}$",
        description="first program of a container of a user's image",
    )
    uri: str | None = Field(None, description="a local libvirt other than the host's own")

    @field_validator("uri")
    @classmethod
    def _is_lxcs(cls, uri: str | None) -> str | None:
        return own_uri("libvirt_lxc", uri)


@dataclass(slots=True)
class LxcInstance(Instance):
    """A domain, its root file system, and what it is found by once it has started."""

    uuid: str
    root: Path
    console: PtyConsole | None = None
    cgroups: list[Path] = field(default_factory=list)
    holder: int | None = None
    """PID of libvirt_lxc, whose child the container's first process is."""


class Driver(LocalLibvirtDriver[LxcSettings]):
    """Containers. Images: ``tiny``, or the absolute path of a folder that holds a root file system."""

    name = "libvirt_lxc"
    summary = "containers of libvirt's LXC driver, each with a root file system of its own"
    version_fact = "libvirt_version"
    Settings: ClassVar[type[Settings]] = LxcSettings
    offers = frozenset({Capability.CONSOLE, Capability.GRACEFUL_STOP, Capability.LIMITS})
    verb_kind = LxcVerbs
    hypervisor = "lxc"
    keeps_with_record = False

    def __init__(self, settings: LxcSettings, host: HostSettings, owner: Owner) -> None:
        super().__init__(settings, host, owner, settings.uri)
        self._cgroups = Cgroups()
        self._roots = host.state_dir / self.name
        self._emulator = ""

    async def open(self) -> None:
        """Connect, and see that containers can be started here."""
        if os.geteuid() != 0:
            raise EngineAbsent(f"{self.name} needs {lxc.NEEDS}")
        try:
            found = await self._ask(_examine)
        except EngineAbsent as error:
            raise EngineAbsent(f"{error}; {self.name} needs {lxc.NEEDS}") from error
        if found is None:
            raise EngineAbsent(f"libvirt at {self.uri} runs no x86 containers; it needs {lxc.NEEDS}")
        self._emulator = found
        if (why := await self.engine(self._obstacle)) is not None:
            raise EngineAbsent(why)
        await self.engine(make_folder, self._roots / self.host.name)
        await self.engine(self._session.listen)

    async def facts(self) -> dict[str, Any]:
        """Versions, control groups, and the daemon's limits."""
        return {
            "libvirt_version": await self._ask(_version),
            "libvirt_python_version": binding_version(),
            "libvirt_uri": self.uri,
            "kernel_version": os.uname().release,
            "cgroup_version": self._cgroups.version,
            "daemon_limits": connection_limits(),
            "emulated": False,
            "foreign_instances": await self._ask(libvirt_calls.count_foreign),
        }

    async def prepare(self, image: str) -> None:
        """Build ``tiny``; of a user's image, see that it is a root file system."""
        await self.engine(self._image, image)

    async def create(self, spec: InstanceSpec) -> Instance:
        """Define the domain, and copy its root file system."""
        if spec.pids is not None:
            raise EngineError(f"{self.name}: libvirt's LXC sets no limit of processes")
        source = await self.engine(self._image, spec.image)
        root = self._roots / self.host.name / spec.name
        domain = await self.engine(self._domain, spec, root)
        own = LxcInstance(spec, domain.uuid, root)
        # The record comes first: it claims the name, and tells a sweep whose the folder is.
        await self._ask(libvirt_calls.define, lxc.container_xml(domain))
        try:
            await self._threads.call(_COPY_DEADLINE_S, _copy, source, root)
        except EngineError:
            await self.remove(own)
            raise
        return own

    async def attach(self, instance: Instance) -> Console:
        """A console that is there once the container has started."""
        return self._new_console(_own(instance))

    async def reattach(self, instance: Instance) -> Console:
        """Take the terminal of a running container anew."""
        own = _own(instance)
        console = self._new_console(own)
        await self._open_console(own, console)
        return console

    async def start(self, instance: Instance) -> None:
        """Start the domain, and take its console before anything more is said than fits in there."""
        own = _own(instance)
        if own.console is None or own.console.is_closed:
            self._new_console(own).drain()
        assert own.console is not None
        await self._ask(libvirt_calls.start, own.uuid)
        own.holder = await self._ask(libvirt_calls.running_id, own.uuid)
        if own.holder is None:  # it has ended already
            own.console.close()
            return
        own.cgroups = cgroups_of(own.holder, own.spec.name)
        await self._open_console(own, own.console)
        pid = _first_child(own.holder)
        if pid is not None:
            volunteer(pid)

    async def pid(self, instance: Instance) -> int | None:
        """PID of the container's first process, as the host sees it."""
        own = _own(instance)
        own.holder = await self._ask(libvirt_calls.running_id, own.uuid)
        return None if own.holder is None else _first_child(own.holder)

    async def stop(self, instance: Instance, *, graceful: bool) -> None:
        """SIGTERM and GRACE_S to end when graceful, else all its processes are killed at once."""
        own = _own(instance)
        if not (graceful and await self._ends_when_asked(own.uuid, libvirt_calls.send_sigterm)):
            await self._ask(libvirt_calls.destroy, own.uuid)

    async def remove(self, instance: Instance) -> None:
        """Kill it if it runs; remove record, root file system and log."""
        own = _own(instance)
        self._let_go(own.console)
        await self._drop_domain(own.spec.name, own.uuid)
        await self._threads.call(_COPY_DEADLINE_S, _remove_tree, own.root)

    async def remains(self, instance: Instance) -> list[str]:
        """Record, state files, control groups and root file system."""
        own = _own(instance)
        return await self._left_of(own.spec.name, own.uuid, (*own.cgroups, own.root))

    async def leftovers(self, host: str | None) -> list[Leftover]:
        """Domains that carry our metadata, then root file systems in our folders."""
        found = await self._left_domains()
        found += [Leftover(self.name, "root", path.name, path.parent.name) for path in self._own_roots()]
        return [leftover for leftover in found if host in (None, leftover.host)]

    async def sweep(self, leftover: Leftover) -> None:
        """Remove a domain of ours by its name, or a root file system in our folders."""
        if leftover.kind == "domain":
            await self._sweep_domain(leftover)
            return
        for path in self._own_roots():
            if (path.name, path.parent.name) == (leftover.name, leftover.host):
                await self._threads.call(_COPY_DEADLINE_S, _remove_tree, path)

    def _obstacle(self) -> str | None:
        pid = pid_behind(self._files.daemon_socket)
        try:
            return lxc.obstacle(Path(f"/proc/{pid or 'self'}/mountinfo").read_text(errors="replace"))
        except OSError:
            return None

    def _own_roots(self) -> Iterator[Path]:
        """Of all hosts that share our folder; one folder per host."""
        yield from sorted(self._roots.glob(f"*/{NAME_PREFIX}*"))

    def _image(self, image: str) -> Path:
        if image == "tiny":
            return tiny.rootfs(self.host.state_dir)
        path = Path(image)
        if not path.is_absolute():
            raise ImageError(
                f"'{image}' names no image of {self.name}: give 'tiny', or the whole path of a folder "
                "that holds a root file system"
            )
        init = path / self.settings.init.lstrip("/")
        if not (init.is_file() or init.is_symlink()):  # a link may lead somewhere only in there
            raise ImageError(f"there is no root file system with {self.settings.init} at {image}")
        return path

    def _domain(self, spec: InstanceSpec, root: Path) -> lxc.ContainerDomain:
        ours, limits = spec.image == "tiny", spec.limits
        memory_mib = limits.memory_mib or read_gauge().mem_total_bytes // _MIB
        return lxc.ContainerDomain(
            name=spec.name,
            uuid=str(uuid.uuid4()),
            owner=self.owner,
            emulator=self._emulator,
            root=root,
            command=tiny.command() if ours else [self.settings.init],
            environment={"TONNAGE_NONCE": spec.nonce} | ({"PATH": "/bin"} if ours else {}),
            memory_mib=memory_mib,
            without_swap=limits.memory_mib is not None and self._cgroups.counts_swap(),
            cpus=limits.cpus,
            network=None if self.settings.network == "none" else self.settings.network,
        )

    async def _open_console(self, own: LxcInstance, console: PtyConsole) -> None:
        path = lxc.console_of(await self._ask(libvirt_calls.definition, own.uuid))
        if path is None:
            console.close()
            return
        await console.open(path)

    def _new_console(self, own: LxcInstance) -> PtyConsole:
        self._let_go(own.console)
        own.console = PtyConsole()
        self._consoles.add(own.console)
        return own.console


def _own(instance: Instance) -> LxcInstance:
    assert isinstance(instance, LxcInstance), "an instance of another driver"
    return instance


def _examine(connection: Any) -> str | None:
    return lxc.emulator_of(connection.getCapabilities())


def _version(connection: Any) -> str:
    return libvirt_calls.dotted(connection.getLibVersion())


def _first_child(holder: int) -> int | None:
    """The only child of libvirt_lxc; None when it has ended."""
    for path in Path(f"/proc/{holder}/task").glob("*/children"):
        with suppress(OSError):
            for word in path.read_text().split():
                return int(word)
    return None


def _copy(source: Path, root: Path) -> None:
    """Blocks. Where the file system can, blocks are shared until they are written to."""
    shell.run(["cp", "--archive", "--reflink=auto", source, root], deadline_s=_COPY_DEADLINE_S)


def _remove_tree(root: Path) -> None:
    """Blocks. What is mounted in there is not ours to empty."""
    shell.run(["rm", "-rf", "--one-file-system", "--", root], deadline_s=_COPY_DEADLINE_S)
