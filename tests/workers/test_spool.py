"""The spool keeps a part until it is delivered, and finds it again instead of measuring twice."""

import os
import time
from pathlib import Path

import pytest
from trials import make_part, make_trial

from contract.errors import PartError
from workers.spool import KEEP_DELIVERED_S, Spool

TRIAL = make_trial().trial_id


def test_what_was_put_is_found(tmp_path: Path) -> None:
    packed = make_part()
    Spool(tmp_path).put(packed)
    found = Spool(tmp_path).find(TRIAL, 0)
    assert found is not None
    assert found[0] == packed.data
    assert found[1].record.trial.trial_id == TRIAL


def test_only_newer_attempts_will_do(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for attempt in (1, 3):
        spool.put(make_part(attempt=attempt))
    found = spool.find(TRIAL, 2)
    assert found is not None
    assert found[1].record.attempt == 3
    assert spool.find(TRIAL, 3) is None
    assert spool.find("f" * 32, 0) is None


def test_a_delivered_part_no_longer_waits_but_is_found(tmp_path: Path) -> None:
    spool, packed = Spool(tmp_path), make_part()
    spool.put(packed)
    assert [path.name for path in spool.waiting()] == [packed.name]
    spool.mark_delivered(packed.name)
    assert spool.waiting() == []
    assert spool.find(TRIAL, 0) is not None


def test_delivering_twice_is_harmless(tmp_path: Path) -> None:
    spool, packed = Spool(tmp_path), make_part()
    spool.put(packed)
    for _ in range(2):
        spool.mark_delivered(packed.name)
    assert spool.find(TRIAL, 0) is not None


def test_the_oldest_part_is_delivered_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for age_s, attempt in ((10, 1), (30, 2), (20, 3)):
        packed = make_part(attempt=attempt)
        spool.put(packed)
        os.utime(tmp_path / "waiting" / packed.name, (time.time() - age_s,) * 2)
    assert [path.name.split(".")[1] for path in spool.waiting()] == ["2", "3", "1"]


def test_a_new_spool_is_empty(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "absent")
    assert spool.waiting() == []
    assert spool.find(TRIAL, 0) is None
    spool.forget_old()


def test_a_damaged_part_is_not_delivered(tmp_path: Path) -> None:
    spool, packed = Spool(tmp_path), make_part()
    spool.put(packed)
    (tmp_path / "waiting" / packed.name).write_bytes(packed.data[:-10])
    with pytest.raises(PartError):
        spool.find(TRIAL, 0)


def test_old_deliveries_are_forgotten_and_waiting_parts_never(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    parts = {age: make_part(attempt=n) for n, age in enumerate(("fresh", "old", "waiting"), 1)}
    for packed in parts.values():
        spool.put(packed)
    for age in ("old", "fresh"):
        spool.mark_delivered(parts[age].name)
    ancient = (time.time() - KEEP_DELIVERED_S - 60,) * 2
    os.utime(tmp_path / "delivered" / parts["old"].name, ancient)
    os.utime(tmp_path / "waiting" / parts["waiting"].name, ancient)
    spool.forget_old()
    left = {path.name for path in tmp_path.rglob("*.part")}
    assert left == {parts["fresh"].name, parts["waiting"].name}
