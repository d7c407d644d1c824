"""Disks of virtual machines, brought from a registry as blobs and put together on this host."""

import json
from pathlib import Path

from contract.errors import EngineError, ImageError
from workers import shell
from workers.engine_threads import EngineThreads
from workers.engines.delivery import Note, Pulled, RegistryDelivery, split
from workers.images.oci import DISK_TYPE, PACKED_DISK_TYPE, Blob, Manifest, Stopped
from workers.images.payload import Recipe
from workers.images.payload_disk import PROGRAM_DEADLINE_S, build_disks
from workers.ownership import NAME_PREFIX
from workers.settings import HostSettings

_PREFIX = f"{NAME_PREFIX}image-"
_MOST_DISK_BYTES = 64 * 2**30
"""Of a disk as its guest sees it: four times the largest image that is generated."""
_BLOCK_BYTES = 512
"""Unit of ``st_blocks``, whatever the file system's own."""


class LibvirtDelivery(RegistryDelivery):
    """Fetches blobs into the folder of disks, where a sweep finds them by their names."""

    repository = "tonnage/disk"

    def __init__(
        self, host: HostSettings, threads: EngineThreads, delivered: dict[str, tuple[Path, ...]]
    ) -> None:
        """``delivered`` is told of every disk that is here: its chain, the highest first."""
        super().__init__(host, threads)
        self._disks = host.state_dir / "libvirt" / host.name
        self._delivered = delivered

    def make(
        self, recipe: Recipe, variants: tuple[int, ...], folder: Path, stopped: Stopped
    ) -> list[Manifest]:
        """Disks in qcow2."""
        return build_disks(recipe, variants, folder, self.host.state_dir, stopped)

    async def pull(self, reference: str, note: Note, deadline_s: float) -> Pulled:
        """Fetch the blobs that are not here; then unpack them: decompress, or name an overlay's base."""
        with self.stopping() as stopped:
            pulled, chain = await self._threads.call(deadline_s, self._pull, reference, note, stopped)
        self._delivered[reference] = chain
        return pulled

    async def forget(self, keep: str | None) -> None:
        """Remove disks and parts of them; the host's image store is something else and stays."""
        for reference in self._delivered.keys() - {keep}:
            del self._delivered[reference]
        kept = {path for chain in self._delivered.values() for path in chain}
        await self._ask(_remove_others, self._disks, kept)

    def _pull(self, reference: str, note: Note, stopped: Stopped) -> tuple[Pulled, tuple[Path, ...]]:
        repository, tag = split(reference)
        manifest = self.registry.manifest(repository, tag)
        kinds = {layer.media_type for layer in manifest.layers}
        if not kinds or not kinds <= {DISK_TYPE, PACKED_DISK_TYPE}:
            raise ImageError(f"{reference} is no disk of a virtual machine: it is made of {kinds}")
        if len({layer.digest for layer in manifest.layers}) < len(manifest.layers):
            raise ImageError(f"{reference} names a disk twice: it would be its own base")
        wire = len(manifest.content)
        missing = [layer for layer in manifest.layers if not self._place(layer).exists()]
        for layer in missing:
            wire += self.registry.fetch(repository, layer, self._part(layer), stopped)
            note()
        chain = tuple(self._place(layer) for layer in manifest.layers)
        try:
            for below, layer in zip((None, *chain), manifest.layers, strict=False):
                if layer in missing:
                    self._unpack(layer, below)
        except (OSError, EngineError) as error:
            raise ImageError(f"{reference} could not be unpacked: {error}") from error
        disk = sum(_allocated(self._place(layer)) for layer in missing)
        return Pulled(wire, disk, len(missing)), chain[::-1]

    def _unpack(self, layer: Blob, below: Path | None) -> None:
        """Make a fetched blob usable under its final name: what has that is whole."""
        part, place = self._part(layer), self._place(layer)
        _refuse_other_files(part, is_overlay=below is not None)
        if below is not None:
            _qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", below, part)
        elif layer.media_type == PACKED_DISK_TYPE:
            unpacked = part.with_suffix(".unpacked")
            _qemu_img("convert", "-f", "qcow2", "-O", "qcow2", part, unpacked)
            unpacked.replace(part)
        part.chmod(0o644)  # QEMU's user reads it
        part.rename(place)

    def _place(self, layer: Blob) -> Path:
        return self._disks / f"{_PREFIX}{layer.digest.partition(':')[2][:32]}.qcow2"

    def _part(self, layer: Blob) -> Path:
        return self._place(layer).with_suffix(".part")


def _qemu_img(*arguments: str | Path) -> str:
    return shell.run(["qemu-img", *arguments], deadline_s=PROGRAM_DEADLINE_S).stdout


def _refuse_other_files(part: Path, *, is_overlay: bool) -> None:
    """Files of the host that a disk names would be read with QEMU's rights, and be seen by its guest.

    An overlay's base is replaced by the one that came with it. Raises ImageError.
    """
    try:
        found = json.loads(_qemu_img("info", "-f", "qcow2", "--output=json", part))
        outside = "data-file" in found.get("format-specific", {}).get("data", {})
        outside = outside or ("backing-filename" in found and not is_overlay)
        large = int(found["virtual-size"]) > _MOST_DISK_BYTES
    except (ValueError, AttributeError, LookupError) as error:
        raise ImageError(f"a disk from the registry cannot be looked at: {error}") from error
    if outside:
        part.unlink(missing_ok=True)
        raise ImageError("a disk from the registry names files of this host: refused")
    if large:
        part.unlink(missing_ok=True)
        raise ImageError(f"a disk from the registry is larger than {_MOST_DISK_BYTES // 2**30} GiB")


def _allocated(path: Path) -> int:
    return path.stat().st_blocks * _BLOCK_BYTES


def _remove_others(folder: Path, kept: set[Path]) -> None:
    for path in folder.glob(f"{_PREFIX}*"):
        if path not in kept:
            path.unlink(missing_ok=True)
