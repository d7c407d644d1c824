"""Finding the guest's kernel and its modules, on made-up hosts."""

import gzip
import lzma
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.errors import ImageError
from workers.images import kernel
from workers.images.kernel import Modules, find_kernel, kernel_version

MakeKernel = Callable[[str], Path]


def bytes_of_kernel(version: str) -> bytes:
    text = f"{version} (builder) #1 SMP".encode() + b"\0"
    head = bytearray(0x210)
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x20E, 0x210 - 0x200)
    return bytes(head) + text


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "boot"
    folder.mkdir()
    monkeypatch.setattr(kernel, "_BOOT", folder)
    monkeypatch.setattr(kernel, "_MODULES", tmp_path / "modules")
    return folder


@pytest.fixture
def make_kernel(boot: Path) -> MakeKernel:
    def make(version: str) -> Path:
        path = boot / f"vmlinuz-{version}"
        path.write_bytes(bytes_of_kernel(version))
        return path

    return make


@pytest.fixture
def modules(boot: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "modules/6.1.0"
    (folder / "k").mkdir(parents=True)
    (folder / "modules.builtin").write_text("kernel/drivers/acpi/button.ko\nkernel/a/virtio-blk.ko\n")
    return folder


def test_the_newest_kernel_is_taken_by_number_not_by_letter(make_kernel: MakeKernel) -> None:
    for version in ("6.9.0-1-amd64", "6.10.0-2-amd64", "6.10.0-10-amd64", "5.10.0-99-amd64"):
        make_kernel(version)
    found = find_kernel(None)
    assert found.version == "6.10.0-10-amd64"
    assert found.path.name == "vmlinuz-6.10.0-10-amd64"


def test_a_kernel_that_cannot_be_used_is_passed_over(make_kernel: MakeKernel, boot: Path) -> None:
    make_kernel("6.1.0")
    (boot / "vmlinuz-6.2.0").write_bytes(b"\x7fELF" + bytes(1000))
    (boot / "vmlinuz-6.3.0").mkdir()
    assert find_kernel(None).version == "6.1.0"


def test_the_operator_s_kernel_is_taken_whatever_is_there(
    make_kernel: MakeKernel, tmp_path: Path
) -> None:
    make_kernel("6.1.0")
    own = tmp_path / "bzImage"
    own.write_bytes(bytes_of_kernel("5.4.0-own"))
    assert find_kernel(own).version == "5.4.0-own"


def test_no_kernel_says_how_to_get_one(boot: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none under .*linux-image.*'kernel'"):
        find_kernel(None)
    with pytest.raises(ImageError, match="cannot be read"):
        find_kernel(tmp_path / "missing")
    (boot / "vmlinuz-6.1.0").write_bytes(b"not a kernel")
    with pytest.raises(ImageError, match="no boot header"):
        find_kernel(None)


def test_the_version_is_what_the_header_says(tmp_path: Path) -> None:
    path = tmp_path / "any-name"
    path.write_bytes(bytes_of_kernel("6.1.0-56-cloud-amd64"))
    assert kernel_version(path) == "6.1.0-56-cloud-amd64"


def test_modules_come_after_those_that_they_need(modules: Path) -> None:
    for name in ("a", "b", "c", "virtio_pci"):
        (modules / f"k/{name}.ko").write_bytes(name.encode())
    (modules / "modules.dep").write_text(
        "k/virtio_pci.ko: k/c.ko k/b.ko k/a.ko\nk/c.ko: k/a.ko\nk/b.ko: k/a.ko\nk/a.ko:\n"
    )
    found = Modules("6.1.0").load_order("virtio_pci", "c", "virtio_blk", "button")
    assert found == [(f"{n}.ko", n.encode()) for n in ("a", "b", "c", "virtio_pci")]


def test_packed_modules_are_unpacked(modules: Path) -> None:
    (modules / "k/g.ko.gz").write_bytes(gzip.compress(b"g"))
    (modules / "k/x.ko.xz").write_bytes(lzma.compress(b"x"))
    lines = "k/g.ko.gz:\nk/x.ko.xz:\n"
    expected = [("g.ko", b"g"), ("x.ko", b"x")]
    if shutil.which("zstd"):
        packed = subprocess.run(["zstd", "-c"], input=b"z", capture_output=True, timeout=20, check=True)
        (modules / "k/z-z.ko.zst").write_bytes(packed.stdout)
        lines += "k/z-z.ko.zst:\n"
        expected.append(("z_z.ko", b"z"))
    (modules / "modules.dep").write_text(lines)
    assert Modules("6.1.0").load_order(*(name.removesuffix(".ko") for name, _ in expected)) == expected


def test_a_module_that_is_nowhere_is_told(modules: Path) -> None:
    (modules / "modules.dep").write_text("")
    assert Modules("6.1.0").load_order("button") == []
    assert Modules("6.1.0").load_order("button", "nowhere") is None
    assert Modules("9.9.9").load_order("button") is None


def test_a_damaged_module_is_an_image_error(modules: Path) -> None:
    (modules / "k/g.ko.gz").write_bytes(b"damaged")
    (modules / "modules.dep").write_text("k/g.ko.gz:\nk/away.ko:\n")
    for name in ("g", "away"):
        with pytest.raises(ImageError, match="cannot be unpacked"):
            Modules("6.1.0").load_order(name)
    (modules / "modules.builtin").unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        Modules("6.1.0")
