"""Parts of a campaign, read as they come in."""

import pytest
from serving_rig import TRIALS, Rig, plan
from trials import make_part, make_trial

from contract.rows import InstanceRow, Rows, Sample
from orchestrator.cli.serving import measured
from orchestrator.cli.serving.measured import Measured
from orchestrator.cli.views.reading import CampaignReader
from orchestrator.results import Results

MS = 1_000_000


def put(rig: Rig, place: int, ready_ms: list[int], attempt: int = 1) -> None:
    rows = [InstanceRow(i, "ok", t_intent=0, t_ready=t * MS) for i, t in enumerate(ready_ms)]
    part = make_part(TRIALS[place], Rows(rows), attempt=attempt)
    rig.results.store(part.name, part.data)


def read(rig: Rig, found: Measured) -> CampaignReader:
    reader = rig.serving.shelf.reader("sample")
    reader.read()
    while found.take(reader, 3):
        pass
    return reader


def drawn(found: Measured, experiment: str = "lifecycle") -> tuple[str, list[str]]:
    made = found.draw(experiment, lambda seconds: None)
    return made.rests_on, [one.title for one in made.pictures]


def test_parts_are_read_once_until_one_is_measured_again(rig: Rig) -> None:
    found = Measured()
    put(rig, 0, [10])
    reader = read(rig, found)
    assert not found.take(reader, 100)
    assert not found.is_stale(reader)
    put(rig, 0, [30], attempt=2)
    reader.read()
    assert found.is_stale(reader)


def test_only_experiments_with_something_new_are_drawn_anew(rig: Rig) -> None:
    found = Measured()
    put(rig, 0, [10])
    read(rig, found)
    assert found.changed == {"lifecycle"}
    assert drawn(found)[1] == ["Time until ready"]
    assert not found.changed
    put(rig, 1, [10])
    read(rig, found)
    assert found.changed == {"lifecycle"}


def test_of_many_trials_the_same_sample_is_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "MOST_PARTS", 4)
    for place in range(8):
        put(rig, place, [10])
    one, other = Measured(), Measured()
    read(rig, one)
    read(rig, other)
    assert one._seen == other._seen
    assert 0 < len(one._seen) < 8
    assert "a random sample of the campaign" in drawn(one)[0]


def test_what_pictures_rest_on_is_said(rig: Rig) -> None:
    found = Measured()
    put(rig, 0, [10, 20, 40])
    read(rig, found)
    assert (
        drawn(found)[0] == "From 1 trial, all hosts together; time was simulated: nothing here is real."
    )


@pytest.mark.parametrize(
    ("experiment", "samples"),
    [
        ("churn", []),  # without the rate that churn always has
        (
            "isolation",
            [Sample(0, f"isolation.{name}", 1.0, "ns", step=7) for name in ("phase", "latency")],
        ),
    ],
)
def test_a_part_with_what_its_experiment_never_writes_harms_no_other(
    rig: Rig, experiment: str, samples: list[Sample]
) -> None:
    trials = make_trial(), make_trial(experiment=experiment, params={})
    plan(rig.root / "odd", trials)
    rows = Rows([InstanceRow(0, "ok", t_intent=0, t_ready=10 * MS)], samples)
    for part in (make_part(trial, rows) for trial in trials):
        Results(rig.root / "odd").store(part.name, part.data)
    reader = rig.serving.shelf.reader("odd")
    reader.read()
    found = Measured()
    found.take(reader, 10)
    assert found.experiments.keys() == {"lifecycle"}
    assert drawn(found)[0].endswith("1 part not understood.")
