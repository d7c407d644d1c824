"""Programs of the host, run with a list of arguments and a deadline. No shell ever sees them."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.errors import EngineAbsent, EngineError, EngineTimeout

_MAX_OUTPUT_CHARS = 2000
"""Of a failed program's output, in the error's text."""

PACKAGES = {
    "debugfs": "e2fsprogs",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "zstd": "zstd",
}
"""Debian packages of the programs that are run here."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program that ended with 0 said."""

    stdout: str
    stderr: str


def find_program(name: str) -> str:
    """Path of a program. Raises EngineAbsent that names its package."""
    path = _search(name)
    if path is None:
        raise EngineAbsent(f"'{name}' is not on this host: install '{PACKAGES.get(name, name)}'")
    return path


def has_program(name: str) -> bool:
    """Whether a program is on this host."""
    return _search(name) is not None


def run(arguments: Sequence[str | Path], *, deadline_s: float, stdin: bytes = b"") -> Ran:
    """Run a program to its end.

    Raises EngineAbsent when it is not there, EngineTimeout when it is killed at the deadline, and
    EngineError with its output when it ends with anything but 0.
    """
    return _text(run_binary(arguments, deadline_s=deadline_s, stdin=stdin))


def run_binary(
    arguments: Sequence[str | Path], *, deadline_s: float, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Like ``run``, for a program whose output is not text."""
    name, *rest = map(str, arguments)
    program = find_program(name)
    try:
        ended = subprocess.run(  # noqa: S603 - a list of arguments, no shell
            [program, *rest], input=stdin, capture_output=True, timeout=deadline_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EngineTimeout(f"'{name}' did not end in {deadline_s:g} s and was killed") from error
    except OSError as error:
        raise EngineError(f"'{name}' cannot be run: {error}") from error
    if ended.returncode != 0:
        said = (ended.stderr + ended.stdout).decode("utf-8", "replace").strip()
        raise EngineError(f"'{name}' ended with {ended.returncode}: {said[-_MAX_OUTPUT_CHARS:]}")
    return ended


def run_until(arguments: Sequence[str | Path], marker: str, *, deadline_s: float) -> tuple[bool, str]:
    """Run a program until it has said ``marker``, then kill it.

    Returns whether it did so by the deadline, and the end of what it said. The program and all it
    started are dead when this returns; should this process die first, ``timeout`` ends them.
    """
    name, *rest = map(str, arguments)
    guard = [find_program("timeout"), "-s", "KILL", f"{deadline_s + 1:g}", find_program(name), *rest]
    process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
        guard,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    timer = threading.Timer(deadline_s, _kill_group, [process.pid])
    timer.start()
    try:
        said = _read_until(process, marker.encode())
    finally:
        timer.cancel()
        _kill_group(process.pid)
        process.wait()
    text = said.decode("utf-8", "replace")
    return marker in text, text[-_MAX_OUTPUT_CHARS:]


def _search(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")


def _read_until(process: subprocess.Popen[bytes], marker: bytes) -> bytes:
    said = b""
    assert process.stdout is not None
    with process.stdout as output:
        while marker not in said and (more := os.read(output.fileno(), 65536)):
            said = (said + more)[-65536:]
    return said


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _text(ended: subprocess.CompletedProcess[bytes]) -> Ran:
    return Ran(ended.stdout.decode("utf-8", "replace"), ended.stderr.decode("utf-8", "replace"))
