"""Answers that take long to work out: made beside the pages, kept for those who ask the same again."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from contract.errors import DatasetError

MOST_ANSWERS = 32
WORKERS = 2
TOPIC = "answers"
"""Pages that show an unfinished answer listen to this."""
Answer = TypeVar("Answer")


class Answers:
    """Answers by what was asked. Two who ask the same wait for one."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._asked: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="answers")

    def ask(self, asked: Hashable, make: Callable[[], Answer], wait_s: float) -> Answer | None:
        """The answer, or None when it is not there within so many seconds: ask again later.

        Raises what ``make`` raised.
        """
        with self._lock:
            future = self._asked.pop(asked, None)
            if future is None:
                future = self._pool.submit(make)
                future.add_done_callback(lambda _: self._changed(TOPIC))
            self._asked[asked] = future
            while len(self._asked) > MOST_ANSWERS:
                self._asked.popitem(last=False)[1].cancel()
        if not wait([future], timeout=wait_s).done:
            return None
        found: Answer = future.result()
        return found

    def end(self) -> None:
        """Take no more questions; what is being worked out is finished for nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def stamp_of(dataset: Path) -> tuple[str, int, int]:
    """What is another one as soon as a dataset has been gathered anew. Raises DatasetError."""
    try:
        status = (dataset / "manifest.json").stat()
    except OSError as error:
        raise DatasetError(f"{dataset} is no dataset: {error.strerror}") from error
    return str(dataset), status.st_ino, status.st_mtime_ns
