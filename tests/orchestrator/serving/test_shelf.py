"""All results folders: their states, and that only changed ones are read."""

import json
import socket
import time

import pytest
from serving_rig import TRIALS, Rig, plan

from orchestrator.cli.views.reading import CampaignReader
from orchestrator.sign_of_life import FILE, SILENT_S, shown_alive


def state(rig: Rig, name: str = "sample") -> str:
    rig.serving.shelf.refresh()
    return rig.serving.shelf.overviews[name].state


def test_states(rig: Rig) -> None:
    assert state(rig) == "incomplete"
    with shown_alive(rig.results.folder):
        assert state(rig) == "running"
        assert rig.serving.shelf.overviews["sample"].coordinator == socket.gethostname()
    assert state(rig) == "incomplete"
    for place in range(8):
        rig.put(place)
    assert state(rig) == "done"
    (rig.results.folder / "plan.json").write_text("{")
    assert state(rig) == "unreadable"


def test_looking_turns_no_coordinator_away_and_a_report_is_none(rig: Rig) -> None:
    rig.serving.shelf.refresh()
    with rig.results.locked():  # would be refused, had the shelf tried the lock and kept it
        assert state(rig) == "incomplete"
    with rig.results.locked():
        pass


def test_a_coordinator_that_died_is_named(rig: Rig) -> None:
    sign = {"machine": "node7", "pid": 1, "began_s": 0, "at_s": time.time() - 2 * SILENT_S}
    (rig.results.folder / FILE).write_text(json.dumps(sign))
    assert state(rig) == "incomplete"
    rig.serving.shelf.refresh()
    assert "coordinator on node7 was last heard of at" in rig.get("/campaigns/sample").text
    (rig.results.folder / FILE).write_text(json.dumps(sign | {"at_s": 1.0}))
    assert state(rig) == "running"  # it changed while we looked, whatever its clock says
    assert "coordinator is on node7" in rig.get("/campaigns/sample").text


def test_folders_come_and_go(rig: Rig) -> None:
    assert set(rig.serving.shelf.overviews) == set()
    plan(rig.root / "other", TRIALS[:2])
    (rig.root / "no-results").mkdir()
    (rig.root / ".serve").mkdir()
    rig.serving.shelf.refresh()
    assert set(rig.serving.shelf.overviews) == {"sample", "other"}
    (rig.root / "other" / "plan.json").unlink()
    rig.serving.shelf.refresh()
    assert set(rig.serving.shelf.overviews) == {"sample"}


def test_a_folder_at_rest_is_read_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.serving.shelf.SETTLED_S", -1.0)
    rig.put(0)
    rig.serving.shelf.refresh()
    monkeypatch.setattr(CampaignReader, "read", lambda _: pytest.fail("it was read again"))
    rig.serving.shelf.refresh()
    assert rig.serving.shelf.overviews["sample"].done == 1


def test_readers_are_few(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.serving.shelf.MOST_READERS", 2)
    for number in range(4):
        plan(rig.root / f"c{number}", TRIALS[:1])
        rig.serving.shelf.reader(f"c{number}")
    assert len(rig.serving.shelf._readers) == 2


def test_who_looks_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(rig.serving.hub, "changed", told.append)
    rig.serving.shelf.refresh()
    told.clear()
    rig.put(0)
    rig.serving.shelf.refresh()
    assert told == ["campaigns", "campaign:sample"]
