"""Whose a bare process is: written into its environment at birth, read back from /proc by sweep."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from workers.ownership import LABEL_PREFIX, Owner, owner_from_labels

_VARIABLE_PREFIX = "TONNAGE_OWNER_"


def owner_variables(owner: Owner) -> dict[str, str]:
    """The owner's labels as environment variables. Shells drop names with dots, so those have none."""
    return {
        _VARIABLE_PREFIX + label.removeprefix(LABEL_PREFIX).upper(): value
        for label, value in owner.labels().items()
    }


def owned_processes() -> Iterator[tuple[int, Owner]]:
    """Every process of ours on this machine that we may look at, with its owner."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            owner = _owner_of(int(name))
            if owner is not None:
                yield int(name), owner


def kill_owned(pid: int) -> bool:
    """Kill the process if it is one of ours; its number may have gone to somebody else meanwhile.

    Returns whether it was killed.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if _owner_of(pid) is None:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def _owner_of(pid: int) -> Owner | None:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # ended meanwhile, or somebody else's
        return None
    if _VARIABLE_PREFIX.encode() not in environment:
        return None
    labels = {}
    for variable in environment.decode("utf-8", "replace").split("\0"):
        key, _, value = variable.partition("=")
        if key.startswith(_VARIABLE_PREFIX):
            labels[LABEL_PREFIX + key.removeprefix(_VARIABLE_PREFIX).lower()] = value
    return owner_from_labels(labels)
