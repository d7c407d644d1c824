"""Images of a chosen size, number of layers and entropy, generated on top of ``tiny``.

All bytes follow from the parameters, so every host makes the same ones. Two variants of an image differ
in 64 KiB only, as two releases do between which somebody changed a line: ``CHANGE_BYTES`` in a layer, or
in a file of a disk, of their own.
"""

import gzip
import hashlib
import io
import platform
import random
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from contract.errors import ImageError
from contract.trial import canonical_json
from workers.images import tiny
from workers.images.oci import (
    CONFIG_TYPE,
    LAYER_TYPE,
    Blob,
    Manifest,
    Stopped,
    make_manifest,
    written_blob,
)
from workers.ownership import LABEL_PREFIX

CHANGE_BYTES = 64 * 1024
"""What differs between two variants."""
MIB = 1024 * 1024

Form = Literal["full", "compressed", "delta"]
"""How a disk travels: as it is, compressed, or as a base and what differs from it."""

_VERSION = 1
"""Of the generated content: another one makes other bytes of the same parameters."""
_BLOCK_BYTES = 4096
_PIECE_BYTES = 64 * MIB
"""Size of one file of payload."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that shapes a generated image, but which of its variants it is."""

    size_mib: int
    layers: int
    entropy: float
    """Share of random bytes in every block of 4 KiB; the others are zeros."""
    form: Form = "full"

    @property
    def base_layers(self) -> int:
        """Layers that all variants of a container image share."""
        return max(1, self.layers - 1)

    def tag(self, variant: int, kind: str) -> str:
        """Name of a variant in a registry: a hash of all that shapes its bytes."""
        shape = [_VERSION, kind, tiny.tiny_digest(), asdict(self)]
        return f"{hashlib.sha256(canonical_json(shape).encode()).hexdigest()[:24]}-v{variant}"


def payload(seed: str, size_bytes: int, entropy: float) -> Iterator[bytes]:
    """Blocks of ``size_bytes`` in all, the same for the same arguments on every host and release."""
    source = random.Random(seed)
    chance = round(entropy * _BLOCK_BYTES)
    for begin in range(0, size_bytes, _BLOCK_BYTES):
        block = source.randbytes(chance) + bytes(_BLOCK_BYTES - chance)
        yield block[: size_bytes - begin]


def change(variant: int) -> bytes:
    """What makes one variant differ from the others."""
    return b"".join(payload(f"change/{variant}", CHANGE_BYTES, 1.0))


def pieces(recipe: Recipe, layer: int) -> Iterator[tuple[str, str, int]]:
    """The payload files of one base layer: name, seed and size of each."""
    total = recipe.size_mib * MIB
    share = total // recipe.base_layers
    rest = total - share * (recipe.base_layers - 1) if layer == recipe.base_layers - 1 else share
    for number, begin in enumerate(range(0, rest, _PIECE_BYTES)):
        name = f"{layer}-{number}"
        yield name, f"payload/{name}", min(_PIECE_BYTES, rest - begin)


def build_layers(
    recipe: Recipe, variants: tuple[int, ...], folder: Path, stopped: Stopped
) -> list[Manifest]:
    """Variants of a container image, their blobs as files in ``folder``. Blocks. Raises ImageError."""
    try:
        base = [
            _base_layer(recipe, number, folder / f"layer-{number}", stopped)
            for number in range(recipe.base_layers)
        ]
        return [_variant(recipe, variant, base, folder) for variant in variants]
    except OSError as error:
        raise ImageError(f"the image could not be generated in {folder}: {error}") from error


def _variant(recipe: Recipe, variant: int, base: list[tuple[Blob, str]], folder: Path) -> Manifest:
    layers = list(base)
    if recipe.layers > 1:
        layers.append(_change_layer(variant, folder / f"change-{variant}"))
    else:
        layers = [_only_layer(recipe, variant, folder / f"only-{variant}")]
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "Entrypoint": tiny.command(),
            "Env": ["PATH=/bin"],
            "Labels": {f"{LABEL_PREFIX}image": "payload"},
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
    }
    written = written_blob(folder / f"config-{variant}", config, CONFIG_TYPE)
    return make_manifest(written, tuple(blob for blob, _ in layers))


