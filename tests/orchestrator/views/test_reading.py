"""A results folder read again and again: only what is new, and never a wrong count."""

from pathlib import Path

import pytest
from serving_rig import TRIALS, Rig

from contract.errors import ResultsError
from orchestrator.cli.views import reading
from orchestrator.cli.views.reading import CampaignReader
from orchestrator.standing import StandingReader


def same_as_status(rig: Rig, reader: CampaignReader) -> bool:
    reader.read()
    return reader.standing.as_dict() == StandingReader(rig.results).read().as_dict()


def test_it_says_what_status_says_while_parts_come_in(rig: Rig) -> None:
    reader = CampaignReader(rig.results.folder)
    assert same_as_status(rig, reader)
    rig.put(0)
    assert same_as_status(rig, reader)
    rig.put(1, outcome="failed", error_text="why")
    rig.put(2, attempt=0, outcome="lost")
    assert same_as_status(rig, reader)
    rig.put(1, attempt=2)
    rig.put(2, attempt=1, outcome="partial", verdict="suspect")
    assert same_as_status(rig, reader)
    assert reader.shares["lifecycle", "simulated", "default"].outcomes.total() == 3


def test_no_part_is_opened_whose_end_was_noted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "peek_record", lambda _: pytest.fail("a part was opened"))
    reader = CampaignReader(rig.results.folder)
    rig.put(0)
    assert reader.read()
    assert not reader.read()
    rig.put(1)
    assert reader.read()
    assert len(reader.ended) == 2


def test_without_lines_parts_are_looked_into_a_few_at_a_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_LOOKED_INTO", 3)
    for place in range(8):
        rig.put(place)
    rig.results.received.unlink()
    reader = CampaignReader(rig.results.folder)
    counts = []
    while True:
        reader.read()
        counts.append(len(reader.ended))
        if not reader.behind:
            break
    assert counts == [3, 6, 8]


def test_a_line_of_another_size_is_not_believed(rig: Rig) -> None:
    path = rig.put(0)
    text = rig.results.received.read_text().replace('"completed"', '"failed"')
    rig.results.received.write_text(text.replace(str(path.stat().st_size), "7"))
    assert same_as_status(rig, CampaignReader(rig.results.folder))


def test_a_line_that_is_half_written_waits_for_its_rest(rig: Rig) -> None:
    reader = CampaignReader(rig.results.folder)
    path, lines = rig.put(0), rig.results.received.read_text()
    path.rename(path.with_suffix(".away"))
    rig.results.received.write_text(lines[:20])
    reader.read()
    rig.results.received.write_text(lines)
    path.with_suffix(".away").rename(path)
    assert same_as_status(rig, reader)
    assert len(reader.ended) == 1


def test_a_part_that_is_set_aside_is_counted_no_more(rig: Rig) -> None:
    reader = CampaignReader(rig.results.folder)
    path = rig.put(0)
    rig.put(1)
    reader.read()
    path.unlink()
    reader.read()
    assert list(reader.ended) == [TRIALS[1].trial_id]
    assert same_as_status(rig, reader)


def test_a_damaged_part_is_not_measured(rig: Rig) -> None:
    rig.put(0).write_bytes(b"damaged")
    assert same_as_status(rig, CampaignReader(rig.results.folder))


def test_another_plan_is_read_anew(rig: Rig) -> None:
    reader = CampaignReader(rig.results.folder)
    rig.put(0)
    rig.put(7)
    reader.read()
    rig.results.freeze("campaign: sample\n", TRIALS[:4])
    reader.read()
    assert (reader.standing.planned, len(reader.ended)) == (4, 1)


def test_time_left_is_that_of_what_is_open(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = CampaignReader(rig.results.folder)
    for place in range(4):
        rig.put(place)
    reader.read()
    began = reader._plan_written_s()
    for number, ended in enumerate(reader.ended.values()):
        ended.at_s = began + 10.0 * number
    monkeypatch.setattr("time.time", lambda: began + 30.0)
    assert reader.left_s() == pytest.approx(40.0)  # four more, one every ten seconds
    monkeypatch.setattr("time.time", lambda: began + 300.0)  # nothing came since
    assert reader.left_s() == pytest.approx(400.0)


def test_a_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no campaign"):
        CampaignReader(tmp_path).read()
