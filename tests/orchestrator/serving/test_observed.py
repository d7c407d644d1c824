"""What of an experiment's trials counts, and under which cell."""

from typing import Any

import numpy as np
import pytest
from trials import make_record, make_trial

from orchestrator.cli.serving import observed as module
from orchestrator.cli.serving.glimpses.base import Sight, View
from orchestrator.cli.serving.observed import Observed, Series

TIMES = View("Times", "curve", "time")
DOTS = View("Dots", "dots", "time")


def sight(*values: float, view: View = TIMES, **changes: Any) -> Sight:
    return Sight(view, np.array(values, dtype=np.float64), **changes)


def take(found: Observed, *values: float, trial: dict[str, Any] | None = None, **changes: Any) -> None:
    record = make_record(make_trial(**trial or {}), **({"virtual": False} | changes))
    found.take(record, [sight(*values)])


def only(found: Observed) -> Series:
    (one,) = found.series()
    return one


def test_suspect_trials_count_only_where_there_is_no_valid_one() -> None:
    found = Observed()
    take(found, 10, verdict="suspect")
    take(found, 99, verdict="invalid", outcome="partial")
    assert (only(found).label, only(found).spread.counts) == ("simulated (suspect only)", {10: 1})
    take(found, 50)
    assert (only(found).label, only(found).spread.counts) == ("simulated", {50: 1})
    assert (found.trials, found.unused, found.set_aside) == (1, 1, 1)


def test_failures_of_failed_trials_count_whatever_their_verdict() -> None:
    found = Observed()
    take(found, 10)
    take(found, np.inf, np.inf, outcome="failed", verdict="invalid")
    assert (only(found).spread.n, only(found).spread.never) == (3, 2)
    assert (found.failures, found.unplaced) == (1, 0)


def test_a_failed_trial_belongs_to_the_kind_that_its_driver_is() -> None:
    found = Observed()
    take(found, 10, emulated=True)
    take(found, np.inf, outcome="failed", verdict="invalid")
    assert (only(found).label, only(found).spread.never) == ("simulated (emulated CPU)", 1)
    take(found, 1)
    assert {one.label: one.spread.never for one in found.series()} == {
        "simulated": 0,
        "simulated (emulated CPU)": 0,
    }
    assert found.unplaced == 1


def test_conditions_stand_apart_and_effort_does_not() -> None:
    found = Observed()
    for params in ({"instances": 3}, {"instances": 5}, {"instances": 3, "concurrency": 8}):
        take(found, 10, trial={"params": params})
    assert sorted(one.spread.n for one in found.series()) == [1, 2]


def test_what_only_failed_is_counted_but_not_drawn() -> None:
    found = Observed()
    take(found, np.inf, outcome="failed", verdict="invalid")
    assert found.series() == []
    assert (found.failures, found.unplaced) == (1, 1)


def test_what_finds_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CELLS", 2)
    monkeypatch.setattr(module, "MOST_SPREADS", 3)
    found = Observed()
    for concurrency in range(4):
        take(found, 1, trial={"params": {"concurrency": concurrency}})
    assert (len(found.cells), found.left_out) == (2, 2)
    record = make_record(make_trial(params={"concurrency": 0}))
    found.take(record, [sight(1, view=DOTS, level=float(step)) for step in range(9)])
    assert found.left_out == 3
