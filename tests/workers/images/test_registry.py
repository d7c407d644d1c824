"""The registry client against a real registry, and against those that are none."""

import hashlib
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from contract.errors import ImageError, RegistryError
from workers.images.oci import Blob, Release
from workers.images.payload import Recipe, build_layers
from workers.images.registry import Registry


def never() -> bool:
    return False


def release(folder: Path) -> Release:
    (manifest,) = build_layers(Recipe(1, 2, 0.5), (0,), folder, never)
    return Release("tonnage-test/image", "v0", manifest)


@pytest.mark.docker
def test_what_is_pushed_is_fetched_again_and_not_pushed_twice(registry: str, tmp_path: Path) -> None:
    client, image = Registry(registry), release(tmp_path)
    client.push(image, never)
    assert client.push(image, never) == len(image.manifest.content)
    assert client.manifest(image.repository, "v0").content == image.manifest.content
    blob = image.manifest.layers[0]
    assert client.fetch(image.repository, blob, tmp_path / "got", never) == blob.size_bytes
    digest = hashlib.sha256((tmp_path / "got").read_bytes()).hexdigest()
    assert blob.digest == f"sha256:{digest}"
    with pytest.raises(ImageError, match="damaged"):
        client.fetch(image.repository, replace(blob, size_bytes=1), tmp_path / "bad", never)
    assert not (tmp_path / "bad").exists()
    missing = Blob("x", f"sha256:{'0' * 64}", 1)
    with pytest.raises(ImageError, match="has no blob"):
        client.fetch(image.repository, missing, tmp_path / "bad", never)
    with pytest.raises(ImageError, match="has no image"):
        client.manifest(image.repository, "none")


def test_nobody_listens() -> None:
    with pytest.raises(RegistryError, match="no registry listens"):
        Registry("127.0.0.1:1").ping()


def test_one_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RegistryError, match="did not answer"):
            Registry(address, 0.2).ping()
