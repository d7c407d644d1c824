"""Ending an engine's daemon and starting it again, as it was started.

Done by a process of its own: whatever happens to the worker in between, the daemon comes back. Under
systemd its unit is restarted; elsewhere the same program is run with the same arguments, environment,
folder and namespaces.

python -m workers.engines.daemon_restart SOCKET DEADLINE_S
"""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import EngineError, EngineTimeout, NotAllowed
from workers import shell

if TYPE_CHECKING:
    from workers.drivers.base import AnyDriver

GRACE_S = 30.0
"""For a daemon to end by itself after SIGTERM."""
_NAMESPACES = ("mnt", "net", "pid", "ipc", "uts")
_POLL_S = 0.02
_ASK_S = 30
_PROC = Path("/proc")


async def see_that_it_may(driver: "AnyDriver") -> None:
    """Raises NotAllowed when this driver's engine must not be restarted.

    That takes the permission of the host's operator, and no instances that are not ours.
    """
    if not driver.host.may_restart_engines:
        raise NotAllowed(
            f"restarting {driver.name} needs the permission of this host's operator: "
            "--may-restart-engines on its worker or local run"
        )
    foreign = (await driver.facts())["foreign_instances"]
    if foreign:
        raise NotAllowed(f"restarting {driver.name} would hit {foreign} instances that are not ours")


async def restart_engine(driver: "AnyDriver", engine_socket: Path) -> None:
    """Restart the daemon behind a driver's socket. Returns once it answers again.

    Raises NotAllowed as ``see_that_it_may`` does; EngineError when the daemon cannot be restarted.
    """
    await see_that_it_may(driver)
    deadline_s = driver.host.engine_deadline_s
    await driver.engine(_restart_beside, engine_socket, deadline_s)


def _restart_beside(engine_socket: Path, deadline_s: float) -> None:
    """Have another process do it. It goes on when this one gives up, or dies."""
    module = ["-m", "workers.engines.daemon_restart", str(engine_socket), f"{deadline_s:g}"]
    beside = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
        [sys.executable, *module],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, said = beside.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired as error:
        raise EngineTimeout(f"the restart at {engine_socket} did not end in {deadline_s:g} s") from error
    if beside.returncode != 0:
        raise EngineError(f"restart at {engine_socket}: {said.decode(errors='replace').strip()[-500:]}")


def daemon_behind(engine_socket: Path) -> int:
    """PID of the process that listens at a Unix socket, by SO_PEERCRED. Raises OSError."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(5)
        link.connect(str(engine_socket))
        credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def main(engine_socket: Path, deadline_s: float) -> None:
    """End and start the daemon. Raises OSError or EngineError."""
    give_up = time.monotonic() + deadline_s
    pid = daemon_behind(engine_socket)
    unit = _unit_of(pid, engine_socket)
    if unit is not None:
        shell.run(["systemctl", "restart", unit], deadline_s=deadline_s)
    else:
        _end_and_start(pid)
    while not _answers(engine_socket):
        if time.monotonic() > give_up:
            raise EngineError(f"nothing listens at {engine_socket} {deadline_s:g} s after the restart")
        time.sleep(_POLL_S)


def _unit_of(pid: int, engine_socket: Path) -> str | None:
    """The systemd unit of a daemon; None where no systemd runs it.

    A daemon that systemd starts on demand has its socket from systemd, which then is its other end: the
    unit is the one that the socket activates. Raises EngineError when that cannot be told.
    """
    if (_PROC / "1/comm").read_text().strip() != "systemd":
        return None
    if pid == 1:
        return _activated_by(engine_socket)
    for line in (_PROC / str(pid) / "cgroup").read_text().splitlines():
        name = line.rpartition("/")[2]
        if name.endswith(".service") and _main_pid(name) == pid:  # not one started by hand below it
            return name
    return None


def _main_pid(unit: str) -> int:
    shown = shell.run(["systemctl", "show", "--property=MainPID", "--value", unit], deadline_s=_ASK_S)
    return int(shown.stdout.strip() or 0)


def _activated_by(engine_socket: Path) -> str:
    """The unit that systemd starts for a socket: the last column of its list of sockets."""
    places = {str(engine_socket), str(engine_socket.resolve())}
    command = ["systemctl", "list-sockets", "--all", "--full", "--no-legend", "--no-pager"]
    for line in shell.run(command, deadline_s=_ASK_S).stdout.splitlines():
        words = line.split()
        if len(words) >= 3 and words[0] in places and words[-1].endswith(".service"):
            return words[-1]
    raise EngineError(f"systemd listens at {engine_socket} and does not say for which unit")


def _end_and_start(pid: int) -> None:
    home = _PROC / str(pid)
    program = str((home / "exe").readlink())
    arguments = (home / "cmdline").read_bytes().split(b"\0")[:-1]
    environment = dict(
        entry.split(b"=", 1) for entry in (home / "environ").read_bytes().split(b"\0") if b"=" in entry
    )
    folder, said = (home / "cwd").readlink(), _log_of(home)
    spaces = {name: os.open(home / "ns" / name, os.O_RDONLY) for name in _foreign_namespaces(home)}
    enter = [f"--{_option(name)}=/proc/self/fd/{handle}" for name, handle in spaces.items()]
    _end(pid)
    command: list[str | bytes] = [*(["nsenter", *enter, "--"] if enter else []), program, *arguments[1:]]
    subprocess.Popen(  # noqa: S603 - what ran before, no shell reads any of it
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        start_new_session=True,
        pass_fds=tuple(spaces.values()),
    )


def _end(pid: int) -> None:
    handle = os.pidfd_open(pid)
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], GRACE_S)[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], GRACE_S)
    finally:
        os.close(handle)


def _foreign_namespaces(home: Path) -> list[str]:
    """Namespaces of a process that are not ours."""
    own = _PROC / "self/ns"
    return [name for name in _NAMESPACES if (home / "ns" / name).readlink() != (own / name).readlink()]


def _option(namespace: str) -> str:
    return {"mnt": "mount"}.get(namespace, namespace)


def _log_of(home: Path) -> int:
    """Where the daemon wrote, when that is a file; what it says goes on there."""
    with suppress(OSError):
        path = (home / "fd/2").readlink()
        if path.is_file():
            return os.open(path, os.O_WRONLY | os.O_APPEND)
    return subprocess.DEVNULL


def _answers(engine_socket: Path) -> bool:
    try:
        daemon_behind(engine_socket)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), float(sys.argv[2]))
    except (OSError, EngineError) as error:
        sys.exit(f"{error}")
