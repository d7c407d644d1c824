"""What all drivers of libvirt share: a way to one daemon, and an end that is asked for."""

import asyncio
import functools
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from contract.catalog import Settings
from contract.errors import EngineAbsent, EngineError
from workers.drivers import base
from workers.drivers.base import OOM_SCORE_ADJ
from workers.engines import libvirt_calls
from workers.engines.libvirt_files import LibvirtFiles
from workers.engines.libvirt_session import LibvirtSession
from workers.engines.serial_console import SerialConsole
from workers.libvirt_uris import uri_for
from workers.ownership import Leftover, Owner
from workers.settings import HostSettings

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound=Settings)

GRACE_S = 10.0
"""For an instance to end after it was asked to; as long as Docker gives a container."""


class LibvirtDriver(base.Driver[S]):
    """One hypervisor behind a libvirt, at the URI of the settings or, without one, of the host."""

    def __init__(self, settings: S, host: HostSettings, owner: Owner, uri: str | None) -> None:
        super().__init__(settings, host, owner)
        self._uri = uri or uri_for(self.name, host.libvirt_uri)
        self._session = LibvirtSession(self._uri or "")
        self._consoles: set[SerialConsole] = set()

    @property
    def uri(self) -> str:
        """Where libvirt is. Raises EngineAbsent when nobody has said it and it cannot be guessed."""
        if self._uri is None:
            raise EngineAbsent(f"{self.name}: nobody says where it is: name its URI with --libvirt-uri")
        return self._uri

    async def close(self) -> None:
        """Close consoles and connections. Domains go on."""
        for console in list(self._consoles):
            console.close()
        with suppress(EngineError):
            await self.engine(self._session.close)
        self._threads.close()

    def _let_go(self, console: SerialConsole | None) -> None:
        """Close a console that is not needed any more, if there is one."""
        if console is not None:
            console.close()
            self._consoles.discard(console)

    async def _ask(
        self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function of a connection on a thread, with the deadline of the host."""

        @functools.wraps(function)  # the name is part of error texts
        def on_connection() -> T:
            return self._session.call(function, *args, **kwargs)

        return await self.engine(on_connection)

    async def _ends_when_asked(self, uuid: str, ask: Callable[[Any, str], bool]) -> bool:
        """Ask a domain to end. Returns whether it is off by the end of GRACE_S."""
        await self.engine(self._session.listen)
        with self._session.stopped(uuid) as stopped:
            try:
                if not await self._ask(ask, uuid):
                    return True
            except EngineError:  # it died under the question: there is nobody left to ask
                return False
            await asyncio.wait({stopped}, timeout=GRACE_S)
            return stopped.done()


class LocalLibvirtDriver(LibvirtDriver[S]):
    """A hypervisor of this very host: what its daemon keeps of instances is within reach."""

    hypervisor: ClassVar[str] = "qemu"
    """Name of its folders."""
    keeps_with_record: ClassVar[bool] = True
    """Snapshots and saved states lie beside a record, and have to go with it."""

    def __init__(self, settings: S, host: HostSettings, owner: Owner, uri: str | None) -> None:
        super().__init__(settings, host, owner, uri)
        self._files = LibvirtFiles(self.uri, self.hypervisor)

    def daemon_socket(self) -> Path | None:
        """The system daemon's; of another libvirt nothing is known."""
        path = self._files.daemon_socket
        return path if path.exists() else None

    async def _drop_domain(self, name: str, uuid: str) -> None:
        """Kill it if it runs; remove its record and log."""
        await self._ask(libvirt_calls.destroy, uuid)
        whole = self.keeps_with_record
        await self._ask(libvirt_calls.undefine if whole else libvirt_calls.undefine_record, uuid)
        discard(self._files.log(name))

    async def _left_of(self, name: str, uuid: str, places: Iterable[Path]) -> list[str]:
        """What the host still holds of a removed domain: some of ``places``, state files, its record."""
        left = [str(path) for path in places if path.exists()]
        left += map(str, self._files.state_files(name))
        if await self._ask(libvirt_calls.exists, uuid):
            left.append(f"domain {name}")
        return left

    async def _left_domains(self) -> list[Leftover]:
        """Domains that carry our metadata."""
        domains = await self._ask(libvirt_calls.owned_domains)
        return [Leftover(self.name, "domain", name, owner.host) for name, _, owner in domains]

    async def _sweep_domain(self, leftover: Leftover) -> None:
        """Remove a domain of ours by its name."""
        for name, uuid, owner in await self._ask(libvirt_calls.owned_domains):
            if (name, owner.host) == (leftover.name, leftover.host):
                await self._drop_domain(name, uuid)


def binding_version() -> str:
    """Version of libvirt's client library for Python."""
    try:
        return metadata.version("libvirt-python")
    except metadata.PackageNotFoundError:  # built by hand
        return "unknown"


def make_folder(folder: Path) -> None:
    """Make a folder of ours. Raises EngineError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_mode & stat.S_IWOTH:
            raise EngineError(
                f"{folder} may be written by every user of this host, who could take the place of a "
                f"console: 'chmod o-w {folder}'"
            )
    except OSError as error:
        raise EngineError(f"{folder} cannot be made ({error.strerror})") from error


def discard(path: Path) -> None:
    """Remove a file. What was there already, or is root's, stays."""
    with suppress(OSError):
        path.unlink()


def volunteer(pid: int) -> None:
    """When memory runs out, the kernel shall take instances and not the worker."""
    with suppress(OSError):  # it died meanwhile, or is root's
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(OOM_SCORE_ADJ))
