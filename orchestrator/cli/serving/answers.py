"""Answers that take long to work out, kept for those who ask the same again; one is made at a time."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from contract.errors import DatasetError

MOST_ANSWERS = 32
Answer = TypeVar("Answer")


class Answers:
    """Kept answers by what was asked. Whoever asks what is being made waits for it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, asked: Hashable, make: Callable[[], Answer]) -> Answer:
        """The kept answer, or a new one. What ``make`` raises is not kept."""
        if asked in self._kept:
            found: Answer = self._kept[asked]
            return found
        with self._lock:
            if asked not in self._kept:
                self._kept[asked] = make()
                while len(self._kept) > MOST_ANSWERS:
                    self._kept.popitem(last=False)
            found = self._kept[asked]
            return found


def stamp_of(dataset: Path) -> tuple[str, int, int]:
    """What is another one as soon as a dataset has been gathered anew. Raises DatasetError."""
    try:
        status = (dataset / "manifest.json").stat()
    except OSError as error:
        raise DatasetError(f"{dataset} is no dataset: {error.strerror}") from error
    return str(dataset), status.st_ino, status.st_mtime_ns
