"""From the measuring process to the one that answers scrapes: a file of what happened, line by line."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Happening = dict[str, str | int | float]
"""``event`` says what happened; the rest is as that event has it."""


class Tally:
    """Written by the measuring process, a line per event; emptied by its parent at every heartbeat.

    Nothing is lost when the measuring process is killed, and neither process waits for the other for
    longer than a line takes. No thread, no socket: it costs a measurement nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self) -> None:
        """Forget what an earlier worker left. Raises OSError when the file cannot be there."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            pass
        self.take()

    def add(self, happening: Happening) -> None:
        """Append one event. Raises OSError."""
        line = "\n" + json.dumps(happening)  # begun anew: the one before may have been cut off
        with self._locked() as file:
            os.write(file, line.encode())

    def take(self) -> list[Happening]:
        """All events since the last call, oldest first. A line that was cut off is left out."""
        with self._locked() as file:
            text = b""
            while piece := os.pread(file, 1 << 20, len(text)):
                text += piece
            os.ftruncate(file, 0)
        found = [_happening(line) for line in text.splitlines()]
        return [happening for happening in found if happening is not None]

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Locked by the open file, so between threads, too."""
        mode = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(self._path, mode, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _happening(line: bytes) -> Happening | None:
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None
