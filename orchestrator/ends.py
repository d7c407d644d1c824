"""How trials ended, a line per part, so that a look at a campaign need not open 100,000 of them.

Written by the coordinator as parts come in. What is not in it, is read from the part itself: it may be
deleted at any time.
"""

import io
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from contract.errors import PartError
from contract.parts import TrialRecord, part_name, peek_record
from contract.trial import Receipt

End = tuple[str, str, str]
"""Outcome, verdict, and why the trial did not complete."""

_NAME = ".ends.jsonl"


def end_of(record: TrialRecord) -> End:
    """How a trial ended, as its record says."""
    why = record.error_text or "; ".join(record.reasons) or record.outcome
    return record.outcome, record.verdict, why


def note_ends(folder: Path, came: Sequence[tuple[Receipt, bytes]]) -> None:
    """Write down how the trials of parts ended."""
    lines = []
    for receipt, data in came:
        end: End = (receipt.outcome, receipt.verdict, "")
        if receipt.outcome != "completed":
            try:
                end = end_of(peek_record(io.BytesIO(data)))
            except PartError:  # whoever reads it is told
                continue
        lines.append(json.dumps([part_name(receipt.trial_id, receipt.attempt), *end]) + "\n")
    if not lines:
        return
    with suppress(OSError), (folder / _NAME).open("a", encoding="utf-8") as file:
        file.write("".join(lines))


def read_ends(folder: Path) -> dict[str, End]:
    """What was written down, by name of the part; the last word counts."""
    try:
        lines = (folder / _NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    try:
        return _ends(f"[{','.join(lines)}]")
    except (ValueError, TypeError):  # a coordinator was killed while it wrote
        found: dict[str, End] = {}
        for line in lines:
            with suppress(ValueError, TypeError):
                found |= _ends(f"[{line}]")
        return found


def _ends(text: str) -> dict[str, End]:
    return {name: (outcome, verdict, why) for name, outcome, verdict, why in json.loads(text)}
