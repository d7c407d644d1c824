"""Trials without a broker: one at a time, in this process, in order."""

from pathlib import Path

from scripted_fleet import Watcher
from trials import make_part, make_trial

from contract.parts import PackedPart
from orchestrator.coordinate import Coordination
from orchestrator.dispatch import HostState, InlineDispatcher, Order
from orchestrator.results import Results

TRIALS = tuple(make_trial(block=block) for block in range(5))


def coordinate(folder: Path, dispatcher: InlineDispatcher) -> Coordination:
    return Coordination(TRIALS, Results(folder), dispatcher, Watcher(), lambda _: [])


def test_trials_run_one_at_a_time_in_order(tmp_path: Path) -> None:
    seen: list[Order] = []

    def measure(order: Order) -> PackedPart:
        seen.append(order)
        return make_part(order.trial, attempt=order.attempt)

    coordinate(tmp_path, InlineDispatcher("h1", measure)).run(lambda: False)
    assert seen == [Order(trial, 1) for trial in TRIALS]
    assert Results(tmp_path).attempts() == {trial.trial_id: (1,) for trial in TRIALS}


def test_a_trial_that_was_cancelled_leaves_nothing(tmp_path: Path) -> None:
    stops = iter([False, True])
    coordinate(tmp_path, InlineDispatcher("h1", lambda _: None)).run(lambda: next(stops))
    assert Results(tmp_path).attempts() == {}


def test_what_was_queued_is_forgotten_on_request() -> None:
    dispatcher = InlineDispatcher("h1", lambda order: make_part(order.trial))
    dispatcher.send(Order(TRIALS[0], 1))
    dispatcher.cancel()
    assert dispatcher.receive(0) == []


def test_this_host_is_always_there_and_loses_nothing() -> None:
    dispatcher = InlineDispatcher("h1", lambda order: make_part(order.trial))
    assert dispatcher.hosts() == {"h1": HostState(alive=True, activity="measuring here")}
    assert dispatcher.lost([Order(TRIALS[0], 1)]) == []
