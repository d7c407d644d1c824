"""What guests boot from: content, caching, and disks that qemu-img understands."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from contract.errors import ImageError
from workers.images import guest
from workers.images.guest import DiskImage, initramfs_entries, inspect_disk, make_overlay
from workers.images.kernel import Kernel, Modules

needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")
needs_mke2fs = pytest.mark.skipif(
    shutil.which("mke2fs", path="/usr/sbin:/sbin") is None, reason="needs mke2fs"
)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A kernel whose modules are all built in."""
    path = tmp_path / "vmlinuz"
    path.write_bytes(b"kernel")
    found = Kernel(path, "6.1.0-none")
    monkeypatch.setattr(guest, "find_kernel", lambda _: found)
    monkeypatch.setattr(Modules, "load_order", lambda *_: [])
    return found


def qemu_info(path: Path) -> dict[str, object]:
    ran = subprocess.run(
        ["qemu-img", "info", "--output=json", path], capture_output=True, timeout=30, check=True
    )
    found = json.loads(ran.stdout)
    assert isinstance(found, dict)
    return found


def test_the_initramfs_holds_the_image_and_what_starts_it() -> None:
    entries = {e.path: e for e in initramfs_entries([("b.ko", b"B"), ("a.ko", b"A")], with_disk=False)}
    assert {"init", "guest.sh", "agent.sh", "bin/busybox", "bin/insmod"} <= set(entries)
    assert entries["modules/order"].content == b"b.ko\na.ko\n"
    assert entries["modules/a.ko"].content == b"A"
    assert "disk" not in entries
    assert any(entry.path == "disk" for entry in initramfs_entries([], with_disk=True))


def test_guest_is_built_once_and_readable_by_all(tmp_path: Path, kernel: Kernel) -> None:
    made = guest.initramfs_guest(tmp_path / "state", None)
    assert made == guest.initramfs_guest(tmp_path / "state", None)
    assert made.kernel.read_bytes() == b"kernel"
    assert made.kernel != kernel.path
    assert gzip.decompress(made.initramfs.read_bytes()).startswith(b"070701")
    assert (made.disk, made.power_button, made.kernel_version) == (None, True, "6.1.0-none")
    for path in (made.kernel, made.initramfs):
        assert path.stat().st_mode & 0o777 == 0o644


def test_other_modules_make_another_initramfs(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = guest.initramfs_guest(tmp_path, None)
    monkeypatch.setattr(Modules, "load_order", lambda *_: [("x.ko", b"x")])
    assert guest.initramfs_guest(tmp_path, None).initramfs != first.initramfs


def test_without_modules_no_button_and_no_disk(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Modules, "load_order", lambda *_: None)
    assert guest.initramfs_guest(tmp_path, None).power_button is False
    with pytest.raises(ImageError, match=r"virtio_blk, ext4.*'boot: initramfs'"):
        guest.disk_guest(tmp_path, None)


@needs_qemu_img
@needs_mke2fs
def test_the_disk_is_small_on_the_host_and_large_in_the_guest(tmp_path: Path, kernel: Kernel) -> None:
    disk = guest.disk_guest(tmp_path, None).disk
    assert disk is not None
    assert qemu_info(disk)["format"] == "qcow2"
    assert qemu_info(disk)["virtual-size"] == guest.DISK_MIB * 2**20
    assert disk.stat().st_size < 32 * 2**20
    assert [path.name for path in (tmp_path / "images").glob("*.raw")] == []


@needs_qemu_img
def test_an_overlay_names_its_base_and_the_base_s_format(tmp_path: Path) -> None:
    base = tmp_path / "base.raw"
    base.write_bytes(bytes(2**20))
    make_overlay(DiskImage(base, "raw"), tmp_path / "o.qcow2")
    info = qemu_info(tmp_path / "o.qcow2")
    assert info["full-backing-filename"] == str(base)
    assert info["backing-filename-format"] == "raw"
    with pytest.raises(ImageError, match=r"o2\.qcow2"):
        make_overlay(DiskImage(tmp_path / "missing", "raw"), tmp_path / "o2.qcow2")


@needs_qemu_img
def test_disk_images_are_told_from_other_things(tmp_path: Path) -> None:
    base = tmp_path / "base"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"], timeout=30, check=True)
    assert inspect_disk(base) == DiskImage(base, "qcow2")
    with pytest.raises(ImageError, match="there is no disk image"):
        inspect_disk(tmp_path / "missing")
    with pytest.raises(ImageError, match="there is no disk image"):
        inspect_disk(tmp_path)
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(2**20))
    with pytest.raises(ImageError, match="not a disk image that firmware can boot"):
        inspect_disk(raw)
    raw.write_bytes(bytes(510) + b"\x55\xaa" + bytes(2**20))
    assert inspect_disk(raw) == DiskImage(raw, "raw")
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", raw, "1M"], timeout=30, check=True)
    with pytest.raises(ImageError, match="format vmdk"):
        inspect_disk(raw)


@needs_qemu_img
def test_a_disk_image_may_not_reach_for_other_files(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.write_bytes(bytes(2**20))
    make_overlay(DiskImage(base, "raw"), tmp_path / "o.qcow2")
    with pytest.raises(ImageError, match="needs other files"):
        inspect_disk(tmp_path / "o.qcow2")
    options = ["-o", f"data_file={tmp_path}/data"]
    split = tmp_path / "split.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", *options, split, "1M"], timeout=30, check=True
    )
    with pytest.raises(ImageError, match="needs other files"):
        inspect_disk(split)
