"""Disks from a hostile registry: none may name a file of this host, for its guest to read."""

import shutil
import subprocess
from pathlib import Path

import pytest

from contract.errors import EngineError, ImageError
from workers.engines.libvirt_delivery import _refuse_other_files

pytestmark = pytest.mark.libvirt


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(b"root:x:0:0" * 6554)
    return path


def make(*arguments: str | Path) -> None:
    program = shutil.which("qemu-img")
    assert program is not None
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, timeout=60)


def test_a_disk_on_its_own_is_taken(tmp_path: Path) -> None:
    make("create", "-f", "qcow2", tmp_path / "disk.part", "1M")
    _refuse_other_files(tmp_path / "disk.part", is_overlay=False)


def test_a_base_that_is_backed_by_a_file_of_the_host_is_refused(tmp_path: Path, secret: Path) -> None:
    part = tmp_path / "disk.part"
    make("create", "-f", "qcow2", "-F", "raw", "-b", secret, part)
    _refuse_other_files(part, is_overlay=True)  # whose base is replaced
    with pytest.raises(ImageError, match="names files of this host"):
        _refuse_other_files(part, is_overlay=False)
    assert not part.exists()


@pytest.mark.parametrize("is_overlay", [True, False])
def test_a_disk_whose_content_is_a_file_of_the_host_is_refused(
    is_overlay: bool, tmp_path: Path, secret: Path
) -> None:
    part, size = tmp_path / "disk.part", secret.stat().st_size
    make("create", "-f", "qcow2", "-o", f"data_file={secret},data_file_raw=on", part, str(size))
    with pytest.raises(ImageError, match="names files of this host"):
        _refuse_other_files(part, is_overlay=is_overlay)


def test_what_is_no_disk_is_refused(tmp_path: Path) -> None:
    (tmp_path / "disk.part").write_bytes(b"#!/bin/sh\n" * 100)
    with pytest.raises(EngineError, match="not in qcow2 format"):
        _refuse_other_files(tmp_path / "disk.part", is_overlay=False)


def test_a_disk_that_would_unfold_to_fill_the_host_is_refused(tmp_path: Path) -> None:
    make("create", "-f", "qcow2", tmp_path / "disk.part", "1T")
    assert (tmp_path / "disk.part").stat().st_size < 20_000_000
    with pytest.raises(ImageError, match="larger than 64 GiB"):
        _refuse_other_files(tmp_path / "disk.part", is_overlay=False)
