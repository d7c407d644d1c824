"""Images of containers, pulled by a Docker engine from a registry. Not for any other use of images."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import EngineError, EngineTimeout, ImageError
from workers.engine_threads import EngineThreads
from workers.engines import docker_calls
from workers.engines.delivery import Note, Pulled, RegistryDelivery, split
from workers.images.oci import Manifest, Stopped
from workers.images.payload import Recipe, build_layers
from workers.ownership import Leftover
from workers.settings import HostSettings

if TYPE_CHECKING:
    from docker import APIClient  # noqa: TID251 - one half of the driver

_CAME = ("Download complete", "Pull complete")
"""What an engine says of a layer that it had to fetch."""
_SHORT = 12
"""Hex digits by which an engine names a layer in its progress."""


class DockerDelivery(RegistryDelivery):
    """The engine pulls by itself; we listen to its progress."""

    repository = "tonnage/payload"

    def __init__(self, host: HostSettings, api: "APIClient", threads: EngineThreads) -> None:
        super().__init__(host, threads)
        self._api = api

    def make(
        self, recipe: Recipe, variants: tuple[int, ...], folder: Path, stopped: Stopped
    ) -> list[Manifest]:
        """Layers as gzip archives."""
        return build_layers(recipe, variants, folder, stopped)

    async def pull(self, reference: str, note: Note, deadline_s: float) -> Pulled:
        """The engine's own pull. It unpacks lower layers while higher ones are still on their way."""
        manifest = await self._ask(self.registry.manifest, *split(reference))
        here = await self._call(docker_calls.has_image, self._api, reference)
        await self._call(record, self.host, reference)
        before = await self._call(_used_bytes, self._api)
        with self.stopping() as stopped, self._in_our_words("pull"):
            came = await self._threads.call(deadline_s, pull, self._api, reference, note, stopped)
        after = await self._call(_used_bytes, self._api)
        fetched = [layer for layer in manifest.layers if layer.digest.partition(":")[2][:_SHORT] in came]
        wire = len(manifest.content) + sum(layer.size_bytes for layer in fetched)
        return Pulled(
            bytes_wire=wire if here else wire + manifest.config.size_bytes,
            bytes_disk=None if before is None or after is None else after - before,
            layers=len(fetched),
        )

    async def forget(self, keep: str | None) -> None:
        """Remove the images that records speak of. Layers that ``keep`` shares with them stay."""
        for reference in recorded(self.host, self.host.name).values():
            if reference != keep:
                await self._call(remove, self._api, self.host, self.host.name, reference)

    def _in_our_words(self, doing: str) -> Any:
        return docker_calls.in_our_words(doing, self.host.docker_socket)

    async def _call(self, function: Any, *args: Any) -> Any:
        with self._in_our_words(function.__name__):
            return await self._ask(function, *args)


def pull(api: "APIClient", reference: str, note: Note, stopped: Stopped) -> set[str]:
    """Pull, telling ``note`` whenever a layer has wholly come. Returns the short ids of those that came.

    The engine tells of a failure inside a stream that began as a success.
    """
    from docker.errors import APIError  # noqa: TID251 - one half of the driver

    came: set[str] = set()
    try:
        for event in api.pull(reference, stream=True, decode=True):
            if "error" in event:
                raise ImageError(_why(reference, event["error"]))
            if event.get("status") in _CAME and event.get("id") not in came:
                came.add(event["id"])
                note()
            if stopped():
                raise EngineTimeout(f"the pull of {reference} was given up on")
    except APIError as error:
        raise ImageError(_why(reference, error.explanation or error)) from error
    if not docker_calls.has_image(api, reference):
        raise ImageError(f"image '{reference}' was pulled and is not there")
    return came


def record(host: HostSettings, reference: str) -> None:
    """Write down whose an image is before it comes: its bytes are the same on all hosts."""
    folder = _folder(host, host.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha256(reference.encode()).hexdigest()[:24]).write_text(reference)
    except OSError as error:
        raise EngineError(f"{folder} cannot be written to: {error}") from error


def recorded(host: HostSettings, owner: str) -> dict[Path, str]:
    """The references that were written down for a host of this state folder."""
    found = {}
    for path in sorted(_folder(host, owner).glob("*")):
        with suppress(OSError):  # removed meanwhile
            found[path] = path.read_text()
    return found


def image_leftovers(host: HostSettings, owner: str | None) -> list[Leftover]:
    """Images that came through deliveries, of one host or of all that share the state folder."""
    owners: Iterable[str] = [owner] if owner is not None else _owners(host)
    return [
        Leftover("docker", "image", reference, name)
        for name in owners
        for reference in recorded(host, name).values()
    ]


def remove(api: "APIClient", host: HostSettings, owner: str, reference: str) -> None:
    """Remove an image and then its record. One that is gone already is no error."""
    docker_calls.drop_image(api, reference)
    for path, found in recorded(host, owner).items():
        if found == reference:
            path.unlink(missing_ok=True)


def _folder(host: HostSettings, owner: str) -> Path:
    return host.state_dir / "docker" / owner


def _owners(host: HostSettings) -> list[str]:
    return sorted(path.name for path in (host.state_dir / "docker").glob("*") if path.is_dir())


def _used_bytes(api: "APIClient") -> int | None:
    """Size of all layers as the engine counts them, each once; None where it does not say."""
    used = api.df().get("LayersSize")
    return None if used is None else int(used)


def _why(reference: str, said: object) -> str:
    text = f"image '{reference}' could not be pulled: {said}"
    if "HTTP response to HTTPS" in str(said):
        return f"{text}; name the registry among the engine's 'insecure-registries'"
    return text
