"""What a worker tells of itself: an event is a line in its log and, where metrics are shown, a count."""

import logging
from pathlib import Path
from typing import Any, Literal

from workers.tally import Tally

log = logging.getLogger("tonnage.worker")

Event = Literal[
    "worker_registered",
    "worker_left",
    "trial_begun",
    "trial_ended",
    "trial_cancelled",
    "order_dropped",
    "message_refused",
    "lease_lost",
    "part_delivered",
    "part_waiting",
    "leftovers_swept",
]

_tally: Tally | None = None


def count_into(path: Path | None) -> None:
    """Where this process counts its events; None counts nothing."""
    global _tally  # noqa: PLW0603 - one per process, as the log is
    _tally = Tally(path) if path else None


def tell(event: Event, text: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event, its fields beside its text, and count it. Never raises."""
    log.log(level, "%s", text, extra={"event": event, **fields})
    if _tally is None:
        return
    try:
        _tally.add({"event": event, **fields})
    except OSError as error:
        log.warning("metrics: %s cannot be counted: %s", event, error)
