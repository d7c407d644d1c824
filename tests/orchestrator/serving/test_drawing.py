"""When pictures are drawn: bit by bit, no more often than needed, only what is new."""

import pytest
from serving_rig import Rig, plan
from trials import make_part, make_trial

from contract.rows import InstanceRow, Rows, Sample
from orchestrator.cli.serving import drawing
from orchestrator.cli.serving.drawing import Drawings
from orchestrator.results import Results

EXPERIMENTS = ("deployment", "lifecycle")
TRIALS = tuple(make_trial(experiment=name, block=block) for block in range(3) for name in EXPERIMENTS)


@pytest.fixture
def drawings(rig: Rig) -> Drawings:
    """Those of a server over a campaign of two experiments, none of it measured yet."""
    plan(rig.root / "two", TRIALS)
    return rig.serving.drawings


def put(rig: Rig, place: int) -> None:
    part = make_part(TRIALS[place], Rows([InstanceRow(0, "ok", t_intent=0, t_ready=5_000_000)]))
    Results(rig.root / "two").store(part.name, part.data)
    rig.serving.shelf.reader("two").read()


def drawn(drawings: Drawings) -> tuple[list[tuple[str, str]], bool]:
    found, done = drawings.galleries("two")
    return [(one.experiment, one.rests_on.partition(",")[0]) for one in found], done


def test_experiments_are_drawn_one_by_one(rig: Rig, drawings: Drawings) -> None:
    put(rig, 0)
    put(rig, 1)
    assert drawn(drawings) == ([], False)
    assert drawings.refresh()
    assert drawn(drawings) == ([("deployment", "From 1 trial")], False)
    drawings.refresh()
    assert drawn(drawings)[0] == [("deployment", "From 1 trial"), ("lifecycle", "From 1 trial")]
    drawings.refresh()
    assert drawn(drawings)[1]


def test_drawing_is_not_done_before_all_that_is_there_is_drawn(
    rig: Rig, drawings: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "PARTS_AT_ONCE", 1)
    monkeypatch.setattr(drawing, "DRAWN_EVERY_S", 1e9)
    put(rig, 1)
    put(rig, 3)
    drawn(drawings)
    while drawings.refresh():
        pass
    assert drawn(drawings) == ([("lifecycle", "From 1 trial")], False)
    assert "The rest is being drawn." in rig.get("/campaigns/two").text
    monkeypatch.setattr(drawing, "DRAWN_EVERY_S", 0.0)
    drawings.refresh()
    assert drawn(drawings) == ([("lifecycle", "From 2 trials")], True)


def test_an_experiment_is_drawn_again_when_it_is_due(
    rig: Rig, drawings: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(rig, 1)
    drawn(drawings)
    while drawings.refresh():
        pass
    monkeypatch.setattr(drawing, "DRAWN_EVERY_S", 1e9)
    put(rig, 3)
    drawings.refresh()
    assert not drawings.refresh(), "it must not be asked for again and again meanwhile"
    assert drawn(drawings) == ([("lifecycle", "From 1 trial")], True)
    monkeypatch.setattr(drawing, "DRAWN_EVERY_S", 0.0)
    drawings.refresh()
    assert drawn(drawings) == ([("lifecycle", "From 2 trials")], True)


def test_one_that_is_measured_again_is_counted_anew(rig: Rig, drawings: Drawings) -> None:
    put(rig, 1)
    drawn(drawings)
    while drawings.refresh():
        pass
    again = make_part(TRIALS[1], Rows([InstanceRow(0, "timeout", t_intent=0)]), attempt=2)
    Results(rig.root / "two").store(again.name, again.data)
    rig.serving.shelf.reader("two").read()
    drawings._kept["two"].drawn_s.clear()
    while drawings.refresh():
        pass
    (found,), _ = drawings.galleries("two")
    assert found.pictures == ()


def test_an_experiment_that_is_no_longer_planned_is_no_longer_shown(
    rig: Rig, drawings: Drawings
) -> None:
    put(rig, 0)
    put(rig, 1)
    drawn(drawings)
    while drawings.refresh():
        pass
    assert len(drawn(drawings)[0]) == 2
    Results(rig.root / "two").freeze("campaign: sample\n", TRIALS[1:2])
    rig.serving.shelf.reader("two").read()
    while drawings.refresh():
        pass
    assert [name for name, _ in drawn(drawings)[0]] == ["lifecycle"]


def test_what_no_measurement_can_be_keeps_nobody_from_drawing(rig: Rig) -> None:
    """Values at the ends of what numbers can be, as a host that is trusted may still send them."""
    wild = (1e308, -1e308, 5e-324, 0.0, None)
    kinds = {
        "density": ["density.instances", "density.direction", "density.mem_used", "density.probe"],
        "churn": [f"churn.{name}" for name in ("arrived", "backlog", "in_flight", "readied")],
        "isolation": ["isolation.phase", "isolation.latency"],
        "security": ["security.devices"],
        "unheard_of": ["<script>", "host.cpu_busy"],
    }
    params = {"rate_per_s": 1, "duration_s": 9, "hold_s": 1, "ramp_s": 0}
    trials = tuple(make_trial(experiment=name, params=params) for name in kinds)
    plan(rig.root / "wild", trials)
    for trial in trials:
        samples = [
            Sample(place, metric, value, "ns", step=place % 3)
            for metric in kinds[trial.experiment]
            for place, value in enumerate(wild)
        ]
        rows = [InstanceRow(0, "ok", t_intent=2**61, t_ready=-(2**61)), InstanceRow(1, "failed")]
        part = make_part(trial, Rows(rows, samples))
        Results(rig.root / "wild").store(part.name, part.data)
    rig.serving.shelf.reader("wild").read()
    rig.serving.drawings.galleries("wild")
    while rig.serving.drawings.refresh():
        pass
    galleries, done = rig.serving.drawings.galleries("wild")
    assert done
    assert {one.experiment for one in galleries} == kinds.keys()
    assert "<script>," not in rig.get("/campaigns/wild").text
