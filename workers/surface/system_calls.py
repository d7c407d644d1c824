"""System calls that an instance makes on the host's kernel, counted by strace while it works."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

PROGRAM = "strace"
_NOT_ITS_OWN = frozenset({"restart_syscall", "total"})
"""What the kernel resumes after the tracer's interruption, and the last line of the table."""
_POLL_S = 0.01
_ATTACH_S = 15.0
_END_S = 15.0


@dataclass(frozen=True, slots=True)
class SystemCalls:
    """What was counted; ``counts`` None when nothing could be, ``how`` says why."""

    counts: dict[str, int] | None
    how: str


class Tracer(Protocol):
    """Counts the system calls of one instance."""

    async def begin(self) -> None:
        """Start to count. Never raises: what went wrong is told at the end."""

    async def end(self) -> SystemCalls:
        """Stop, and let go of the instance. Belongs after every beginning, however it went."""


@dataclass(frozen=True, slots=True)
class ProcessTracer:
    """Traces a process of this host by strace, on the threads of a driver."""

    on_thread: Callable[..., Awaitable[Any]]
    """A driver's ``engine``."""
    pid: int | None
    strace: "Strace" = field(default_factory=lambda: Strace())  # noqa: PLW0108 - it is defined below

    async def begin(self) -> None:
        """Attach."""
        await self.on_thread(self.strace.begin, self.pid)

    async def end(self) -> SystemCalls:
        """Detach and read the counts."""
        calls: SystemCalls = await self.on_thread(self.strace.end)
        return calls


@dataclass(slots=True)
class Strace:
    """``strace -c -f -p PID``. Kernel threads of an instance (vhost) make no calls and are not in it.

    Both methods block, bounded.
    """

    _process: subprocess.Popen[str] | None = None
    _ended: bool = False
    _why: str = "nothing was traced"
    _how: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Between a beginning whose caller gave up and the end that follows."""

    def begin(self, pid: int | None) -> None:
        """Attach to all threads; returns once all are, or after a while of trying."""
        program = shutil.which(PROGRAM)
        if program is None or pid is None:
            self._why = f"{PROGRAM} is not on this host" if pid else "it has no process on this host"
            return
        with self._lock:
            if self._ended:
                return
            self._how = f"{PROGRAM} -c -f -p PID of the instance's own process"
            self._process = subprocess.Popen(  # noqa: S603 - arguments only, no shell reads any of them
                [program, "-qq", "-c", "-f", "-p", str(pid)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={"LC_ALL": "C", "PATH": os.environ.get("PATH", "")},
                start_new_session=True,
                text=True,
            )
        self._await_attached(pid)

    def end(self) -> SystemCalls:
        """Detach and read the counts."""
        with self._lock:
            self._ended = True
            process, self._process = self._process, None
        if process is None:
            return SystemCalls(None, self._why)
        said = _said_at_end(process)
        if self._why:
            return SystemCalls(None, f"{self._why}: {said.strip()[:200]}")
        return SystemCalls(counts_in(said), self._how)

    def _await_attached(self, pid: int) -> None:
        give_up = time.monotonic() + _ATTACH_S
        while time.monotonic() < give_up:
            process = self._process
            if process is None or process.poll() is not None:
                break
            if _is_traced(pid, process.pid):
                self._why = ""
                return
            time.sleep(_POLL_S)
        self._why = f"{PROGRAM} did not attach to it"


def counts_in(summary: str) -> dict[str, int]:
    """Calls by name, out of the table that ``strace -c`` prints; empty when none were made."""
    found: dict[str, int] = {}
    for line in summary.splitlines():
        fields = line.split()
        # % time, seconds, usecs/call, calls, errors where there were any, syscall
        numbers = len(fields) in (5, 6) and fields[3].isdecimal() and fields[0][0].isdecimal()
        if numbers and fields[-1] not in _NOT_ITS_OWN:
            found[fields[-1]] = found.get(fields[-1], 0) + int(fields[3])
    return found


def _said_at_end(process: subprocess.Popen[str]) -> str:
    """Interrupt it, which detaches and sums up; kill it when it does not end. The traced goes on."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=_END_S)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[1]


def _is_traced(pid: int, tracer: int) -> bool:
    """Whether all threads of a process are traced by this one."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        statuses = [(task / "status").read_text() for task in tasks]
    except OSError:
        return False
    return bool(statuses) and all(f"\nTracerPid:\t{tracer}\n" in status for status in statuses)
