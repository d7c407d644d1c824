"""From a trial's record and rows to its part: one that every reader takes, whatever was measured.

An instance may say that it has run for infinity, or a program print no number at all. What no part can
hold must cost its own trial, and not the worker.
"""

from contract.errors import PartError
from contract.parts import PackedPart, TrialRecord, pack_part, read_part
from contract.rows import InstanceRow, Rows

_PLANNED = ("instance", "ready_level", "concurrency", "residents", "resident", "warm_up", "victim")
_MOST_WHY = 500


def pack(record: TrialRecord, rows: Rows) -> PackedPart:
    """The part of a trial, read once as its coordinator will. What makes none is a failed record."""
    try:
        packed = pack_part(record, rows)
        read_part(packed.data)
    except Exception as error:  # whatever it is, it is the trial's
        return _failed(record, rows, f"what was measured makes no part: {error!s:.{_MOST_WHY}}")
    return packed


def _failed(record: TrialRecord, rows: Rows, why: str) -> PackedPart:
    """The planned rows and what is known without the instances, with the cause."""
    planned = [
        InstanceRow(
            **{name: getattr(row, name) for name in _PLANNED},
            outcome="failed",
            error_class=PartError.code,
            error_text=why,
        )
        for row in rows.instances
    ]
    changes = {"outcome": "failed", "verdict": "invalid", "reasons": (why,), "facts": {}}
    changes |= {"error_class": PartError.code, "error_text": why}
    return pack_part(record.model_copy(update=changes), Rows(planned))
