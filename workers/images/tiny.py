"""The reference image ``tiny``: a static busybox and the agent, built on the host with no registry.

One list of entries makes all its shapes: a folder for bare processes and disks, an archive for
containers, an initramfs for virtual machines. Its digest names the bytes, whatever the shape.
"""

import hashlib
import io
import shutil
import stat
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from contract.errors import ImageError
from workers.images.elf import is_static
from workers.images.store import built

AGENT_PARTS = ("head", "work", "disk", "network", "program", "stress", "facts", "serve")
"""Files of ``agent/`` that are one script in the image, in this order."""

APPLETS = (
    *(
        "base64",
        "cat",
        "dd",
        "env",
        "hostname",
        "id",
        "ls",
        "nc",
        "nproc",
        "readlink",
        "rm",
        "sed",
        "sh",
    ),
    *("sha256sum", "sleep", "stty", "tail", "tr", "true", "uname", "wc"),
    # What a guest needs to start and to end.
    *("ifconfig", "insmod", "mkdir", "mount", "poweroff", "setsid", "switch_root"),
)
"""Busybox commands that the image has by name; the agent finds no others on its path."""

_FOLDERS = {"bin": 0o755, "dev": 0o755, "proc": 0o555, "sys": 0o555, "tmp": 0o1777, "work": 0o1777}
_BUSYBOX_PLACES = (Path("/bin/busybox"), Path("/usr/bin/busybox"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or symbolic link of the image. All belong to root and are as old as the epoch."""

    path: str
    """Relative to the image's root."""
    mode: int
    """File type and permissions, as in ``stat.st_mode``."""
    content: bytes = b""
    """Bytes of a file, target of a link."""


def command(root: Path = Path("/")) -> list[str]:
    """What runs the agent of an image that lies at ``root``."""
    return [str(root / "bin/busybox"), "sh", str(root / "agent.sh")]


def find_busybox() -> Path:
    """A busybox that needs no libraries. Raises ImageError that names the package to install."""
    on_path = shutil.which("busybox")
    candidates = [*_BUSYBOX_PLACES, *([Path(on_path)] if on_path else [])]
    there = [path for path in candidates if path.is_file()]
    for path in there:
        if is_static(path):
            return path.resolve()
    state = f"{there[0]} needs shared libraries" if there else "there is no busybox on this host"
    raise ImageError(f"image 'tiny' needs a static busybox and {state}: install 'busybox-static'")


def entries() -> tuple[Entry, ...]:
    """Everything in the image, folders before what is in them."""
    return _entries(find_busybox())


def tiny_digest() -> str:
    """SHA-256 of the image, 64 hex digits: changes with the agent, the busybox or the layout."""
    return hashlib.sha256(docker_archive()).hexdigest()


def docker_archive() -> bytes:
    """The image as a tar file, for ``docker import``: the same bytes on every call."""
    return _archive(find_busybox())


def rootfs(state_dir: Path) -> Path:
    """The image as a folder under ``state_dir``, built when it is not there. Read it, never write to it.

    Blocks while it or another worker builds. Raises ImageError.
    """
    return built(state_dir, f"tiny-{tiny_digest()[:16]}", _write_folder(entries()))


def agent_script() -> bytes:
    """The agent as it lies in the image: one script."""
    parts = files("workers.images").joinpath("agent")
    return b"\n".join(parts.joinpath(f"{name}.sh").read_bytes() for name in AGENT_PARTS)


@cache
def _entries(busybox: Path) -> tuple[Entry, ...]:
    return (
        *(Entry(name, stat.S_IFDIR | mode) for name, mode in _FOLDERS.items()),
        Entry("agent.sh", stat.S_IFREG | 0o755, agent_script()),
        Entry("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes()),
        *(Entry(f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox") for applet in APPLETS),
    )


@cache
def _archive(busybox: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for entry in _entries(busybox):
            member = tarfile.TarInfo(entry.path)
            member.mode = stat.S_IMODE(entry.mode)
            if stat.S_ISDIR(entry.mode):
                member.type = tarfile.DIRTYPE
            elif stat.S_ISLNK(entry.mode):
                member.type, member.linkname = tarfile.SYMTYPE, entry.content.decode()
            else:
                member.size = len(entry.content)
            archive.addfile(member, io.BytesIO(entry.content))
    return packed.getvalue()


def _write_folder(content: tuple[Entry, ...]) -> Callable[[Path], None]:
    def write(top: Path) -> None:
        top.mkdir(mode=0o755)
        for entry in content:
            _write_entry(top / entry.path, entry)

    return write


def _write_entry(path: Path, entry: Entry) -> None:
    if stat.S_ISLNK(entry.mode):
        path.symlink_to(entry.content.decode())
        return
    if stat.S_ISDIR(entry.mode):
        path.mkdir()
    else:
        path.write_bytes(entry.content)
    # Whatever the umask says: an instance's user must be able to read the image.
    path.chmod(stat.S_IMODE(entry.mode))
