"""One measurement at a time on a host, for the life of a worker or a local run.

Two things are held: a lock file in the state folder, and the host's name on this machine. What is swept
is told by that name, so two runs under one name would remove each other's instances from different
folders.
"""

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from contract.errors import HostBusy, ResultsError


@contextmanager
def host_lock(state_dir: Path, who: str, name: str | None = None) -> Iterator[None]:
    """Hold the host for ``who``. Raises HostBusy that names the holder, ResultsError when unwritable.

    ``name`` is the host's; without it only the folder is held.
    """
    path = state_dir / "host.lock"
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        refuse_open_to_all(state_dir, "--state-dir")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        os.fchmod(handle, 0o600)  # who may read it could hold it, too
    except OSError as error:
        raise ResultsError(
            f"state folder {state_dir} cannot be written: {error.strerror}; "
            "choose another with --state-dir"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
        os.close(handle)
        busy = HostBusy(
            f"this host is being measured by {holder}; two measurements at once would spoil each other"
        )
        busy.holder = holder
        raise busy from error
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{who} (pid {os.getpid()})\n".encode())
        with nullcontext() if name is None else _name_lock(name):
            yield
    finally:
        os.close(handle)


@contextmanager
def _name_lock(name: str) -> Iterator[None]:
    """Hold a host's name: a socket that has no file, and that the kernel takes back whatever happens."""
    with socket.socket(socket.AF_UNIX) as held:
        try:
            held.bind(f"\0tonnage.host.{name}")
        except OSError as error:
            raise HostBusy(
                f"host '{name}' is being measured on this machine out of another state folder; two "
                "measurements under one name would remove each other's instances. Wait for its end, or "
                "give this host another name with --name"
            ) from error
        yield


def refuse_open_to_all(folder: Path, option: str) -> None:
    """Raises ResultsError for a folder in which every user of the host could put or replace files."""
    if folder.stat().st_mode & stat.S_IWOTH:
        raise ResultsError(
            f"{folder} may be written by every user of this host, who could put files of theirs in "
            f"place of ours: choose a folder of your own with {option}, or 'chmod o-w {folder}'"
        )


def lock_holder(state_dir: Path) -> str | None:
    """Who holds the host's lock, or None."""
    try:
        with host_lock(state_dir, "a look"):
            return None
    except HostBusy as error:
        return error.holder
    except ResultsError:
        return None
