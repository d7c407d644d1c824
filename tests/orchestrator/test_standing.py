"""How far a campaign is, told from its files alone."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from trials import make_part, make_trial

from contract.errors import ResultsError
from orchestrator import received
from orchestrator.results import Results
from orchestrator.standing import StandingReader

TRIALS = tuple(make_trial(host=host, block=block) for host in ("h1", "h2") for block in range(4))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results(tmp_path)
    made.freeze("campaign: sample", TRIALS)
    return made


def put(results: Results, place: int, attempt: int = 1, outcome: str = "completed") -> Path:
    verdict = "valid" if outcome == "completed" else "invalid"
    part = make_part(TRIALS[place], attempt=attempt, outcome=outcome, verdict=verdict, error_text="why")
    results.store(part.name, part.data)
    return results.parts / part.name


def test_before_anything_is_measured(results: Results) -> None:
    standing = StandingReader(results).read()
    assert (standing.campaign, standing.planned, standing.left) == ("sample", 8, 8)
    assert standing.outcomes == {}


def test_it_follows_what_comes_in(results: Results) -> None:
    reader = StandingReader(results)
    put(results, 0)
    assert reader.read().left == 7
    put(results, 1, outcome="failed")
    put(results, 4, attempt=0, outcome="lost")
    standing = reader.read()
    assert standing.outcomes == {"completed": 1, "failed": 1, "lost": 1}
    assert standing.left == 6  # nobody has measured what was lost
    assert {name: host.left for name, host in standing.hosts.items()} == {"h1": 2, "h2": 4}
    assert standing.reasons == {"simulated: why": 2}
    assert standing.as_dict()["hosts"]["h1"] == {
        "planned": 4,
        "left": 2,
        "outcomes": {"completed": 1, "failed": 1},
    }


def test_the_last_attempt_counts(results: Results) -> None:
    put(results, 0, attempt=0, outcome="lost")
    put(results, 0, attempt=1)
    assert StandingReader(results).read().outcomes == {"completed": 1}


def test_a_damaged_part_is_not_measured(results: Results) -> None:
    put(results, 0).write_bytes(b"damaged")
    assert StandingReader(results).read().left == 8


def test_a_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no campaign"):
        StandingReader(Results(tmp_path / "nothing")).read()


def opened(read: Callable[[], object], under: Path) -> int:
    """How many parts a call opens."""
    names: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and str(arguments[0]).startswith(str(under / "parts")):
            names.append(str(arguments[0]))

    sys.addaudithook(hook)  # stays for the life of the process
    try:
        read()
    finally:
        watching = False
    return len([name for name in names if name.endswith(".part")])


def test_no_part_is_opened_whose_end_was_noted(results: Results) -> None:
    for place in range(6):
        put(results, place, outcome="failed" if place == 5 else "completed")
    assert opened(StandingReader(results).read, results.folder) == 0
    standing = StandingReader(results).read()
    assert standing.outcomes == {"completed": 5, "failed": 1}
    assert standing.reasons == {"simulated: why": 1}


@pytest.mark.parametrize("harm", ["removed", "cut", "garbage", "not text"])
def test_what_was_noted_is_a_hint_only(results: Results, harm: str) -> None:
    for place in range(6):
        put(results, place, outcome="failed" if place == 5 else "completed")
    whole = StandingReader(results).read().as_dict()
    notes = results.folder / "received.jsonl"
    if harm == "removed":
        notes.unlink()
    elif harm == "cut":
        notes.write_bytes(notes.read_bytes()[:-30])
    else:
        notes.write_bytes(b'{"a": 1}\n' if harm == "garbage" else b"\xff\xfe\n" * 9)
    reader = StandingReader(results)
    assert opened(reader.read, results.folder) == (1 if harm == "cut" else 6)
    assert reader.read().as_dict() == whole
    assert opened(reader.read, results.folder) == 0  # each part once


def test_only_of_the_latest_parts_sizes_are_compared(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(received, "MOST_SIZES", 2)
    parts = [put(results, place) for place in range(4)]
    for part in (parts[0], parts[3]):
        part.write_bytes(b"damaged")
    parts[1].unlink()
    assert StandingReader(results).read().outcomes == {"completed": 2}


def test_another_plan_is_seen(results: Results) -> None:
    reader = StandingReader(results)
    assert reader.read().planned == 8
    results.freeze("campaign: sample", TRIALS[:3])
    assert reader.read().planned == 3
