"""Counting what instances leave on a host, by kind: the difference of two censuses is a leak.

What carries a mark of the trial, its instances' names or the engine's ids, is counted as the trial's.
Interfaces, network namespaces, loop devices and zombies carry none: those are counted on the whole host,
so that what others start or end meanwhile counts too.
"""

import os
import re
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workers.host import PROC, SYS

KINDS = {
    "records": "containers, domains or other records of the engine, by owner",
    "files": "disks, sockets and work folders of instances",
    "processes": "processes that belong to instances or serve one, by name or id",
    "cgroups": "control group folders of instances, in all hierarchies",
    "mounts": "mounts of instances",
    "zombies": "processes of the whole host that are dead and not reaped",
    "interfaces": "virtual network interfaces of the whole host (veth, vnet, tap, macvtap)",
    "namespaces": "network namespaces of the whole host",
    "loop_devices": "loop devices of the whole host that are bound to a file",
    "engine_fds": "open files of the engine's daemon",
    "engine_rss": "resident memory of the engine's daemon",
}
"""What is counted. A kind that cannot be counted here is left out of a census."""

BYTES = frozenset({"engine_rss"})
GROWTH = frozenset({"engine_fds", "engine_rss"})
"""Sizes that move by themselves: their growth is told, and only in the long run it may be a leak."""

_ENGINE_ID = re.compile(r"[0-9a-f]{64}")
_INTERFACES = ("veth", "vnet", "tap", "macvtap")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CGROUP_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Marks:
    """What shows in the name of everything that belongs to a trial's instances."""

    prefix: str
    """Of instance names."""
    ids: Collection[str] = frozenset()
    """The engine's own names of them, 64 hexadecimal digits each."""

    def on(self, text: str) -> bool:
        """Whether the text speaks of one of them. systemd writes a dash in a name as \\x2d."""
        if self.prefix in text or self.prefix in text.replace("\\x2d", "-"):
            return True
        return bool(self.ids) and any(found in self.ids for found in _ENGINE_ID.findall(text))


def count_host(marks: Marks, cgroups: Path = SYS / "fs/cgroup") -> dict[str, int]:
    """One census of this host: some small reads per process and control group, 10 to 100 ms."""
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    return {
        "processes": sum(marks.on(_words_of(pid)) for pid in pids),
        "zombies": sum(_is_zombie(pid) for pid in pids),
        "cgroups": sum(marks.on(name) for name in _group_names(cgroups, _CGROUP_DEPTH)),
        "mounts": sum(map(marks.on, _mounts())),
        "interfaces": sum(name.startswith(_INTERFACES) for name in os.listdir(SYS / "class/net")),
        "namespaces": len(_network_namespaces(pids)),
        "loop_devices": sum(1 for _ in (SYS / "block").glob("loop*/loop/backing_file")),
    }


def count_daemon(socket_path: Path) -> dict[str, int]:
    """Open files and memory of the daemon behind a local socket; nothing where they cannot be had."""
    pid = pid_behind(socket_path)
    if pid is None:
        return {}
    found = {}
    with suppress(OSError):
        found["engine_fds"] = len(os.listdir(PROC / str(pid) / "fd"))
    with suppress(OSError):
        pages = int((PROC / str(pid) / "statm").read_text().split()[1])
        found["engine_rss"] = pages * _PAGE_BYTES
    return found


def pid_behind(socket_path: Path) -> int | None:
    """PID of the process that listens at a local socket; None when nobody does.

    None also when PID 1 made the socket for a daemon that is started on demand: the kernel names the one
    who began to listen (SO_PEERCRED, unix(7)).
    """
    try:
        with socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(5)
            knock.connect(str(socket_path))
            credentials = knock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except OSError:
        return None
    pid: int = struct.unpack("3i", credentials)[0]
    return pid if pid > 1 else None


def _words_of(pid: int) -> str:
    """Command line, environment and control groups of a process: where a mark may stand."""
    found = []
    for name in ("cmdline", "environ", "cgroup"):
        with suppress(OSError):  # ended meanwhile, or somebody else's
            found.append((PROC / str(pid) / name).read_bytes().decode("utf-8", "replace"))
    return "\n".join(found)


def _is_zombie(pid: int) -> bool:
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def _group_names(folder: Path, depth: int) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            below = [e for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:  # gone meanwhile, or not for us to see
        return
    for entry in below:
        yield entry.name
        if depth > 1:
            yield from _group_names(Path(entry.path), depth - 1)


def _mounts() -> list[str]:
    return (PROC / "self/mountinfo").read_text(errors="replace").splitlines()


def _network_namespaces(pids: Collection[int]) -> set[str]:
    """Those that a process is in, and those that a mount keeps."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            found.add(str((PROC / str(pid) / "ns/net").readlink()))
    kept = (line.split()[3] for line in _mounts() if " - nsfs " in line)
    return found | {root for root in kept if root.startswith("net:")}
