"""What virtual machines boot: kernel, initramfs, and the disk that instances have overlays of."""

import gzip
import hashlib
import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from contract.errors import EngineError, ImageError
from workers import shell
from workers.images import tiny
from workers.images.cpio import pack
from workers.images.kernel import Kernel, Modules, find_kernel
from workers.images.store import built
from workers.images.tiny import Entry

DISK_MIB = 1024
"""Size of the disk that a guest sees. Its file holds only what was written."""

_BUTTON_MODULES = ("button", "evdev")
_DISK_MODULES = ("virtio_pci", "virtio_blk", "ext4")
_DEADLINE_S = 60.0
"""For one run of mke2fs or qemu-img."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Everything that a tiny virtual machine boots from."""

    kernel: Path
    """A copy: libvirt gives a guest's kernel to QEMU's user, and the host's own is not ours to give."""
    kernel_version: str
    initramfs: Path
    disk: Path | None
    """The qcow2 image below the overlays; None when the guest lives in its initramfs."""
    power_button: bool
    """Whether the guest hears the power button: needs two modules of its kernel."""


@dataclass(frozen=True, slots=True)
class DiskImage:
    """A disk image as qemu-img describes it."""

    path: Path
    format: str


def command_line(nonce: str) -> str:
    """What a guest's kernel is told. Only the agent's words come over the console, and a panic's.

    A guest that panics is off: one that is merely dead would keep everybody waiting. The timer is not
    checked (nor is it under KVM): on a busy host an emulated one comes too late, and that panics. An
    interrupt that nothing asked for is a panic too: so one can be had from outside.
    """
    told = "console=ttyS0 quiet loglevel=1 panic=-1 unknown_nmi_panic no_timer_check"
    return f"{told} tonnage.nonce={nonce}"


def initramfs_guest(state_dir: Path, kernel: Path | None) -> Guest:
    """A guest that lives in its initramfs; built when it is not there. Blocks. Raises ImageError."""
    return _guest(state_dir, find_kernel(kernel), with_disk=False)


def disk_guest(state_dir: Path, kernel: Path | None) -> Guest:
    """A guest whose root is an ext4 disk; built when it is not there. Blocks. Raises ImageError."""
    return _guest(state_dir, find_kernel(kernel), with_disk=True)


def inspect_disk(path: Path) -> DiskImage:
    """What a user's disk image is. Raises ImageError when it is missing, or none that can be booted."""
    if not path.is_file():
        raise ImageError(f"there is no disk image {path} on this host")
    try:
        said = shell.run(["qemu-img", "info", "--output=json", path], deadline_s=_DEADLINE_S).stdout
        found = json.loads(said)
        problem = _problem_of(path, found)
        kind = str(found["format"])
    except (EngineError, ValueError, KeyError, OSError) as error:
        raise ImageError(f"{path} is not a disk image: {error}") from error
    if problem is not None:
        raise ImageError(f"{path} {problem}")
    return DiskImage(path, kind)


def make_overlay(base: DiskImage, overlay: Path) -> None:
    """A new disk that holds only its differences from ``base``. Blocks. Raises ImageError."""
    backing: list[str | Path] = ["-F", base.format, "-b", base.path.resolve()]
    try:
        shell.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, overlay], deadline_s=_DEADLINE_S)
    except EngineError as error:
        raise ImageError(f"disk {overlay.name} could not be made: {error}") from error


def initramfs_entries(modules: list[tuple[str, bytes]], *, with_disk: bool) -> list[Entry]:
    """Content of an initramfs: the tiny image, what starts it, and the modules in loading order."""
    order = "".join(f"{name}\n" for name, _ in modules)
    return [
        *tiny.entries(),
        Entry("init", stat.S_IFREG | 0o755, _script("init.sh")),
        Entry("guest.sh", stat.S_IFREG | 0o644, _script("guest.sh")),
        Entry("modules", stat.S_IFDIR | 0o755),
        Entry("modules/order", stat.S_IFREG | 0o644, order.encode()),
        *(Entry(f"modules/{name}", stat.S_IFREG | 0o644, content) for name, content in modules),
        *([Entry("disk", stat.S_IFDIR | 0o755)] if with_disk else []),
    ]


def _problem_of(path: Path, found: dict[str, Any]) -> str | None:
    """Why qemu-img's description is not that of a disk to boot, in words."""
    if found["format"] not in ("qcow2", "raw"):
        return f"has format {found['format']}: only qcow2 and raw are booted"
    # Other files that an image names would be read with QEMU's rights, whosever they are.
    details = found.get("format-specific", {}).get("data", {})
    if "backing-filename" in found or "data-file" in details:
        return "needs other files: make it one with 'qemu-img convert -O qcow2'"
    # Whatever is nothing else, qemu-img takes for raw.
    if found["format"] == "raw" and not _has_boot_signature(path):
        return "is not a disk image that firmware can boot"
    return None


def _has_boot_signature(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(512)[510:] == b"\x55\xaa"


def _guest(state_dir: Path, kernel: Kernel, *, with_disk: bool) -> Guest:
    modules = Modules(kernel.version)
    button = modules.load_order(*_BUTTON_MODULES)
    disk = modules.load_order(*_DISK_MODULES) if with_disk else []
    if disk is None:
        raise ImageError(
            f"a guest that boots from a disk needs the modules {', '.join(_DISK_MODULES)} of its "
            f"kernel under {modules.folder}: install that kernel's package, or use 'boot: initramfs'"
        )
    packed = pack(initramfs_entries([*disk, *(button or [])], with_disk=with_disk))
    compressed = gzip.compress(packed, mtime=0)
    return Guest(
        kernel=_copy_kernel(state_dir, kernel),
        kernel_version=kernel.version,
        initramfs=built(state_dir, f"initramfs-{_digest(packed)}", _write(compressed)),
        disk=_base_disk(state_dir) if with_disk else None,
        power_button=button is not None,
    )


def _copy_kernel(state_dir: Path, kernel: Kernel) -> Path:
    try:
        content = kernel.path.read_bytes()
    except OSError as error:
        raise ImageError(f"kernel {kernel.path} cannot be read: {error}") from error
    return built(state_dir, f"kernel-{_digest(content)}", _write(content))


def _base_disk(state_dir: Path) -> Path:
    root = tiny.rootfs(state_dir)
    name = f"disk-{tiny.tiny_digest()[:16]}-{DISK_MIB}.qcow2"
    return built(state_dir, name, lambda image: _make_disk(root, image))


def _make_disk(root: Path, image: Path) -> None:
    raw = image.with_suffix(".raw")
    try:
        # mke2fs copies the folder by itself, so nothing is mounted.
        shell.run(
            ["mke2fs", "-q", "-t", "ext4", "-F", "-m", "0", "-d", root, raw, f"{DISK_MIB}M"],
            deadline_s=_DEADLINE_S,
        )
        shell.run(["qemu-img", "convert", "-O", "qcow2", raw, image], deadline_s=_DEADLINE_S)
        image.chmod(0o644)
    except EngineError as error:
        raise ImageError(f"the disk of image 'tiny' could not be built: {error}") from error
    finally:
        raw.unlink(missing_ok=True)


def _write(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)
        path.chmod(0o644)  # whatever the umask says: QEMU's user must be able to read it

    return write


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _script(name: str) -> bytes:
    return files("workers.images").joinpath(name).read_bytes()
