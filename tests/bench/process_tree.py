"""What a program and all that it started use: processor time and memory."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Use:
    """Of a process with its children and theirs."""

    cpu_s: float
    """Of all threads that are there, to the nanosecond (``schedstat``)."""
    pss_bytes: int
    """Pages that are shared with others count as their share (``smaps_rollup``)."""
    rss_bytes: int
    """Pages that are shared count once for each process."""
    processes: int

    @classmethod
    def of(cls, pid: int) -> "Use":
        """Now."""
        top = psutil.Process(pid)
        family = [top, *top.children(recursive=True)]
        return cls(
            cpu_s=sum(_cpu_s(member.pid) for member in family),
            pss_bytes=sum(_pss_bytes(member.pid) for member in family),
            rss_bytes=sum(_rss_bytes(member) for member in family),
            processes=len(family),
        )


def cpus_of(pids: dict[str, int], seconds: float) -> dict[str, float]:
    """Processors that each family uses, on average over this long: the same time for all."""
    before = {name: Use.of(pid).cpu_s for name, pid in pids.items()}
    begun = time.monotonic()
    time.sleep(seconds)
    passed_s = time.monotonic() - begun
    return {name: (Use.of(pid).cpu_s - before[name]) / passed_s for name, pid in pids.items()}


def _cpu_s(pid: int) -> float:
    ns = 0
    for task in _threads(pid):
        with suppress(OSError):  # it ended meanwhile
            ns += int((task / "schedstat").read_text().split()[0])
    return ns / 1e9


def _threads(pid: int) -> list[Path]:
    with suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def _rss_bytes(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


def _pss_bytes(pid: int) -> int:
    with suppress(OSError):  # it ended meanwhile
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def end(process: psutil.Popen, within_s: float = 30.0) -> None:
    """Ask a program to end, and its family with it; kill what does not."""
    family = process.children(recursive=True) if process.is_running() else []
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    _, alive = psutil.wait_procs([process, *family], timeout=within_s)
    for stubborn in alive:
        with suppress(psutil.NoSuchProcess):
            stubborn.kill()
    psutil.wait_procs(alive, timeout=5)
