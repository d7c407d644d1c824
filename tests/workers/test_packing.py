"""Whatever an instance has said, its trial leaves a part that every reader takes."""

from typing import Any

import pytest
from trials import make_record

from contract.parts import read_part
from contract.rows import InstanceRow, Rows, Sample
from workers.packing import pack


def rows(**changes: Any) -> Rows:
    return Rows([InstanceRow(0, "ok"), InstanceRow(1, "ok", resident=True, **changes)])


def test_what_is_sound_is_packed_as_it_is() -> None:
    part = read_part(pack(make_record(), rows(t_ready=5)).data)
    assert (part.record.outcome, part.record.verdict) == ("completed", "valid")
    assert part.tables["instances"].column("t_ready").to_pylist() == [None, 5]


HOSTILE: dict[str, tuple[dict[str, Any], Rows]] = {
    "an uptime beyond its column": ({}, rows(guest_uptime_ns=2**70)),
    "text of half a character": ({}, rows(error_text="\ud800")),
    "a value that is no number": ({}, Rows(rows().instances, [Sample(1, "m", float("nan"), "1")])),
    "a value that is infinite": ({}, Rows(rows().instances, [Sample(1, "m", float("inf"), "1")])),
    "a finding beyond all numbers": ({"facts": {"findings": {"x": 10**400}}}, rows()),
    "findings without end": ({"facts": {"findings": ["x" * 1000] * 10_000}}, rows()),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_makes_no_part_fails_its_trial_and_keeps_every_planned_row(name: str) -> None:
    changes, measured = HOSTILE[name]
    part = read_part(pack(make_record(**changes), measured).data)
    assert (part.record.outcome, part.record.verdict) == ("failed", "invalid")
    assert part.record.error_class == "part"
    assert str(part.record.error_text).startswith("what was measured makes no part: ")
    said = part.tables["instances"].to_pylist()
    assert [(row["outcome"], row["resident"]) for row in said] == [("failed", False), ("failed", True)]
    assert part.tables["samples"].num_rows == 0
