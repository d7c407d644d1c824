"""The outside view: what the host's /proc says of an instance's own process, and of the host itself."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of a mount table."""

    device: str
    """Major and minor number of the file system, ``8:1``."""
    point: str


@dataclass(frozen=True, slots=True)
class ProcessView:
    """An instance's own process: container PID 1, QEMU, the bare process. None: it could not be read."""

    pid: int
    program: str
    uid: int
    """Effective user, as the host counts."""
    uid_map: tuple[tuple[int, int, int], ...]
    """Its user namespace: first inside, first on the host, how many."""
    capabilities: int
    """Effective, as a mask; over its own user namespace."""
    seccomp: int | None
    no_new_privs: int | None
    namespaces: dict[str, str]
    label: str | None
    """What a security module calls it; None where none does."""
    cgroups: tuple[str, ...]
    mounts: tuple[Mount, ...]
    devices: tuple[str, ...]
    """Device files that it has open."""
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostView:
    """The host at one moment, as the worker sees it, and the instance's own process on it."""

    boot_id: str
    kernel: str
    namespaces: dict[str, str]
    processes: int
    cgroups: tuple[str, ...]
    mounts: tuple[Mount, ...]
    process: ProcessView | None
    """None where there is none, or it died under the question."""


def look(pid: int | None) -> HostView:
    """See the host and, where there is a ``pid``, the process. Blocks for some reads of /proc."""
    return HostView(
        boot_id=(PROC / "sys/kernel/random/boot_id").read_text().strip(),
        kernel=os.uname().release,
        namespaces=_namespaces("self"),
        processes=sum(name.isdecimal() for name in os.listdir(PROC)),
        cgroups=_cgroups("self"),
        mounts=_mounts("self"),
        process=None if pid is None else _process(pid),
    )


def _process(pid: int) -> ProcessView | None:
    folder = PROC / str(pid)
    try:
        status = dict(
            line.split(":\t", 1)
            for line in (folder / "status").read_text().splitlines()
            if ":\t" in line
        )
        return ProcessView(
            pid=pid,
            program=(folder / "comm").read_text().strip(),
            uid=int(status["Uid"].split()[1]),
            uid_map=_uid_map((folder / "uid_map").read_text()),
            capabilities=int(status["CapEff"], 16),
            seccomp=_number(status.get("Seccomp")),
            no_new_privs=_number(status.get("NoNewPrivs")),
            namespaces=_namespaces(str(pid)),
            label=_label(folder / "attr/current"),
            cgroups=_cgroups(str(pid)),
            mounts=_mounts(str(pid)),
            devices=tuple(sorted(_open_devices(folder / "fd"))),
            arguments=tuple((folder / "cmdline").read_text(errors="replace").split("\0")),
        )
    except (OSError, KeyError, ValueError):
        return None


def _namespaces(process: str) -> dict[str, str]:
    return {name: str((PROC / process / "ns" / name).readlink()) for name in NAMESPACES}


def _cgroups(process: str) -> tuple[str, ...]:
    return tuple(sorted((PROC / process / "cgroup").read_text().splitlines()))


def _mounts(process: str) -> tuple[Mount, ...]:
    lines = (PROC / process / "mountinfo").read_text(errors="replace").splitlines()
    return tuple(Mount(fields[2], fields[4]) for fields in (line.split(" ") for line in lines))


def _uid_map(text: str) -> tuple[tuple[int, int, int], ...]:
    rows = (tuple(map(int, line.split())) for line in text.splitlines())
    return tuple((inside, outside, count) for inside, outside, count in rows)


def _label(path: Path) -> str | None:
    """Where no module labels processes the kernel refuses the question."""
    try:
        return path.read_text().strip("\0\n ") or None
    except OSError:
        return None


def _open_devices(folder: Path) -> Iterable[str]:
    found = set()
    for link in folder.iterdir():
        with suppress(OSError):  # it was closed meanwhile
            mode = link.stat().st_mode
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                found.add(str(link.readlink()))
    return found


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
