"""Curves out of parts: what counts, what is left out."""

from typing import Any

import pytest
from serving_rig import TRIALS, Rig
from trials import make_part

from contract.rows import InstanceRow, Rows
from orchestrator.cli.serving import measured
from orchestrator.cli.serving.measured import Measured

MS = 1_000_000


def put(rig: Rig, place: int, ready_ms: list[int | None], attempt: int = 1, **changes: Any) -> None:
    rows = [
        InstanceRow(
            i, "timeout" if t is None else "ok", t_intent=0, t_ready=None if t is None else t * MS
        )
        for i, t in enumerate(ready_ms)
    ]
    rows += [InstanceRow(90, "ok", warm_up=True, t_intent=0, t_ready=9_000 * MS)]
    rows += [InstanceRow(91, "ok", resident=True, t_intent=0, t_ready=9_000 * MS)]
    rows += [InstanceRow(92, "failed", error_class="cancelled", t_intent=0), InstanceRow(93, "skipped")]
    part = make_part(TRIALS[place], Rows(rows), attempt=attempt, **changes)
    rig.results.store(part.name, part.data)


def curve(rig: Rig, found: Measured | None = None) -> tuple[str, list[tuple[int, float]]]:
    found = found or Measured()
    reader = rig.serving.shelf.reader("sample")
    reader.read()
    found.take(reader, 100)
    warning, times = found.variants["lifecycle"]["simulated"].evidence
    points = [(round(p["value_ns"] / MS), round(p["share"], 3)) for p in times.curve("v")]
    return warning, points


def test_failures_keep_a_curve_below_the_top(rig: Rig) -> None:
    put(rig, 0, [10, 20, None, None])
    assert curve(rig) == ("", [(10, 0.25), (20, 0.5)])


def test_suspect_trials_count_only_where_there_is_no_valid_one(rig: Rig) -> None:
    put(rig, 0, [10], verdict="suspect")
    put(rig, 1, [99], verdict="invalid", outcome="partial")
    assert curve(rig) == (" (suspect only)", [(10, 1.0)])
    put(rig, 2, [50])
    assert curve(rig) == ("", [(50, 1.0)])


def test_failures_of_failed_trials_count_whatever_their_verdict(rig: Rig) -> None:
    put(rig, 0, [10])
    put(rig, 1, [None, None, None], outcome="failed", verdict="invalid")
    assert curve(rig) == ("", [(10, 0.25)])


def test_parts_are_read_once_until_one_is_measured_again(rig: Rig) -> None:
    found, reader = Measured(), rig.serving.shelf.reader("sample")
    put(rig, 0, [10])
    curve(rig, found)
    assert not found.take(reader, 100)
    assert not found.is_stale(reader)
    put(rig, 0, [30], attempt=2)
    reader.read()
    assert found.is_stale(reader)


def test_of_many_trials_the_same_sample_is_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "MOST_PARTS", 4)
    for place in range(8):
        put(rig, place, [10])
    reader = rig.serving.shelf.reader("sample")
    reader.read()
    one, other = Measured(), Measured()
    one.take(reader, 100)
    other.take(reader, 100)
    assert one._seen == other._seen
    assert 0 < len(one._seen) < 8
    assert one.sampled


def test_a_figure_says_in_words_what_it_draws(rig: Rig) -> None:
    put(rig, 0, [10, 20, 40])
    found, reader = Measured(), rig.serving.shelf.reader("sample")
    reader.read()
    found.take(reader, 100)
    figure = found.figure()
    assert figure is not None
    assert "lifecycle simulated: half within 20" in figure.alternative
    assert "from 1 trial" in figure.caption
    assert "simulated" in figure.caption


def test_nothing_measured_is_no_figure() -> None:
    assert Measured().figure() is None
