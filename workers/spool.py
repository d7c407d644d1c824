"""The worker's durable spool: a finished trial survives broker, coordinator and reboot here."""

import time
from contextlib import suppress
from pathlib import Path

from contract.errors import ResultsError
from contract.parts import PackedPart, Part, list_parts, part_name, read_part, store_part

KEEP_DELIVERED_S = 14 * 24 * 3600
"""How long a delivered part is kept, in case its campaign's results are lost."""


class Spool:
    """Parts of this host: ``waiting`` until delivered, then ``delivered`` for two weeks."""

    def __init__(self, folder: Path) -> None:
        self._waiting = folder / "waiting"
        self._delivered = folder / "delivered"

    def put(self, packed: PackedPart, place: str = "") -> None:
        """Keep a part durably, and the shared place that it is to go to.

        Raises ResultsError when the disk cannot take it.
        """
        if place:
            try:
                self._waiting.mkdir(parents=True, exist_ok=True)
                self._place(packed.name).write_text(place, encoding="utf-8")
            except OSError as error:
                raise ResultsError(f"{self._waiting} cannot be written: {error.strerror}") from error
        store_part(self._waiting, packed.name, packed.data)

    def place_of(self, name: str) -> str:
        """The shared place that a waiting part is to go to; empty for the stream."""
        try:
            return self._place(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def find(self, trial_id: str, newer_than: int) -> tuple[bytes, Part] | None:
        """The newest part of a trial whose attempt is above ``newer_than``.

        Raises PartError when it is damaged.
        """
        for folder in (self._waiting, self._delivered):
            attempts = list_parts(folder).get(trial_id, ())
            if attempts and attempts[-1] > newer_than:
                data = (folder / part_name(trial_id, attempts[-1])).read_bytes()
                return data, read_part(data)
        return None

    def waiting(self) -> list[Path]:
        """Parts that nobody has taken yet, oldest first."""
        if not self._waiting.is_dir():
            return []
        return sorted(self._waiting.glob("*.part"), key=_written_at)

    def mark_delivered(self, name: str) -> None:
        """The broker or the results folder has the part now. Again is harmless."""
        self._delivered.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # trial and heartbeat may both have delivered it
            (self._waiting / name).replace(self._delivered / name)
        self._place(name).unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        return self._waiting / f"{name}.place"

    def forget_old(self) -> None:
        """Drop parts that were delivered long ago."""
        if self._delivered.is_dir():
            for path in self._delivered.glob("*.part"):
                if time.time() - _written_at(path) > KEEP_DELIVERED_S:
                    path.unlink(missing_ok=True)


def _written_at(path: Path) -> float:
    """Unix time of the file; now, when another process has just moved it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
