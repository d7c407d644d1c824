"""How the trials ended whose parts came in, a line each: so that nobody opens every part to count them.

A hint beside the parts: one without a line, or of another size, is looked into. So the file may be cut
short, or removed.
"""

import io
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from contract.errors import PartError
from contract.typed_json import read_shape

if TYPE_CHECKING:  # to count what was noted, no part need be read
    from contract.parts import TrialRecord
    from contract.trial import Receipt

_Line = tuple[str, int, str, str, str]
"""Name and size of a part, and the end of its trial."""
MAX_LINE_BYTES = 1024 * 1024
MOST_SIZES = 20_000
"""So many parts are asked for their size."""


class End(NamedTuple):
    """How a trial ended."""

    outcome: str
    verdict: str
    why: str
    """The cause where it did not complete."""


def end_of(record: "TrialRecord") -> End:
    """What a record says of its trial's end."""
    why = record.error_text or "; ".join(record.reasons) or record.outcome
    return End(record.outcome, record.verdict, why if record.outcome != "completed" else "")


def end_in(data: bytes) -> End | None:
    """How the trial of a part ended; None for one that cannot be read, as its readers are told."""
    from contract.parts import peek_record

    with suppress(PartError):
        return end_of(peek_record(io.BytesIO(data)))
    return None


def end_told(receipt: "Receipt", data: bytes) -> End | None:
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
    """Ends by name of part, of two lines the later; the latest parts must be there in the size noted.

    Of older ones that is not asked, since it takes longer than all else: who gathers verifies each.
    """
    try:
        lines = list(_lines(file.read_bytes()))
        folder = os.open(parts, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return {}
    made = cache(End)  # thousands end alike
    try:
        latest = [line for line in lines[-MOST_SIZES:] if _size_bytes(line[0], folder) == line[1]]
        return {
            name: made(outcome, verdict, why)
            for name, _, outcome, verdict, why in lines[:-MOST_SIZES] + latest
        }
    finally:
        os.close(folder)


def _size_bytes(name: str, folder: int) -> int:
    """Of a file in the open folder; -1 without one. One by one is cheaper than a listing."""
    try:
        return os.stat(name, dir_fd=folder).st_size
    except (OSError, ValueError):
        return -1


def _lines(text: bytes) -> Iterable[_Line]:
    try:
        return _decoder().decode_lines(text)
    except ValueError:  # a line was cut short: nobody waited for the disk
        return filter(None, map(_read, text.splitlines()))


def _read(line: bytes) -> _Line | None:
    with suppress(ValueError):
        return read_shape(_decoder(), line, MAX_LINE_BYTES)
    return None


@cache
def _decoder() -> "msgspec.json.Decoder[_Line]":
    return msgspec.json.Decoder(_Line)
