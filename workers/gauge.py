"""What a host has and uses at one moment, and what instances hold of it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from workers.host import PROC, load_now, pressure

_TASK_LIMITS = ("pid_max", "threads-max")
_KTHREADD = 2
"""Parent of all kernel threads."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A host at one moment. A number that this kernel or this user cannot have is None."""

    mem_total_bytes: int
    mem_available_bytes: int
    cpu_count: int
    cpu_busy_s: float
    """CPU seconds spent by all processors since an arbitrary start."""
    swapped_in_bytes: int
    """Read back from swap since an arbitrary start."""
    psi_cpu_some: float | None
    """Shares of the last 10 s in which tasks waited, percent."""
    psi_memory_some: float | None
    psi_memory_full: float | None
    psi_io_full: float | None
    processes: int
    tasks: int
    """Threads of all processes: each holds a number of its own."""
    pids_max: int
    """Numbers that there can be at once: the least of the kernel's limits."""

    @property
    def mem_used_bytes(self) -> int:
        """What is not available: the fall of MemAvailable counts what no process is charged for."""
        return self.mem_total_bytes - self.mem_available_bytes


@dataclass(frozen=True, slots=True)
class Footprint:
    """What some instances hold together. None where the kernel or the engine does not tell."""

    pss_bytes: int | None
    """Proportional set size of all their processes: shared pages are shared out."""
    cgroup_bytes: int | None
    """Memory that their control groups are charged with, page cache included."""


@dataclass(frozen=True, slots=True)
class HostPss:
    """What all processes of a host hold together."""

    pss_bytes: int | None
    """Proportional set size; None for a user who may not look at the processes of others."""
    hidden: int
    """Processes that may not be looked at. Even root may not look at one with more rights than it has
    itself; such a one is left out of the sum, and the same one in every sum."""


def read_gauge() -> Gauge:
    """The host now: a few small reads of /proc."""
    load, memory = load_now(), psutil.virtual_memory()
    return Gauge(
        mem_total_bytes=memory.total,
        mem_available_bytes=memory.available,
        cpu_count=psutil.cpu_count() or 1,
        cpu_busy_s=load.cpu_busy_s,
        swapped_in_bytes=psutil.swap_memory().sin,
        psi_cpu_some=load.psi_cpu_some_avg10,
        psi_memory_some=pressure("memory", "some"),
        psi_memory_full=load.psi_memory_full_avg10,
        psi_io_full=load.psi_io_full_avg10,
        processes=sum(entry.name.isdigit() for entry in PROC.iterdir()),
        tasks=_tasks(),
        pids_max=min(int((PROC / f"sys/kernel/{name}").read_text()) for name in _TASK_LIMITS),
    )


def pss_of_all() -> HostPss:
    """PSS of all processes of the host.

    Reads one small file per process, about 0.4 ms each: never inside a timed section.
    """
    total, hidden = 0, 0
    for pid in (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()):
        found = pss_of([pid])
        total, hidden = total + (found or 0), hidden + (found is None)
    return HostPss(total if hidden == 0 or os.geteuid() == 0 else None, hidden)


def pss_of(pids: Iterable[int]) -> int | None:
    """PSS of some processes together, bytes. One that has ended counts as nothing.

    None when one may not be looked at: a sum that silently lacks a part would be a wrong number.
    """
    total = 0
    for pid in pids:
        try:
            total += _pss(PROC / str(pid) / "smaps_rollup")
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            return None
    return total


def families(pids: Iterable[int]) -> list[set[int]]:
    """Each process with all its descendants. One pass over all processes, however many are asked for.

    Something that was not started by a member of the family is not in it: a container's shim is its
    parent, and is the host's.
    """
    children: dict[int, list[int]] = {}
    for pid in (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()):
        if (parent := _parent(pid)) is not None:
            children.setdefault(parent, []).append(pid)
    return [_with_descendants(pid, children) for pid in pids]


def is_kernel_thread(pid: int) -> bool:
    """Whether the kernel made it for its own work. One that has ended is none."""
    return pid == _KTHREADD or _parent(pid) == _KTHREADD


def _with_descendants(pid: int, children: dict[int, list[int]]) -> set[int]:
    found, waiting = set[int](), [pid]
    while waiting:
        member = waiting.pop()
        if member not in found:
            found.add(member)
            waiting += children.get(member, [])
    return found


def _parent(pid: int) -> int | None:
    """From /proc/PID/stat, where a name in parentheses may hold anything; None once it has ended."""
    try:
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _tasks() -> int:
    """From /proc/loadavg: runnable ones / all that exist."""
    return int((PROC / "loadavg").read_text().split()[3].partition("/")[2])


def _pss(rollup: Path) -> int:
    for line in rollup.read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0  # a kernel thread has no memory of its own
