"""What a host has and uses at one moment, and what instances hold of it."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from workers.host import PROC, load_now, pressure


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
    pids_max: int

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
        pids_max=int((PROC / "sys/kernel/pid_max").read_text()),
    )


def pss_of_all() -> int | None:
    """PSS of all processes of the host, bytes; None for a user who may not see them all.

    Reads one small file per process, about 0.4 ms each: never inside a timed section.
    """
    return pss_of(int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


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


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    with suppress(psutil.Error):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return [pid]


def _pss(rollup: Path) -> int:
    for line in rollup.read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0  # a kernel thread has no memory of its own
