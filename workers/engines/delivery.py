"""How images reach a host through a registry: what is the same for all engines."""

import fcntl
import shutil
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, ParamSpec, TypeVar

from contract.errors import ImageError
from workers.engine_threads import EngineThreads
from workers.images.oci import Manifest, Release, Stopped
from workers.images.payload import MIB, Recipe
from workers.images.registry import Registry
from workers.settings import HostSettings

P = ParamSpec("P")
T = TypeVar("T")

BUILD_DEADLINE_S = 1800.0
PUSH_DEADLINE_S = 1800.0

_ROOM = 4
"""A build may need the payload as files, as a raw disk, and in two finished variants."""

Note = Callable[[], None]
"""Told, from any thread, that a part of the image has wholly come; the last time counts."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one pull did."""

    bytes_wire: int | None
    """Manifest, configuration and layers that came, without the protocol around them."""
    bytes_disk: int | None
    """What the engine keeps more than before."""
    layers: int
    """Layers that came."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one push did."""

    bytes_wire: int


class Delivery(ABC):
    """Brings generated images to one host. Offered by drivers as Capability.REGISTRY.

    A delivery never takes a time. Any method may raise EngineError or a class below it.
    """

    @abstractmethod
    def reference(self, recipe: Recipe, variant: int) -> str:
        """What instances, and this class, call a variant of the image."""

    @abstractmethod
    async def is_published(self, recipe: Recipe, variant: int) -> bool:
        """Whether the registry has it."""

    @abstractmethod
    async def build(self, recipe: Recipe, variants: tuple[int, ...]) -> None:
        """Generate variants on this host, to be pushed."""

    @abstractmethod
    async def push(self) -> Pushed:
        """Push what was built; what the registry has already is not sent again."""

    @abstractmethod
    async def size_bytes(self, recipe: Recipe, variant: int) -> int:
        """Bytes that a host without any of it has to fetch."""

    @abstractmethod
    async def pull(self, reference: str, note: Note, deadline_s: float) -> Pulled:
        """Bring it to this host, ready for instances. Returns when it can be used.

        Raises EngineTimeout at the deadline.
        """

    @abstractmethod
    async def forget(self, keep: str | None) -> None:
        """Remove every image that came here through a delivery, but what ``keep`` is made of."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of what was built."""


class RegistryDelivery(Delivery):
    """Through a real registry."""

    repository: ClassVar[str]

    def __init__(self, host: HostSettings, threads: EngineThreads) -> None:
        self.registry = Registry(host.registry, host.engine_deadline_s)
        self.host = host
        self._threads = threads
        self._built: list[Release] = []
        self._workplace: Path | None = None
        self._lock: IO[str] | None = None

    @abstractmethod
    def make(
        self, recipe: Recipe, variants: tuple[int, ...], folder: Path, stopped: Stopped
    ) -> list[Manifest]:
        """Generate the variants, their blobs in ``folder``. Blocks."""

    def reference(self, recipe: Recipe, variant: int) -> str:
        """Registry, repository and tag, as engines write it."""
        tag = recipe.tag(variant, self.repository)
        return f"{self.registry.host}/{self.repository}:{tag}"

    async def is_published(self, recipe: Recipe, variant: int) -> bool:
        """Whether the registry has the manifest: it comes last."""
        tag = recipe.tag(variant, self.repository)
        return await self._ask(self.registry.has_manifest, self.repository, tag)

    async def build(self, recipe: Recipe, variants: tuple[int, ...]) -> None:
        """Generate variants in a folder that is removed by ``close``."""
        folder = await self._ask(self._begin_workplace, recipe)
        with self.stopping() as stopped:
            manifests = await self._threads.call(
                BUILD_DEADLINE_S, self.make, recipe, variants, folder, stopped
            )
        tags = [recipe.tag(variant, self.repository) for variant in variants]
        self._built = [Release(self.repository, *made) for made in zip(tags, manifests, strict=True)]

    async def push(self) -> Pushed:
        """Push what was built, one variant after the other."""
        sent = 0
        for release in self._built:
            with self.stopping() as stopped:
                sent += await self._threads.call(PUSH_DEADLINE_S, self.registry.push, release, stopped)
        return Pushed(sent)

    async def size_bytes(self, recipe: Recipe, variant: int) -> int:
        """By its manifest."""
        tag = recipe.tag(variant, self.repository)
        return (await self._ask(self.registry.manifest, self.repository, tag)).size_bytes

    async def close(self) -> None:
        """Remove what was built: the registry has it."""
        self._built = []
        if self._workplace is not None:
            await self._ask(_remove, self._workplace)
            self._workplace = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @contextmanager
    def stopping(self) -> Iterator[Stopped]:
        """Tells a thread that nobody waits for it any more: no thread can be made to end."""
        left = threading.Event()
        try:
            yield left.is_set
        finally:
            left.set()

    async def _ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._threads.call(self.host.engine_deadline_s, function, *args, **kwargs)

    def _begin_workplace(self, recipe: Recipe) -> Path:
        """An empty folder to build in; those of builders that were killed are removed."""
        top = self.host.state_dir / "images" / "builds"
        try:
            top.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(top)
            free = shutil.disk_usage(top).free
            self._workplace = Path(tempfile.mkdtemp(dir=top))
            self._lock = (self._workplace / ".lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ImageError(f"{top} cannot be used to generate images: {error}") from error
        if free < _ROOM * recipe.size_mib * MIB:
            raise ImageError(
                f"generating an image of {recipe.size_mib} MiB needs {_ROOM * recipe.size_mib} MiB "
                f"under {top}, where {free // MIB} MiB are free"
            )
        return self._workplace


def split(reference: str) -> tuple[str, str]:
    """Repository and tag of a reference that begins with a registry."""
    repository, _, tag = reference.partition("/")[2].rpartition(":")
    return repository, tag


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(top: Path) -> None:
    """Remove folders whose lock nobody holds. The kernel lets go of it when the holder dies."""
    for folder in top.iterdir():
        try:
            with (folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
        except BlockingIOError:
            continue  # its builder lives
