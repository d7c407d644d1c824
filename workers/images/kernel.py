"""The kernel that virtual machines boot, and the modules that belong to it."""

import gzip
import lzma
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from contract.errors import EngineError, ImageError
from workers import shell

_BOOT = Path("/boot")
_MODULES = Path("/lib/modules")
_ADVICE = "install 'linux-image-cloud-amd64' (or any kernel package), or name one as the host's 'kernel'"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A bootable x86 kernel."""

    path: Path
    version: str
    """As ``uname -r`` will say it in the guest."""


def find_kernel(configured: Path | None) -> Kernel:
    """The kernel that the operator named, or the newest readable one under /boot.

    Raises ImageError when there is none, or when it is no x86 kernel.
    """
    if configured is not None:
        return Kernel(configured, kernel_version(configured))
    candidates = sorted(_BOOT.glob("vmlinuz-*"), key=_newest_last, reverse=True)
    problems = []
    for path in candidates:
        try:
            return Kernel(path, kernel_version(path))
        except ImageError as error:
            problems.append(str(error))
    reason = problems[0] if problems else f"there is none under {_BOOT}"
    raise ImageError(f"virtual machines need a kernel: {reason}; {_ADVICE}")


def kernel_version(path: Path) -> str:
    """Version from the kernel's own header. Raises ImageError for what is no x86 kernel.

    Header: Documentation/arch/x86/boot.rst of the kernel.
    """
    try:
        with path.open("rb") as file:
            head = file.read(0x210)
            if len(head) < 0x210 or head[0x202:0x206] != b"HdrS":
                raise ImageError(f"{path} is not an x86 Linux kernel (no boot header); {_ADVICE}")
            (offset,) = struct.unpack_from("<H", head, 0x20E)
            file.seek(offset + 0x200)
            text = file.read(256)
    except OSError as error:
        raise ImageError(f"kernel {path} cannot be read ({error.strerror}); {_ADVICE}") from error
    return text.split(b"\0")[0].decode("ascii", "replace").split(" ")[0]


class Modules:
    """The modules of one kernel, as depmod left them under /lib/modules."""

    def __init__(self, version: str) -> None:
        self.folder = _MODULES / version
        self._needs: dict[str, list[str]] = {}
        """Path of each module, and the paths of those that it needs, nearest first."""
        self._built_in: set[str] = set()
        if self.folder.is_dir():
            self._read_index()

    def load_order(self, *names: str) -> list[tuple[str, bytes]] | None:
        """File name and content of each module to load, those first that others need.

        What is built into the kernel needs no loading. None when a module is not there at all.
        """
        by_name = {_module_name(path): path for path in self._needs}
        wanted: list[str] = []
        for name in names:
            if name in self._built_in:
                continue
            if name not in by_name:
                return None
            path = by_name[name]
            wanted.extend([*reversed(self._needs[path]), path])
        unique = dict.fromkeys(wanted)
        return [(f"{_module_name(path)}.ko", _content(self.folder / path)) for path in unique]

    def _read_index(self) -> None:
        try:
            for line in (self.folder / "modules.dep").read_text().splitlines():
                path, _, needs = line.partition(":")
                self._needs[path] = needs.split()
            built_in = (self.folder / "modules.builtin").read_text().split()
        except OSError as error:
            raise ImageError(f"modules of the guest's kernel cannot be read: {error}") from error
        self._built_in = {_module_name(path) for path in built_in}


def _module_name(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".ko", maxsplit=1)[0].replace("-", "_")


def _content(path: Path) -> bytes:
    try:
        packed = path.read_bytes()
        if path.suffix == ".gz":
            return gzip.decompress(packed)
        if path.suffix == ".xz":
            return lzma.decompress(packed)
        if path.suffix == ".zst":
            return shell.run_binary(["zstd", "-dc"], deadline_s=30, stdin=packed).stdout
        return packed
    except (OSError, lzma.LZMAError, EOFError, EngineError) as error:
        raise ImageError(f"module {path} cannot be unpacked: {error}") from error


def _newest_last(path: Path) -> list[tuple[int, str]]:
    """Sort key: numbers in a version count as numbers, so that 6.10 comes after 6.9."""
    words = re.findall(r"\d+|[^\d]+", path.name)
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]
