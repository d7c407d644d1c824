"""The screen at several sizes, with what others wrote in it; and what it says first."""

import io
import itertools
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from serving_rig import NOW_S, Rig, host, plan
from trials import make_trial

from orchestrator.cli.terminal.facts import Facts, FactsReader
from orchestrator.cli.terminal.figures import BLOCKS
from orchestrator.cli.terminal.hosts import hosts_of
from orchestrator.cli.terminal.lines import MOST_AT_ONCE, Changes
from orchestrator.cli.terminal.screen import Screen, page
from orchestrator.cli.views.fleet_view import FleetView
from orchestrator.fleet import HostEntry
from orchestrator.sign_of_life import FILE, SILENT_S, shown_alive

EVIL = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m[red]"


def read(rig: Rig, *hosts: HostEntry, folder: str = "sample", **changes: Any) -> Facts:
    facts = FactsReader(rig.root / folder, None, closely=True).read()
    view = FleetView({one.name: one for one in hosts}, NOW_S) if hosts else None
    return replace(facts, **({"fleet": view} | changes))


def text(facts: Facts, width: int = 120, height: int = 40) -> str:
    return "\n".join(line.plain for line in page(facts, width, height, BLOCKS))


def measured(rig: Rig) -> None:
    rig.put(0)
    rig.put(1, verdict="suspect", reasons=("host not quiet: 34% of its CPU",))
    rig.put(2, verdict="suspect", reasons=("host not quiet: 55% of its CPU",))
    rig.put(4, outcome="failed", error_text="no image 'tiny'")


def test_it_says_what_the_page_says(rig: Rig) -> None:
    measured(rig)
    with shown_alive(rig.results.folder):
        said = text(read(rig, host("h1", activity={}), host("h2", quarantine={"why": "failing"})))
    head = said.splitlines()
    assert head[0].startswith("sample  running  coordinator on ")
    assert "4 of 8 trials measured, 50 %, " in head[1]
    assert head[2] == "3 completed, 1 failed; verdicts: 1 invalid, 2 suspect, 1 valid"
    assert head[3] == "2 hosts: 1 quarantined, 1 idle"
    assert "not completed  simulated: no image 'tiny'" in said
    assert "2  suspect        simulated: host not quiet: …% of its CPU" in said
    assert "h2    quarantined    1/4      1     3" in said
    assert "500 ns" in said  # the median of what the parts say
    for name in ("VALID", "SUSPECT", "INVALID", "READY p50", "OUTCOME", "VERDICT"):
        assert name in said


def test_it_fits_every_terminal(rig: Rig) -> None:
    measured(rig)
    rig.put(3, outcome="failed", error_text=EVIL * 20 + "你好" * 60)
    facts = read(rig, host("h1", quarantine={"why": EVIL}), host("h2"))
    for width, height in itertools.product((1, 20, 80, 200), (1, 3, 8, 24, 50)):
        lines = page(facts, width, height, BLOCKS)
        assert len(lines) <= height
        for line in lines:
            assert cell_len(line.plain) <= width
            assert not any(character in line.plain for character in "\x1b\x07\x9b\u202e\n")


def test_a_console_draws_it_without_colours_or_blocks_where_there_are_none(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(rig)
    facts = read(rig)

    def drawn(encoding: str) -> str:
        raw = io.BytesIO()
        file = io.TextIOWrapper(raw, encoding=encoding)
        Console(file=file, force_terminal=True, width=80, height=24).print(Screen(facts))
        file.flush()
        return raw.getvalue().decode(encoding)

    assert "\x1b[32m" in drawn("utf-8")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in drawn("utf-8").replace("\x1b[3m", "")
    assert "####" in drawn("ascii")
    assert drawn("utf-8").count("\n") <= 24


def test_hosts_that_need_somebody_come_first_and_the_others_are_counted(rig: Rig) -> None:
    names = [f"n{number:04d}" for number in range(1000)]
    plan(rig.root / "wide", tuple(make_trial(host=name) for name in names))
    hosts = {name: host(name) for name in names[:-1]}
    hosts["n0500"] = host("n0500", alive=False)
    hosts["n0600"] = host("n0600", beat={"at": NOW_S, "clock_offset_ns": -3 * 10**9})
    activity = {"experiment": "lifecycle", "driver": "docker", "profile": "default", "trial": "another"}
    hosts["n0700"] = host("n0700", activity=activity | {"since_ns": (NOW_S - 75) * 1e9})
    facts = read(rig, *hosts.values(), folder="wide")
    found = hosts_of(facts)
    assert [one.name for one in found[:3]] == ["n0500", "n0999", "n0600"]
    assert (found[0].now, found[1].state) == ("no heartbeat", "not registered")
    (busy,) = [one for one in found if one.name == "n0700"]
    assert busy.now == "lifecycle docker for 75 s (another campaign)"
    said = text(facts, 80, 24)
    assert "1,000 hosts: 1 not registered, 1 stale, 1 busy, 997 idle" in said
    assert "-3.00 s" in said
    assert " hosts more" in said


def test_a_coordinator_that_fell_silent_has_a_line(rig: Rig) -> None:
    sign = {"machine": "node7", "pid": 1, "began_s": 0, "at_s": time.time() - 2 * SILENT_S}
    (rig.results.folder / FILE).write_text(json.dumps(sign))
    facts = read(rig)
    assert (facts.state, facts.over) == ("incomplete", False)
    assert "coordinator on node7 was last heard of at " in text(facts, 80, 24)


def test_when_it_is_over(rig: Rig) -> None:
    for place in range(7):
        rig.put(place)
    assert not read(rig).over
    rig.put(7, attempt=0, outcome="lost")
    assert read(rig).over  # nobody will measure it any more
    with shown_alive(rig.results.folder):
        assert not read(rig).over
    rig.put(7)
    assert (read(rig).state, read(rig).over) == ("done", True)


def test_lines_are_said_once_per_change(rig: Rig) -> None:
    changes = Changes()
    assert list(changes.lines(read(rig))) == [
        "sample: 0 of 8 trials measured",
        "sample: incomplete, no coordinator is at work",
    ]
    assert list(changes.lines(read(rig))) == []
    rig.put(0, outcome="failed", error_text="why 1")
    stale = host("h2", alive=False)
    said = list(changes.lines(read(rig, host("h1"), stale)))
    assert said == [
        "sample: not completed: 1 × simulated: why 1",
        "sample: host h2 is stale: no heartbeat",
    ]
    assert list(changes.lines(read(rig, host("h1"), stale))) == []
    assert list(changes.lines(read(rig, host("h1"), host("h2")))) == ["sample: host h2 is back"]
    away = FleetView(problem="the broker does not answer")
    assert list(changes.lines(read(rig, fleet=away))) == [
        "sample: hosts are not known: the broker does not answer"
    ]
    assert list(changes.lines(read(rig, host("h1"), host("h2")))) == ["sample: the broker answers again"]
    for place in range(8):
        rig.put(place, attempt=2)
    assert list(changes.lines(read(rig))) == [
        "sample: 8 of 8 trials measured; 8 completed; verdicts: 8 valid"
    ]


def test_of_many_changes_at_once_only_the_number_is_said(rig: Rig) -> None:
    names = [f"n{number}" for number in range(50)]
    plan(rig.root / "wide", tuple(make_trial(host=name) for name in names))
    hosts = [host(name, alive=False) for name in names]
    said = list(Changes().lines(read(rig, *hosts, folder="wide")))
    assert len([line for line in said if "is stale" in line]) == MOST_AT_ONCE
    assert said[-1] == "sample: 40 hosts more have changed; 50 are away now"
