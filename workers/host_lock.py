"""One measurement at a time on a host: a lock file held for the life of a worker or a local run."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.errors import HostBusy, ResultsError


@contextmanager
def host_lock(state_dir: Path, who: str) -> Iterator[None]:
    """Hold the host for ``who``. Raises HostBusy that names the holder, ResultsError when unwritable."""
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
        yield
    finally:
        os.close(handle)


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
