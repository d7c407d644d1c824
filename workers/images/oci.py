"""What a registry holds: blobs named by their SHA-256, and manifests that list them (OCI format)."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.errors import ImageError
from contract.strict_json import read_json

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
DISK_CONFIG_TYPE = "application/vnd.tonnage.disk.config.v1+json"
DISK_TYPE = "application/vnd.tonnage.disk.qcow2"
"""A virtual machine's disk, or a part of its chain, as a blob."""
PACKED_DISK_TYPE = "application/vnd.tonnage.disk.qcow2.compressed"
"""The same with its clusters compressed, to be unpacked where it is used."""

MAX_MANIFEST_BYTES = 4 << 20
_MOST_LAYERS = 1000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that a registry keeps under their digest."""

    media_type: str
    digest: str
    """``sha256:`` and 64 hex digits."""
    size_bytes: int
    path: Path | None = None
    """Where the bytes lie on this host, when they do."""

    def descriptor(self) -> dict[str, Any]:
        """How a manifest speaks of it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size_bytes}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What makes up one image."""

    content: bytes
    """As the registry keeps it: its digest is that of these bytes."""
    config: Blob
    layers: tuple[Blob, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes that a host without any of it has to fetch: manifest, config and layers."""
        blobs = (self.config, *self.layers)
        return len(self.content) + sum(blob.size_bytes for blob in blobs)


@dataclass(frozen=True, slots=True)
class Release:
    """One image that was built here and can be pushed."""

    repository: str
    tag: str
    manifest: Manifest


def blob_of(path: Path, media_type: str) -> Blob:
    """A file as a blob."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Blob(media_type, f"sha256:{digest}", path.stat().st_size, path)


def written_blob(path: Path, content: dict[str, Any], media_type: str) -> Blob:
    """A configuration written to a file, as a blob: the same bytes for the same content."""
    path.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")))
    return blob_of(path, media_type)


def make_manifest(config: Blob, layers: tuple[Blob, ...]) -> Manifest:
    """The manifest of a configuration and its layers, the lowest first."""
    content = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    return Manifest(json.dumps(content, separators=(",", ":")).encode(), config, layers)


def read_manifest(content: bytes) -> Manifest:
    """A manifest as a registry gave it. Raises ImageError for what is none, or an unsafe digest."""
    try:
        found = read_json(content, MAX_MANIFEST_BYTES)
        config = _described(found["config"])
        if not 0 < len(found["layers"]) <= _MOST_LAYERS:
            raise ValueError(f"{len(found['layers'])} layers, where 1 to {_MOST_LAYERS} are usual")
        return Manifest(content, config, tuple(_described(layer) for layer in found["layers"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError(f"the registry gave a manifest that is none: {error!r}") from error


def _described(descriptor: dict[str, Any]) -> Blob:
    digest, size = str(descriptor["digest"]), int(descriptor["size"])
    if not _DIGEST.fullmatch(digest) or size < 0:  # a digest becomes part of paths
        raise ValueError(f"not the digest and size of a blob: {digest!r}, {size}")
    return Blob(str(descriptor["mediaType"]), digest, size)


Stopped = Callable[[], bool]
"""Whether nobody waits any more for what a thread is doing."""
