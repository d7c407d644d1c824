"""Limits of running processes as the kernel has them now, read from and written to control groups."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from contract.errors import EngineError
from workers.engines.cgroup import ROOT

PERIOD_US = 100_000
"""Accounting period of a CPU quota: the kernel's own default, and that of Docker and libvirt."""
_MIB = 1024 * 1024
_UNLIMITED_BYTES = 1 << 60
"""Version 1 says "no limit" by a number near the largest one."""


def cpus_of(folders: list[Path]) -> float | None:
    """The tightest CPU limit of groups and all above them, CPU seconds per second; None: no limit."""
    found = [limit for folder in _and_above(folders) if (limit := _cpus(folder)) is not None]
    return min(found, default=None)


def memory_mib_of(folders: list[Path]) -> int | None:
    """The tightest memory limit of groups and all above them, MiB; None: no limit."""
    found = [limit for folder in _and_above(folders) if (limit := _memory_bytes(folder)) is not None]
    return min(found) // _MIB if found else None


def limit_cpus(folders: tuple[Path, ...], cpus: float) -> None:
    """Set the CPU limit of an instance's own group. Raises EngineError."""
    quota_us = round(cpus * PERIOD_US)
    for folder in folders:
        if (folder / "cpu.max").exists():
            _write(folder / "cpu.max", f"{quota_us} {PERIOD_US}")
            return
        if (folder / "cpu.cfs_quota_us").exists():
            _write(folder / "cpu.cfs_period_us", str(PERIOD_US))
            _write(folder / "cpu.cfs_quota_us", str(quota_us))
            return
    raise EngineError("the instance has no control group for processors")


def limit_memory(folders: tuple[Path, ...], memory_mib: int) -> None:
    """Set the memory limit of an instance's own group, without any swap. Raises EngineError."""
    limit_bytes = memory_mib * _MIB
    for folder in folders:
        if (folder / "memory.max").exists():
            _write(folder / "memory.max", str(limit_bytes))
            return
        if (folder / "memory.limit_in_bytes").exists():
            _limit_memory(folder, limit_bytes)
            return
    raise EngineError("the instance has no control group for memory")


def _limit_memory(folder: Path, limit_bytes: int) -> None:
    """Version 1: memory with swap may never be less than memory alone, so the order is not free."""
    files = [folder / "memory.limit_in_bytes", folder / "memory.memsw.limit_in_bytes"]
    there = [file for file in files if file.exists()]  # no swap accounting, no second file
    if limit_bytes > int(there[0].read_text()):
        there.reverse()
    for file in there:
        _write(file, str(limit_bytes))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        raise EngineError(f"{file} refuses '{text}': {error.strerror}") from error


def _and_above(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        yield folder
        for parent in folder.parents:
            if parent in (ROOT, *ROOT.parents):
                break
            yield parent


def _cpus(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota_us = int((folder / "cpu.cfs_quota_us").read_text())
        return quota_us / int((folder / "cpu.cfs_period_us").read_text()) if quota_us > 0 else None
    return None


def _memory_bytes(folder: Path) -> int | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limit_bytes = int((folder / name).read_text())
            return limit_bytes if limit_bytes < _UNLIMITED_BYTES else None
    return None
