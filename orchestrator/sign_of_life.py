"""That a coordinator is at work on a results folder, for whoever has the folder, on any machine.

A lock says so on the coordinator's own machine only. So it also writes a few words there, again
and again. A reader believes what changes while it looks; only its first look has to compare two clocks.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from contract.strict_json import read_json

FILE = "coordinator.json"
EVERY_S = 5.0
SILENT_S = 30.0
"""A sign that has not changed for so long is one of a coordinator that died, or cannot write."""
_WIDTH = 512
"""Every sign has so many bytes: one that is written over another leaves nothing of it."""
_MOST = 2**34
"""Numbers from here on are neither a time that a calendar has, nor a process."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What a coordinator says of itself."""

    machine: str
    pid: int
    began_s: float
    """Seconds since 1970 UTC by that machine's clock, as ``at_s``."""
    at_s: float


@dataclass(frozen=True, slots=True)
class Coordinator:
    """Who is, or was, at work on a folder."""

    machine: str
    alive: bool
    at_s: float
    """When it left the last sign, seconds since 1970 UTC by its own clock."""


@contextmanager
def shown_alive(folder: Path, every_s: float = EVERY_S) -> Iterator[None]:
    """Leave signs for as long as the block runs, and none after it. The folder's lock is held meanwhile.

    A folder that takes none is no reason to stop: whoever looks then sees no coordinator.
    """
    ended = threading.Event()
    sign = Sign(machine=socket.gethostname()[:255], pid=os.getpid(), began_s=time.time(), at_s=0.0)

    def keep() -> None:
        while not ended.wait(every_s):
            _write(folder / FILE, sign)

    with suppress(OSError):  # of one that was killed, maybe under another user
        (folder / FILE).unlink()
    _write(folder / FILE, sign)
    keeper = threading.Thread(target=keep, name="signs of life", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join(timeout=every_s)
        with suppress(OSError):
            (folder / FILE).unlink()


def _write(path: Path, sign: Sign) -> None:
    """Over the one before: a network file system shows a file that it knows sooner than a new one."""
    text = json.dumps(asdict(replace(sign, at_s=time.time())))
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with suppress(OSError):
        handle = os.open(path, flags, 0o644)
        try:
            os.write(handle, text.ljust(_WIDTH - 1).encode() + b"\n")
        finally:
            os.close(handle)


class SignReader:
    """Looks at one folder's sign again and again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._sign: Sign | None = None
        self._heard_s = 0.0
        """When it changed, by the monotonic clock here."""

    def read(self) -> Coordinator | None:
        """Who is at work on the folder, or was when it died; None where nobody is."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._sign = None
            return None
        try:
            with suppress(OSError):  # as it was: silence will tell
                self._hear(os.read(handle, 4 * _WIDTH))
        finally:
            os.close(handle)
        if self._sign is None:
            return None
        alive = time.monotonic() - self._heard_s <= SILENT_S
        return Coordinator(self._sign.machine, alive, self._sign.at_s)

    def _hear(self, said: bytes) -> None:
        sign = _sign_in(said)
        if sign is None or sign == self._sign:  # half written, none of ours, or nothing new
            return
        # one that differs from the last is new by our own clock; the first may have lain there for long
        age_s = 0.0 if self._sign is not None else abs(time.time() - sign.at_s)
        self._sign, self._heard_s = sign, time.monotonic() - age_s


def _sign_in(said: bytes) -> Sign | None:
    """What was said; None for what is no sign. Keys that another release adds are left alone."""
    try:
        content = read_json(said, 4 * _WIDTH)
        machine, *numbers = [content[field.name] for field in fields(Sign)]
        fits = isinstance(machine, str) and all(0 <= number < _MOST for number in numbers)
        return Sign(machine, *numbers) if fits else None
    except (ValueError, TypeError, LookupError):
        return None