def _base_layer(recipe: Recipe, layer: int, path: Path, stopped: Stopped) -> tuple[Blob, str]:
    with _layer(path) as (archive, found):
        if layer == 0:
            _add_tiny(archive)
        _add_payload(archive, recipe, layer, stopped)
    return found[0], found[1]


def _change_layer(variant: int, path: Path) -> tuple[Blob, str]:
    with _layer(path) as (archive, found):
        _add_file(archive, "payload/change", CHANGE_BYTES, io.BytesIO(change(variant)))
    return found[0], found[1]


def _only_layer(recipe: Recipe, variant: int, path: Path) -> tuple[Blob, str]:
    """Of an image that is one layer: all of it is new in every variant."""
    with _layer(path) as (archive, found):
        _add_tiny(archive)
        _add_payload(archive, recipe, 0, lambda: False)
        _add_file(archive, "payload/change", CHANGE_BYTES, io.BytesIO(change(variant)))
    return found[0], found[1]


@contextmanager
def _layer(path: Path) -> Iterator[tuple[tarfile.TarFile, list[Any]]]:
    """An archive to fill, streamed into a gzip file. Then the list holds its blob and its diff id."""
    found: list[Any] = []
    with path.open("wb") as file:
        packed = _Tally(file)
        with gzip.GzipFile("", "wb", 6, _writable(packed), mtime=0) as zipped:
            plain = _Tally(zipped)
            with tarfile.open(
                fileobj=_writable(plain), mode="w|", format=tarfile.USTAR_FORMAT
            ) as archive:
                yield archive, found
    found += [Blob(LAYER_TYPE, packed.digest, packed.size_bytes, path), plain.digest]


class _Tally:
    """A file to write to that hashes and counts what passes through."""

    def __init__(self, below: IO[bytes] | gzip.GzipFile) -> None:
        self._below = below
        self._seen = hashlib.sha256()
        self.size_bytes = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._seen.hexdigest()}"

    def write(self, content: bytes) -> int:
        self._seen.update(content)
        self.size_bytes += len(content)
        return self._below.write(content)

    def flush(self) -> None:
        self._below.flush()


def _writable(tally: _Tally) -> IO[bytes]:
    """All of a file that a writer of streams asks for."""
    return cast("IO[bytes]", tally)


class _Stream:
    """Blocks as a file to read from."""

    def __init__(self, blocks: Iterator[bytes], stopped: Stopped) -> None:
        self._blocks = blocks
        self._stopped = stopped
        self._rest = b""

    def read(self, size: int) -> bytes:
        if self._stopped():
            raise ImageError("the image was given up on before it was generated")
        parts, have = [self._rest], len(self._rest)
        while have < size and (block := next(self._blocks, b"")):
            parts.append(block)
            have += len(block)
        content = b"".join(parts)
        self._rest = content[size:]
        return content[:size]


def _add_tiny(archive: tarfile.TarFile) -> None:
    for entry in tiny.entries():
        if stat.S_ISREG(entry.mode):
            member = tarfile.TarInfo(entry.path)
            member.mode, member.size = stat.S_IMODE(entry.mode), len(entry.content)
            archive.addfile(member, io.BytesIO(entry.content))
            continue
        member = tarfile.TarInfo(entry.path)
        member.mode = stat.S_IMODE(entry.mode)
        member.type = tarfile.DIRTYPE if stat.S_ISDIR(entry.mode) else tarfile.SYMTYPE
        member.linkname = entry.content.decode()
        archive.addfile(member)


def _add_payload(archive: tarfile.TarFile, recipe: Recipe, layer: int, stopped: Stopped) -> None:
    for name, seed, size in pieces(recipe, layer):
        _add_file(
            archive, f"payload/{name}", size, _Stream(payload(seed, size, recipe.entropy), stopped)
        )


def _add_file(archive: tarfile.TarFile, name: str, size: int, content: Any) -> None:
    member = tarfile.TarInfo(name)
    member.mode, member.size = 0o644, size
    archive.addfile(member, content)
