"""Generated images as disks of virtual machines: an ext4 with ``tiny`` and the payload, in qcow2.

A disk travels in one of three forms: ``full``, as it is; ``compressed``, in qcow2's own compression;
``delta``, as the disk of variant 0 and, for another variant, an overlay that holds what differs.
"""

import mmap
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from contract.errors import EngineError, ImageError
from workers import shell
from workers.images import tiny
from workers.images.oci import (
    DISK_CONFIG_TYPE,
    DISK_TYPE,
    PACKED_DISK_TYPE,
    Blob,
    Manifest,
    Stopped,
    blob_of,
    make_manifest,
    written_blob,
)
from workers.images.payload import CHANGE_BYTES, MIB, Recipe, change, payload, pieces

PROGRAM_DEADLINE_S = 1800.0
"""For one run of mke2fs or qemu-img on a disk of any size."""

_SPARE_MIB = 64
_BLOCK_BYTES = 4096
_UUID = "5a7c0f9e-2d6b-4c1e-8f3a-70e6e4a1d001"
"""Of the file system, and the seed of its hashes: a random one would make other bytes on every host."""
_FIRST_INODE = 11
"""lost+found; those of files follow. The root's is 2."""


def build_disks(
    recipe: Recipe, variants: tuple[int, ...], folder: Path, state_dir: Path, stopped: Stopped
) -> list[Manifest]:
    """The variants of a disk, their blobs as files in ``folder``. Blocks. Raises ImageError."""
    try:
        raw = folder / "raw"
        _make_raw(recipe, folder / "root", raw, tiny.rootfs(state_dir), stopped)
        disks = _Disks(recipe, folder, raw)
        return [disks.variant(variant) for variant in variants]
    except (OSError, EngineError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"the disk could not be generated in {folder}: {error}") from error


def disk_mib(recipe: Recipe) -> int:
    """Size of the disk that a guest sees: payload, and an eighth more for the file system."""
    return recipe.size_mib * 9 // 8 + _SPARE_MIB


class _Disks:
    """The forms of one disk, made from its raw image."""

    def __init__(self, recipe: Recipe, folder: Path, raw: Path) -> None:
        self._recipe = recipe
        self._folder = folder
        self._raw = raw
        self._places = list(_places_of(raw, change(0)))
        self._base: Blob | None = None

    def variant(self, variant: int) -> Manifest:
        form = self._recipe.form
        if form == "delta":
            self._base = self._base or self._converted("base", packed=False)
            layers = [self._base, self._overlay(variant)] if variant else [self._base]
        else:
            self._write(variant)
            layers = [self._converted(f"disk-{variant}", packed=form == "compressed")]
        about = {"format": "qcow2", "form": form, "size_mib": disk_mib(self._recipe)}
        config = written_blob(self._folder / f"config-{variant}", about, DISK_CONFIG_TYPE)
        return make_manifest(config, tuple(layers))

    def _write(self, variant: int) -> None:
        """Make the raw disk that of a variant."""
        with self._raw.open("r+b") as file:
            for place, block in zip(self._places, _blocks(change(variant)), strict=True):
                file.seek(place)
                file.write(block)

    def _converted(self, name: str, *, packed: bool) -> Blob:
        path = self._folder / name
        options = ["-c"] if packed else []
        _qemu_img("convert", *options, "-f", "raw", "-O", "qcow2", self._raw, path)
        return blob_of(path, PACKED_DISK_TYPE if packed else DISK_TYPE)

    def _overlay(self, variant: int) -> Blob:
        """What differs from the base, written by qemu-io: only blocks that change are in it."""
        assert self._base is not None
        assert self._base.path is not None
        path = self._folder / f"overlay-{variant}"
        # Named without its folder: whoever pulls it puts the base where it likes and says so.
        _qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", self._base.path.name, path)
        commands: list[str | Path] = []
        for number, place in enumerate(self._places):
            block = self._folder / f"block-{variant}-{number}"
            block.write_bytes(change(variant)[number * _BLOCK_BYTES :][:_BLOCK_BYTES])
            commands += ["-c", f"write -q -s {block} {place} {_BLOCK_BYTES}"]
        shell.run(["qemu-io", "-f", "qcow2", *commands, path], deadline_s=PROGRAM_DEADLINE_S)
        return blob_of(path, DISK_TYPE)


def _make_raw(recipe: Recipe, root: Path, raw: Path, base: Path, stopped: Stopped) -> None:
    shutil.copytree(base, root, symlinks=True)
    (root / "payload").mkdir(mode=0o755)
    for layer in range(recipe.base_layers):
        for name, seed, size in pieces(recipe, layer):
            _write_piece(root / "payload" / name, payload(seed, size, recipe.entropy), stopped)
    (root / "payload/change").write_bytes(change(0))
    paths = [root, *sorted(root.rglob("*"))]
    for path in paths:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        os.utime(path, (0, 0), follow_symlinks=False)
    steady: list[str | Path] = ["env", "E2FSPROGS_FAKE_TIME=1"]
    make = shell.find_program("mke2fs")
    options = ["-U", _UUID, "-E", f"hash_seed={_UUID},root_owner=0:0", "-b", str(_BLOCK_BYTES)]
    width = f"{disk_mib(recipe)}M"
    shell.run(
        [*steady, make, "-q", "-t", "ext4", "-F", "-m", "0", *options, "-d", root, raw, width],
        deadline_s=PROGRAM_DEADLINE_S,
    )
    shutil.rmtree(root)
    # mke2fs copies when each file was last changed and read: here and now, on this host.
    inodes = [2, *range(_FIRST_INODE, _FIRST_INODE + len(paths))]
    fields = ("ctime", "atime", "ctime_extra", "atime_extra")
    script = "".join(f"sif <{inode}> {field} 0\n" for inode in inodes for field in fields)
    shell.run(
        [*steady, shell.find_program("debugfs"), "-w", "-f", "/dev/stdin", raw],
        deadline_s=PROGRAM_DEADLINE_S,
        stdin=script.encode(),
    )


def _write_piece(path: Path, blocks: Iterator[bytes], stopped: Stopped) -> None:
    with path.open("wb", buffering=MIB) as file:
        for number, block in enumerate(blocks):
            if number % 1024 == 0 and stopped():
                raise ImageError("the disk was given up on before it was generated")
            file.write(block)


def _places_of(raw: Path, content: bytes) -> Iterator[int]:
    """Where in the disk the blocks of a file lie, found by what is in them."""
    with raw.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as seen:
        after = 0
        for block in _blocks(content):
            place = after if seen[after : after + _BLOCK_BYTES] == block else seen.find(block)
            if place < 0:
                raise ImageError("the file system was made without the file that changes")
            after = place + _BLOCK_BYTES
            yield place


def _blocks(content: bytes) -> Iterator[bytes]:
    assert len(content) == CHANGE_BYTES
    for begin in range(0, CHANGE_BYTES, _BLOCK_BYTES):
        yield content[begin : begin + _BLOCK_BYTES]


def _qemu_img(*arguments: str | Path) -> None:
    shell.run(["qemu-img", *arguments], deadline_s=PROGRAM_DEADLINE_S)
