"""Facts of the host that shape numbers, and its load at a moment."""

import os
import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PROC = Path("/proc")
SYS = Path("/sys")


@dataclass(frozen=True, slots=True)
class Load:
    """What the host is doing at one moment."""

    cpu_busy_s: float
    """CPU seconds spent by all processors since boot, idle and I/O wait left out."""
    worker_cpu_s: float
    """CPU seconds spent by this process and those of its children that have ended."""
    mem_available_bytes: int
    load1: float
    psi_cpu_some_avg10: float | None
    psi_memory_full_avg10: float | None
    psi_io_full_avg10: float | None


def host_facts() -> dict[str, Any]:
    """What does not change within a trial: processor, memory, kernel and its settings."""
    memory = psutil.virtual_memory()
    return {
        "cpu_model": _cpu_model(),
        "cpu_count": os.cpu_count(),
        "cpu_governor": _read(SYS / "devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "smt": _read(SYS / "devices/system/cpu/smt/control"),
        "hypervisor": "hypervisor" in _cpu_flags(),
        "mem_bytes": memory.total,
        "swap_bytes": psutil.swap_memory().total,
        "thp": _chosen(_read(SYS / "kernel/mm/transparent_hugepage/enabled")),
        "ksm_run": _read(SYS / "kernel/mm/ksm/run"),
        "clocksource": _read(SYS / "devices/system/clocksource/clocksource0/current_clocksource"),
        "cgroup_version": 2 if (SYS / "fs/cgroup/cgroup.controllers").exists() else 1,
        "pid1": _read(PROC / "1/comm"),
        "root": os.geteuid() == 0,
    }


@cache
def versions() -> dict[str, str]:
    """Versions of what runs on every host; drivers add their engines'."""
    return {
        "tonnage": version("tonnage"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "pyarrow": version("pyarrow"),
    }


def load_now() -> Load:
    """The host's load now: a few small reads of /proc."""
    cpu = psutil.cpu_times()
    own = os.times()
    return Load(
        cpu_busy_s=sum(cpu[:3]) + sum(cpu[5:8]),
        worker_cpu_s=own.user + own.system + own.children_user + own.children_system,
        mem_available_bytes=psutil.virtual_memory().available,
        load1=os.getloadavg()[0],
        psi_cpu_some_avg10=pressure("cpu", "some"),
        psi_memory_full_avg10=pressure("memory", "full"),
        psi_io_full_avg10=pressure("io", "full"),
    )


def can_drop_caches() -> bool:
    """Whether this process may empty the page cache."""
    return os.access(PROC / "sys/vm/drop_caches", os.W_OK) and os.geteuid() == 0


def drop_caches() -> None:
    """Write out dirty pages and empty the page cache, dentries and inodes."""
    os.sync()
    (PROC / "sys/vm/drop_caches").write_text("3\n")


def pressure(resource: str, kind: str) -> float | None:
    """Share of the last 10 s in which tasks waited, percent (kernel's PSI); None without PSI."""
    for line in (_read(PROC / "pressure" / resource) or "").splitlines():
        if line.startswith(kind):
            return float(line.split("avg10=")[1].split()[0])
    return None


def _cpu_model() -> str:
    for line in (_read(PROC / "cpuinfo") or "").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def _cpu_flags() -> str:
    for line in (_read(PROC / "cpuinfo") or "").splitlines():
        if line.startswith("flags"):
            return line
    return ""


def _chosen(text: str | None) -> str | None:
    """``always [madvise] never`` → ``madvise``."""
    return text.partition("[")[2].partition("]")[0] if text and "[" in text else text


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
