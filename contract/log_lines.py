"""Log lines of workers and coordinators: text for people, or one JSON object per line for machines."""

import json
import logging
import math
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from contract.campaign import Frozen

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
LOG_FORMATS: tuple[str, ...] = get_args(LogFormat)
LOG_LEVELS: tuple[str, ...] = get_args(LogLevel)

NAMES_OF_A_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
"""What every record has; anything else was said by who wrote the line."""

MAX_TEXT = 20_000
"""Characters of a text on a line. What is refused is quoted, and may be as long as its sender likes."""

# Greedy up to the last @ of the word: a password that is not written as a URL wants may hold one.
# Bounded, and from the beginning of a word only: no text makes it try for long.
_URL_PASSWORD = re.compile(r"(?<![a-z+])([a-z+]{1,20}://[^\s:@/]{0,200}:)\S{1,1000}@", re.IGNORECASE)
_NAMED_PASSWORD = re.compile(r"(password=)[^&\s'\"]+", re.IGNORECASE)
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


class LogSettings(Frozen):
    """How a process logs."""

    format: LogFormat = "text"
    level: LogLevel = "info"
    host: str = ""
    """The host that a process stands for; a trial's own host wins."""


_measured: dict[str, str | int] = {}
"""Fields of the trial that this process measures. A worker's process measures one at a time, so all of
its threads may say so: context variables would not reach those that libraries start."""

_apart = threading.local()


@contextmanager
def measuring(**fields: str | int) -> Iterator[None]:
    """Every line of this process carries these fields for as long as the block runs."""
    _measured.update(fields)
    try:
        yield
    finally:
        _measured.clear()


def stand_apart() -> None:
    """Lines of this thread have nothing to do with the trial that the process measures."""
    _apart.always = True


def without_secrets(text: str) -> str:
    """The text with passwords of URLs left out; its end, too, where it is longer than ``MAX_TEXT``."""
    if len(text) > MAX_TEXT:  # nor the word that is cut: it may be a URL
        text = text[:MAX_TEXT].rpartition(" ")[0] + " … (cut)"
    return _NAMED_PASSWORD.sub(r"\1…", _URL_PASSWORD.sub(r"\1…@", text))


class TextLines(logging.Formatter):
    """A line as ever; control characters of what came from elsewhere are written out."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """The message on one line, whatever it quotes."""
        record.message = record.message.translate(_CONTROL)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """The whole line, an exception's lines after it."""
        return without_secrets(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message, host, the trial's fields, the event's."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host

    def format(self, record: logging.LogRecord) -> str:
        """The whole object, on one line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "host": self._host,
        }
        said |= {} if getattr(_apart, "always", False) else _measured
        said |= {
            key: value
            for key, value in vars(record).items()
            if key not in NAMES_OF_A_RECORD and _is_plain(value)
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps({k: without_secrets(v) if isinstance(v, str) else v for k, v in said.items()})


def _is_plain(value: object) -> bool:
    """What a line may carry. Libraries hang whole messages on their records."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


def silence_output() -> None:
    """Nothing goes to standard output any more: Celery speaks there beside all logging."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def set_up(settings: LogSettings) -> None:
    """Have this process log to standard error, and nothing else. Other libraries only warn."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(settings.host) if settings.format == "json" else TextLines())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("tonnage").setLevel(level)
