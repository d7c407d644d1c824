"""Trials, rows, records and parts as tests need them: small, valid, each field changeable."""

from typing import Any

from contract.parts import PackedPart, TrialRecord, pack_part
from contract.rows import InstanceRow, Rows, Sample
from contract.trial import Trial


def make_trial(**changes: Any) -> Trial:
    """A short lifecycle trial on the simulated driver."""
    content: dict[str, Any] = {
        "campaign": "sample",
        "host": "h1",
        "block": 0,
        "order": 0,
        "experiment": "lifecycle",
        "driver": "simulated",
        "profile": "default",
        "params": {"instances": 3},
        "deadline_s": 60.0,
        "seed": 7,
    }
    return Trial.model_validate(content | changes)


def make_record(trial: Trial | None = None, **changes: Any) -> TrialRecord:
    """How a trial ended: well, unless told otherwise."""
    content: dict[str, Any] = {
        "trial": trial or make_trial(),
        "outcome": "completed",
        "verdict": "valid",
        "started_at_ns": 1_790_000_000_123_456_789,
        "duration_ns": 5_000_000_000,
        "virtual": True,
    }
    return TrialRecord.model_validate(content | changes)


def make_rows(instances: int = 3, samples: int = 2) -> Rows:
    """Instances that went well, and some observations."""
    return Rows(
        [
            InstanceRow(i, "ok", t_intent=i * 1000, t_call=i * 1000 + 1, t_ready=i * 1000 + 500)
            for i in range(instances)
        ],
        [Sample(t_ns=i, metric="host.cpu_busy", value=0.25, unit="cpus") for i in range(samples)],
    )


def make_part(trial: Trial | None = None, rows: Rows | None = None, **changes: Any) -> PackedPart:
    """A part of a trial."""
    return pack_part(make_record(trial, **changes), rows or make_rows())
