"""Times until ready out of parts: which attempts count, quantiles with failures, doubts."""

import math
from typing import Any

import pytest
from serving_rig import TRIALS, Rig
from trials import make_record

from contract.parts import pack_part
from contract.rows import InstanceRow, Rows
from orchestrator.cli.views import ready_times
from orchestrator.cli.views.reading import CampaignReader
from orchestrator.cli.views.ready_times import PartsSeen, ReadyTimes

KEY = ("lifecycle", "simulated", "default")


def row(place: int, took_ns: int | None = None, **changes: Any) -> InstanceRow:
    made = InstanceRow(place)
    made.outcome, made.t_intent = "ok" if took_ns else "failed", 1000
    made.t_ready = None if took_ns is None else 1000 + took_ns
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def put(rig: Rig, place: int, rows: list[InstanceRow], attempt: int = 1, **changes: Any) -> None:
    record = make_record(TRIALS[place], attempt=attempt, **changes)
    part = pack_part(record, Rows(rows))
    rig.results.store(part.name, part.data)


def seen(rig: Rig) -> PartsSeen:
    reader, found = CampaignReader(rig.results.folder), PartsSeen()
    reader.read()
    found.take(reader, 60)
    return found


def near(value: float | None, ns: float) -> bool:
    return value is not None and abs(math.log(value / ns)) <= ready_times.STEP / 2


def test_attempts_count_as_in_the_report(rig: Rig) -> None:
    rows = [
        row(0, 10**6),
        row(1, 2 * 10**6),
        row(2),
        row(3, 9 * 10**9, warm_up=True),
        row(4, 9 * 10**9, resident=True),
        row(5, error_class="cancelled"),
        row(6, outcome="skipped"),
        row(7, outcome="ok"),
        row(8, outcome="timeout"),
    ]
    put(rig, 0, rows)
    doubted, times = seen(rig).variants[KEY].evidence
    assert (doubted, times.attempts, times.never) == (False, 4, 2)
    assert near(times.quantile_ns(0.25), 10**6)
    assert near(times.quantile_ns(0.5), 2 * 10**6)
    assert times.quantile_ns(0.75) == math.inf


def test_suspect_trials_stand_in_only_where_none_is_valid_and_say_why(rig: Rig) -> None:
    reasons = ("host not quiet: 34%",)
    put(rig, 0, [row(0, 10**6)], verdict="suspect", reasons=reasons)
    put(rig, 1, [row(0, 10**9)], verdict="invalid", reasons=("no",))
    put(rig, 2, [row(0)], outcome="failed", verdict="invalid", error_text="why")
    found = seen(rig)
    doubted, times = found.variants[KEY].evidence
    assert (doubted, times.attempts, times.never) == (True, 2, 1)
    assert found.doubts == {
        "suspect": {"simulated: host not quiet: 34%": 1},
        "invalid": {"simulated: no": 1},
    }
    put(rig, 3, [row(0, 5 * 10**6)])
    doubted, times = seen(rig).variants[KEY].evidence
    assert not doubted
    assert near(times.quantile_ns(0.5), 5 * 10**6)


def test_what_is_measured_again_is_not_counted_twice(rig: Rig) -> None:
    put(rig, 0, [row(0, 10**6)])
    found, reader = PartsSeen(), CampaignReader(rig.results.folder)
    reader.read()
    assert found.take(reader, 60)
    put(rig, 0, [row(0, 10**9)], attempt=2)
    reader.read()
    found.take(reader, 60)
    times = found.variants[KEY].evidence[1]
    assert (times.attempts, near(times.quantile_ns(0.5), 10**9)) == (1, True)


def test_it_stops_when_its_time_is_over_and_goes_on_there(rig: Rig) -> None:
    for place in range(4):
        put(rig, place, [row(0, 10**6)])
    reader, found = CampaignReader(rig.results.folder), PartsSeen()
    reader.read()
    assert not found.take(reader, -1)
    assert found.take(reader, 60)
    assert found.variants[KEY].evidence[1].attempts == 4


@pytest.mark.parametrize("harm", [b"", b"PK\x03\x04", b"x" * 999])
def test_damaged_parts_are_passed_over(rig: Rig, harm: bytes) -> None:
    put(rig, 0, [row(0, 10**6)])
    reader, found = CampaignReader(rig.results.folder), PartsSeen()
    reader.read()
    (path,) = rig.results.parts.iterdir()
    path.write_bytes(harm)
    assert found.take(reader, 60)
    ((trial, ended),) = reader.recent(5)
    assert found.median_ns(reader, trial, ended) is None
    assert not found.variants


def test_medians_of_single_trials_are_kept_for_the_last_ones(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready_times, "MOST_KEPT", 2)
    for place in range(4):
        put(rig, place, [row(0, (place + 1) * 10**6)])
    reader, found = CampaignReader(rig.results.folder), PartsSeen()
    reader.read()
    for trial, ended in reader.recent(9):
        assert found.median_ns(reader, trial, ended) is not None
    assert len(found._medians) == 2


def test_shapes_are_on_one_scale() -> None:
    times = ReadyTimes()
    times.buckets.update({0: 1, 50: 2, 99: 3})
    assert times.shape(0, 99, 4) == [1, 0, 2, 3]
    assert times.shape(0, 199, 2) == [6, 0]
    assert sum(times.shape(99, 99, 3)) == 6
    assert ReadyTimes().quantile_ns(0.5) is None
