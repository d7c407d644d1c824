"""What the libvirt driver boots, without booting anything."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.errors import EngineAbsent, EngineError, ImageError
from workers.engines import libvirt_boot
from workers.engines.accelerator import Verdict
from workers.engines.libvirt_boot import BootSources, see_that_qemu_reaches
from workers.engines.libvirt_calls import Engine
from workers.images.guest import DiskImage, Guest
from workers.settings import HostSettings

ENGINE = Engine("9.0.0", "7.2.0", "/usr/bin/qemu-system-x86_64", "pc-i440fx-7.2", qemu_user=None)
USER = (64055, 64055)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tng-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def guests(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Kinds of guests in the order in which they were built."""
    built: list[str] = []

    def build(kind: str, disk: Path | None) -> Guest:
        built.append(kind)
        return Guest(folder / "k", "6.1.0", folder / "i", disk, power_button=True)

    monkeypatch.setattr(libvirt_boot, "initramfs_guest", lambda *_: build("initramfs", None))
    monkeypatch.setattr(libvirt_boot, "disk_guest", lambda *_: build("disk", folder / "d.qcow2"))
    return built


def host(folder: Path) -> HostSettings:
    return HostSettings(name="h1", state_dir=folder / "state", run_dir=folder / "run")


def test_tiny_boots_from_its_kernel_with_or_without_a_disk(folder: Path, guests: list[str]) -> None:
    overlay = folder / "o.qcow2"
    boot, disk = BootSources(host(folder), "initramfs").sources("tiny", "abc", overlay, ENGINE)
    assert boot is not None
    assert boot.kernel == folder / "k"
    assert "tonnage.nonce=abc" in boot.command_line.split()
    assert disk is None
    boot, disk = BootSources(host(folder), "disk").sources("tiny", "abc", overlay, ENGINE)
    assert boot is not None
    assert disk is not None
    assert (disk.overlay, disk.base, disk.base_format) == (overlay, folder / "d.qcow2", "qcow2")


def test_tiny_is_built_once(folder: Path, guests: list[str]) -> None:
    sources = BootSources(host(folder), "disk")
    sources.prepare("tiny", ENGINE)
    sources.sources("tiny", "abc", folder / "o", ENGINE)
    assert guests == ["disk"]


def test_a_users_disk_boots_by_firmware(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = folder / "disk.raw"
    monkeypatch.setattr(libvirt_boot, "inspect_disk", lambda path: DiskImage(path, "raw"))
    boot, disk = BootSources(host(folder), "disk").sources(str(image), "abc", folder / "o", ENGINE)
    assert boot is None
    assert disk is not None
    assert (disk.base, disk.base_format) == (image, "raw")


@pytest.mark.parametrize("image", ["debian:12", "disk.qcow2", "", "../disk.qcow2"])
def test_other_names_are_no_images(folder: Path, image: str) -> None:
    with pytest.raises(ImageError, match="absolute path"):
        BootSources(host(folder), "initramfs").prepare(image, ENGINE)


@pytest.mark.skipif(os.getuid() != 0, reason="QEMU has a user of its own only under root")
def test_files_that_qemu_cannot_reach_are_told(folder: Path) -> None:
    image = folder / "closed" / "disk.qcow2"
    image.parent.mkdir(mode=0o700)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"], timeout=30, check=True)
    engine = Engine("9.0.0", "7.2.0", "/usr/bin/qemu-system-x86_64", "pc", USER)
    sources = BootSources(host(folder), "initramfs")
    with pytest.raises(EngineError, match=r"may not pass .*closed"):
        sources.prepare(str(image), engine)
    image.parent.chmod(0o755)
    image.chmod(0o600)
    with pytest.raises(ImageError, match="may not read"):
        sources.prepare(str(image), engine)
    image.chmod(0o644)
    sources.prepare(str(image), engine)
    see_that_qemu_reaches(image, None, "run_dir")


def test_the_accelerator_is_settled_once(
    folder: Path, guests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def judge(*_: object) -> Verdict:
        tried.append("boot")
        return Verdict(False, "nothing was heard")

    monkeypatch.setattr(libvirt_boot, "judge_kvm", judge)
    sources = BootSources(host(folder), "initramfs")
    for _ in range(2):
        chosen = sources.choose("auto", ENGINE)
        assert (chosen.accelerator, chosen.reason) == ("tcg", "nothing was heard")
    assert tried == ["boot"]
    with pytest.raises(EngineAbsent, match="nothing was heard"):
        BootSources(host(folder), "initramfs").choose("kvm", ENGINE)
    assert BootSources(host(folder), "initramfs").choose("tcg", ENGINE).accelerator == "tcg"
    assert tried == ["boot", "boot"]


def test_a_host_where_libvirt_forgets_qemu_is_told(
    folder: Path, guests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = folder / "kvm"
    monkeypatch.setattr(libvirt_boot, "KVM_DEVICE", device)
    engine = Engine("9.0.0", "7.2.0", "/usr/bin/qemu-system-x86_64", "pc", USER)
    sources = BootSources(host(folder), "initramfs")
    assert sources.choose("tcg", engine).accelerator == "tcg"
    device.touch(mode=0o600)
    with pytest.raises(EngineError, match=r"examines QEMU anew.*chgrp kvm"):
        sources.choose("tcg", engine)
    device.chmod(0o666)
    sources.choose("tcg", engine)


def test_without_a_kernel_kvm_is_not_believed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> Guest:
        raise ImageError("there is no kernel")

    monkeypatch.setattr(libvirt_boot, "initramfs_guest", none)
    chosen = BootSources(host(folder), "initramfs").choose("auto", ENGINE)
    assert chosen.accelerator == "tcg"
    assert "there is no kernel" in chosen.reason
