"""Hosts that come late or are sick, campaigns that are cancelled, and runs of a part of the plan."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scripted_fleet import Clock, Fleet, Watcher
from trials import make_trial

from contract.rows import InstanceRow
from contract.trial import Trial
from orchestrator import coordinate
from orchestrator.coordinate import Coordination
from orchestrator.quarantine import FAILURES_IN_A_ROW
from orchestrator.results import Results

TRIALS = tuple(make_trial(host=host, block=block) for host in ("h1", "h2") for block in range(8))
LATE = tuple(make_trial(host="h3", block=block) for block in range(8))


class Run:
    """One run of the loop."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.results = Results(folder)
        self.clock = clock
        self.watcher = Watcher()

    def __call__(self, options: dict[str, Any] | None = None, **script: Any) -> Fleet:
        fleet, self.watcher = Fleet(self.clock, **script), Watcher()
        self.loop = Coordination(
            TRIALS, self.results, fleet, self.watcher, lambda _: [InstanceRow(0)], **(options or {})
        )
        self.loop.run(lambda: False)
        return fleet

    def outcomes(self, host: str) -> Counter[str]:
        return Counter(
            self.results.read(trial.trial_id, attempts[-1]).record.outcome
            for trial in (*TRIALS, *LATE)
            if trial.host == host and (attempts := self.results.attempts().get(trial.trial_id))
        )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    clock = Clock()
    monkeypatch.setattr(coordinate, "time", clock)
    monkeypatch.setattr(coordinate, "CHECK_S", 0.5)
    return Run(tmp_path / "results", clock)


def test_a_host_that_comes_late_gets_all_its_trials(run: Run) -> None:
    looks = iter([(), LATE])
    run(options={"newcomers": lambda: next(looks, ())})
    assert run.outcomes("h3") == {"completed": 8}
    assert run.loop.trials == (*TRIALS, *LATE)
    assert (run.watcher.total, len(run.watcher.ended)) == (24, 24)
    assert "joined: h3" in run.watcher.notes


def test_a_late_host_is_not_asked_for_what_it_cannot_do(run: Run) -> None:
    looks = iter([LATE])

    def why_not(trial: Trial) -> str | None:
        return "no engine there" if trial.host == "h3" else None

    run(options={"newcomers": lambda: next(looks, ()), "why_not": why_not})
    assert run.outcomes("h3") == {"skipped": 8}


def test_a_sick_host_is_left_alone_and_the_campaign_goes_on(run: Run) -> None:
    fleet = run(fate=lambda order: "failed" if order.trial.host == "h2" else "well", window=1)
    assert run.outcomes("h1") == {"completed": 8}
    ended = run.outcomes("h2")
    assert set(ended) == {"failed", "skipped"}
    assert ended.total() == 8
    assert FAILURES_IN_A_ROW <= ended["failed"] <= FAILURES_IN_A_ROW + 1  # one may be on its way
    assert set(fleet.quarantined) == {"h2"}
    assert any(
        note.startswith("host h2 is in quarantine: 5 trials in a row failed")
        for note in run.watcher.notes
    )
    assert len(run.watcher.ended) == 16


def test_what_fails_on_every_host_quarantines_nobody(run: Run) -> None:
    assert run(fate=lambda _: "failed").quarantined == {}
    assert run.outcomes("h1") == run.outcomes("h2") == {"failed": 8}


def test_a_cancelled_campaign_ends_and_can_be_taken_up_again(run: Run) -> None:
    fleet = run(cancels=lambda now: now > 0.4)
    assert run.loop.cancelled
    assert fleet.cancelled
    assert 0 < len(fleet.sent) < 16
    run()
    assert run.outcomes("h1") == run.outcomes("h2") == {"completed": 8}


def test_only_what_was_chosen_is_measured(run: Run) -> None:
    run(options={"only": lambda trial: trial.host == "h2" and trial.block < 3})
    assert (run.watcher.total, run.outcomes("h2")) == (3, {"completed": 3})
    assert not run.outcomes("h1")
