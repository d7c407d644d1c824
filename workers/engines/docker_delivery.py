"""Images of containers, pulled by a Docker engine from a registry. Not for any other use of images."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import EngineError, EngineTimeout, ImageError
from workers.engine_threads import EngineThreads
from workers.engines import docker_calls
from workers.engines.delivery import Note, Pulled, RegistryDelivery, split
from workers.engines.docker_server import ApiServer
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


class DeliveredImages:
    """Records of whose an image is, written before it comes: its bytes are the same on all hosts.

    Files in the state folder, one per image, since an engine lets nobody add labels to what is pulled.
    """

    def __init__(self, server: ApiServer, host: HostSettings) -> None:
        self.server = server
        self.host = host
        self._top = host.state_dir / server.name

    def record(self, reference: str) -> None:
        """Write down that an image is this host's. Raises EngineError."""
        folder = self._top / self.host.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / hashlib.sha256(reference.encode()).hexdigest()[:24]).write_text(reference)
        except OSError as error:
            raise EngineError(f"{folder} cannot be written to: {error}") from error

    def recorded(self, owner: str) -> dict[Path, str]:
        """The references that were written down for a host of this state folder."""
        found = {}
        for path in sorted((self._top / owner).glob("*")):
            with suppress(OSError):  # removed meanwhile
                found[path] = path.read_text()
        return found

    def leftovers(self, owner: str | None) -> list[Leftover]:
        """Images that came through deliveries, of one host or of all that share the state folder."""
        owners = [owner] if owner is not None else self._owners()
        return [
            Leftover(self.server.name, "image", reference, name)
            for name in owners
            for reference in self.recorded(name).values()
        ]

    def remove(self, api: "APIClient", owner: str, reference: str) -> None:
        """Remove an image and then its record. One that is gone already is no error."""
        docker_calls.drop_image(api, reference)
        for path, found in self.recorded(owner).items():
            if found == reference:
                path.unlink(missing_ok=True)

    def _owners(self) -> list[str]:
        return sorted(path.name for path in self._top.glob("*") if path.is_dir())


class DockerDelivery(RegistryDelivery):
    """The engine pulls by itself; we listen to its progress."""

    repository = "tonnage/payload"

    def __init__(self, images: DeliveredImages, api: "APIClient", threads: EngineThreads) -> None:
        super().__init__(images.host, threads)
        self._images = images
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
        await self._call(self._images.record, reference)
        before = await self._call(self._used_bytes)
        with self.stopping() as stopped, self._in_our_words("pull"):
            came = await self._threads.call(deadline_s, self._pull, reference, note, stopped)
        after = await self._call(self._used_bytes)
        fetched = [layer for layer in manifest.layers if layer.digest.partition(":")[2][:_SHORT] in came]
        wire = len(manifest.content) + sum(layer.size_bytes for layer in fetched)
        return Pulled(
            bytes_wire=wire if here else wire + manifest.config.size_bytes,
            bytes_disk=None if before is None or after is None else after - before,
            layers=len(fetched),
        )

    async def forget(self, keep: str | None) -> None:
        """Remove the images that records speak of. Layers that ``keep`` shares with them stay."""
        for reference in self._images.recorded(self.host.name).values():
            if reference != keep:
                await self._call(self._images.remove, self._api, self.host.name, reference)

    def _pull(self, reference: str, note: Note, stopped: Stopped) -> set[str]:
        """Pull, telling ``note`` whenever a layer has wholly come. Returns short ids of those that came.

        The engine tells of a failure inside a stream that began as a success.
        """
        from docker.errors import APIError  # noqa: TID251 - one half of the driver

        came: set[str] = set()
        try:
            for event in self._api.pull(reference, stream=True, decode=True):
                if "error" in event:
                    raise ImageError(self._why(reference, event["error"]))
                if event.get("status") in _CAME and event.get("id") not in came:
                    came.add(event["id"])
                    note()
                if stopped():
                    raise EngineTimeout(f"the pull of {reference} was given up on")
        except APIError as error:
            raise ImageError(self._why(reference, error.explanation or error)) from error
        if not docker_calls.has_image(self._api, reference):
            raise ImageError(f"image '{reference}' was pulled and is not there")
        return came

    def _why(self, reference: str, said: object) -> str:
        text = f"image '{reference}' could not be pulled: {said}"
        if "HTTP response to HTTPS" in str(said):
            return f"{text}; {self._images.server.trust_registry}"
        return text

    def _used_bytes(self) -> int | None:
        """Size of all layers as the engine counts them, each once; None where it does not say.

        Podman answers 0, whatever it holds.
        """
        used = None if self._images.server.name == "podman" else self._api.df().get("LayersSize")
        return None if used is None else int(used)

    def _in_our_words(self, doing: str) -> Any:
        return docker_calls.in_our_words(doing, self._images.server)

    async def _call(self, function: Any, *args: Any) -> Any:
        with self._in_our_words(function.__name__):
            return await self._ask(function, *args)
