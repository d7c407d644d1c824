"""How the trials ended whose parts came in, a line each: so that nobody opens every part to count them.

A hint beside the parts: one without a line, or of another size, is looked into. So the file may be cut
short, or removed.
"""

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from contract.errors import PartError
from contract.json_text import loads
from contract.parts import TrialRecord, peek_record
from contract.trial import Receipt


class End(NamedTuple):
    """How a trial ended."""

    outcome: str
    verdict: str
    why: str
    """The cause where it did not complete."""


def end_of(record: TrialRecord) -> End:
    """What a record says of its trial's end."""
    why = record.error_text or "; ".join(record.reasons) or record.outcome
    return End(record.outcome, record.verdict, why if record.outcome != "completed" else "")


def end_in(data: bytes) -> End | None:
    """How the trial of a part ended; None for one that cannot be read, as its readers are told."""
    with suppress(PartError):
        return end_of(peek_record(io.BytesIO(data)))
    return None


def end_told(receipt: Receipt, data: bytes) -> End | None:
    """The same of a part that came with its receipt, which says enough of a completed trial."""
    if receipt.outcome == "completed":
        return End(receipt.outcome, receipt.verdict, "")
    return end_in(data)


def note_ends(file: Path, ends: Mapping[str, tuple[int, End]]) -> None:
    """Add a line per part that was stored, given its name, its size and its end. Raises OSError."""
    lines = [json.dumps([name, size, *end]) + "\n" for name, (size, end) in ends.items()]
    if lines:
        with file.open("a", encoding="utf-8") as stream:
            stream.write("".join(lines))


def read_ends(file: Path, parts: Path) -> dict[str, End]:
    """Ends by name of those parts that are there in the size that was noted; of two lines the later."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(parts)}
    except OSError:
        return {}
    return {
        name: End(outcome, verdict, why)
        for name, size, outcome, verdict, why in _lines(text)
        if sizes.get(name) == size
    }


def _lines(text: str) -> Iterator[list[Any]]:
    lines = text.splitlines()
    try:
        every = loads(f"[{','.join(lines)}]")
    except ValueError:  # a line was cut short: nobody waited for the disk
        every = filter(None, map(_read, lines))
    for said in every:
        if isinstance(said, list) and len(said) == 5 and isinstance(said[0], str):
            yield said


def _read(line: str) -> Any:
    with suppress(ValueError):
        return loads(line)
    return None
