"""The results folder: held by one coordinator, frozen, and never trusted more than its checksums."""

from collections.abc import Callable
from pathlib import Path

import pytest
from trials import make_part, make_trial

from contract.errors import PartError, ResultsError
from orchestrator.results import Results

Way = Callable[[Results, str, int], object]


def test_one_coordinator_holds_the_folder(tmp_path: Path) -> None:
    results = Results(tmp_path / "new" / "r")
    with (
        results.locked(),
        pytest.raises(ResultsError, match="another coordinator is at work on"),
        Results(results.folder).locked(),
    ):
        pass
    with results.locked():
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    results = Results(tmp_path / "file" / "r")
    with pytest.raises(ResultsError, match="file/r cannot be written: Not a directory; choose another"):
        results.locked().__enter__()
    with pytest.raises(ResultsError, match="cannot be written"):
        results.freeze("", ())


def test_the_plan_is_kept_as_it_was(tmp_path: Path) -> None:
    trials = tuple(make_trial(block=block, params={"ready": "reply", "x": None}) for block in range(3))
    results = Results(tmp_path)
    results.freeze("campaign: größe\n", trials)
    assert Results(tmp_path).planned() == trials
    assert [t.trial_id for t in results.planned()] == [t.trial_id for t in trials]
    assert (tmp_path / "campaign.yaml").read_text(encoding="utf-8") == "campaign: größe\n"
    assert {p.name for p in tmp_path.iterdir()} == {"campaign.yaml", "plan.json"}


@pytest.mark.parametrize("text", [None, "", "[", '{"a": 1}', "[1]", '[{"trial_id": "x"}]', "null"])
def test_a_folder_without_a_plan_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ResultsError, match="holds no campaign"):
        Results(tmp_path).planned()


def test_parts_come_back(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for attempt in (1, 2):
        packed = make_part(attempt=attempt)
        results.store(packed.name, packed.data)
    trial_id = make_trial().trial_id
    assert results.attempts() == {trial_id: (1, 2)}
    assert results.read(trial_id, 2).record.attempt == 2
    assert results.check(trial_id, 2) == results.read(trial_id, 2).record


@pytest.mark.parametrize("way", [Results.read, Results.check])
@pytest.mark.parametrize("harm", ["cut", "a bit in the rows"])
def test_a_damaged_part_is_set_aside(tmp_path: Path, way: Way, harm: str) -> None:
    results, packed = Results(tmp_path), make_part()
    data = bytearray(packed.data)
    data[data.index(b"PAR1") + 30] ^= 1
    results.store(packed.name, packed.data[:-1] if harm == "cut" else bytes(data))
    with pytest.raises(PartError):
        way(results, packed.receipt.trial_id, 1)
    assert results.attempts() == {}
    assert (tmp_path / "damaged" / packed.name).exists()


@pytest.mark.parametrize("way", [Results.read, Results.check])
@pytest.mark.parametrize("change", [{"trial": make_trial(block=9)}, {"attempt": 7}])
def test_a_part_under_anothers_name_is_set_aside(
    tmp_path: Path, way: Way, change: dict[str, object]
) -> None:
    results = Results(tmp_path)
    right = make_part()
    results.store(right.name, make_part(**change).data)  # type: ignore[arg-type]
    with pytest.raises(PartError, match="another's name"):
        way(results, right.receipt.trial_id, 1)
    assert (tmp_path / "damaged" / right.name).exists()
