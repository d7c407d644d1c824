"""The campaign loop against a scripted fleet: whatever happens, plan − parts is what is sent."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_fleet import Clock, Fleet, Watcher, delivery_of
from trials import make_trial

from contract.errors import BrokerError, ResultsError
from contract.rows import InstanceRow
from contract.trial import Trial
from orchestrator import coordinate
from orchestrator.coordinate import MAX_ATTEMPTS, MAX_SENT, Coordination
from orchestrator.dispatch import Delivery, Loss, Order
from orchestrator.results import Results

PATIENCE_S = 60.0


def rows_of(trial: Trial) -> list[InstanceRow]:
    return [InstanceRow(index) for index in range(int(str(trial.params["instances"])))]


TRIALS = tuple(make_trial(host=host, block=block) for host in ("h1", "h2") for block in range(5))


def ids(trials: tuple[Trial, ...]) -> set[str]:
    return {trial.trial_id for trial in trials}


def sent(fleet: Fleet) -> set[str]:
    return {order.trial.trial_id for order in fleet.sent}


class Run:
    """Runs of the loop over one results folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.results = Results(folder)
        self.clock = clock
        self.watcher = Watcher()

    def __call__(
        self,
        stopped: Callable[[], bool] = lambda: False,
        options: dict[str, Any] | None = None,
        **script: Any,
    ) -> Fleet:
        fleet = Fleet(self.clock, **script)
        self.watcher = Watcher()
        Coordination(
            trials=TRIALS,
            results=self.results,
            dispatcher=fleet,
            observer=self.watcher,
            plan_rows=rows_of,
            patience_s=PATIENCE_S,
            **(options or {}),
        ).run(stopped)
        return fleet

    def conduct(self, fleet: Fleet) -> None:
        """One run with a fleet of the test's own making."""
        Coordination(TRIALS, self.results, fleet, self.watcher, rows_of).run(lambda: False)

    def outcomes(self) -> Counter[str]:
        """Outcomes of the last attempts."""
        return Counter(
            self.results.read(trial, attempts[-1]).record.outcome
            for trial, attempts in self.results.attempts().items()
        )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    clock = Clock()
    monkeypatch.setattr(coordinate, "time", clock)
    return Run(tmp_path / "results", clock)


def test_everything_is_measured_once(run: Run) -> None:
    fleet = run()
    assert Counter(order.trial.trial_id for order in fleet.sent) == {t.trial_id: 1 for t in TRIALS}
    assert run.results.attempts() == {trial.trial_id: (1,) for trial in TRIALS}
    assert len(fleet.confirmed) == len(TRIALS)
    assert (run.watcher.total, run.watcher.done, len(run.watcher.ended)) == (10, 0, 10)


def test_each_host_gets_its_trials_in_the_planned_order(run: Run) -> None:
    sent = [order.trial for order in run().sent]
    for host in ("h1", "h2"):
        assert [t.block for t in sent if t.host == host] == list(range(5))


def test_what_is_left_is_plan_minus_parts(run: Run) -> None:
    run()
    assert run().sent == []
    assert (run.watcher.total, run.watcher.done) == (10, 10)
    removed = TRIALS[3], TRIALS[7]
    for trial in removed:
        (run.results.parts / f"{trial.trial_id}.1.part").unlink()
    assert sent(run()) == ids(removed)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_window_is_respected(run: Run, window: int) -> None:
    assert run(window=window).most_in_flight == {"h1": window, "h2": window}


def test_a_lost_trial_is_sent_again(run: Run) -> None:
    lost = TRIALS[2]
    fleet = run(fate=lambda order: "lost" if order == Order(lost, 1) else "well")
    assert [order for order in fleet.sent if order.trial == lost] == [
        Order(lost, 1),
        Order(lost, 2, deaths=1),
    ]
    assert run.results.attempts()[lost.trial_id] == (2,)
    assert run.outcomes() == {"completed": 10}
    assert "a trial was lost on host h1; it is sent again" in run.watcher.notes


def test_a_trial_that_kills_its_worker_is_a_failed_record_and_no_loop(run: Run) -> None:
    killer = TRIALS[4]
    fleet = run(fate=lambda order: "lost" if order.trial == killer else "well")
    assert [order.attempt for order in fleet.sent if order.trial == killer] == [1, 2]
    part = run.results.read(killer.trial_id, MAX_ATTEMPTS)
    assert (part.record.outcome, part.record.verdict) == ("failed", "invalid")
    assert part.record.reasons == ("its worker was lost 2 times while measuring it",)
    assert part.tables["instances"].column("outcome").to_pylist() == ["lost"] * 3
    assert run.outcomes() == {"completed": 9, "failed": 1}
    assert run().sent == []  # a failure is a record: only --retry-failed asks again
    again = run(options={"retry_failed": True})
    assert again.sent == [Order(killer, 3, 2)]
    assert run.outcomes() == {"completed": 10}


def test_messages_that_are_lost_kill_nobody(run: Run) -> None:
    unlucky = TRIALS[4]
    fates = {1: "unbegun", 2: "unbegun", 3: "unbegun", 4: "lost"}
    fleet = run(fate=lambda o: fates.get(o.attempt, "well") if o.trial == unlucky else "well")
    assert [order.deaths for order in fleet.sent if order.trial == unlucky] == [0, 0, 0, 0, 1]
    assert run.outcomes() == {"completed": 10}


def test_a_message_that_is_always_lost_is_no_loop(run: Run) -> None:
    fleet = run(fate=lambda order: "unbegun" if order.trial == TRIALS[4] else "well")
    assert len([order for order in fleet.sent if order.trial == TRIALS[4]]) == MAX_SENT
    assert run.outcomes() == {"completed": 9, "failed": 1}
    failed = run.results.read(TRIALS[4].trial_id, MAX_SENT)
    assert failed.record.reasons == (f"it was sent {MAX_SENT} times, and nothing came of it",)


def test_an_order_that_is_refused_is_not_sent_again_and_says_why(run: Run) -> None:
    fleet = run(fate=lambda order: "refused" if order.trial == TRIALS[4] else "well")
    assert len([order for order in fleet.sent if order.trial == TRIALS[4]]) == 1
    assert run.outcomes() == {"completed": 9, "skipped": 1}
    skipped = run.results.read(TRIALS[4].trial_id, 0).record
    assert (skipped.reasons, skipped.error_text) == (("too old",), "too old")
    run()  # the next run asks for it
    assert run.outcomes() == {"completed": 10}


def test_a_host_that_stays_away_is_given_up(run: Run) -> None:
    fleet = run(is_alive=lambda host, _: host == "h1")
    assert run.outcomes() == {"completed": 5, "lost": 5}
    lost = run.results.read(TRIALS[9].trial_id, 0)
    assert lost.record.reasons == ("host h2 went away and did not come back within 60 s",)
    assert lost.tables["instances"].num_rows == 3
    assert PATIENCE_S < fleet.passed_s < 2 * PATIENCE_S
    assert run.watcher.notes[-1] == "host h2 is given up: 5 trials are lost"
    assert len(run.watcher.ended) == 10


def test_what_was_lost_is_measured_when_the_host_is_back(run: Run) -> None:
    run(is_alive=lambda host, _: host == "h1")
    fleet = run()
    assert {order.trial.host for order in fleet.sent} == {"h2"}
    assert run.results.attempts()[TRIALS[9].trial_id] == (0, 1)
    assert run.outcomes() == {"completed": 10}


def test_a_host_that_comes_back_in_time_goes_on(run: Run) -> None:
    fleet = run(is_alive=lambda host, now: host == "h1" or now > PATIENCE_S / 2)
    assert run.outcomes() == {"completed": 10}
    assert "host h2 is back" in run.watcher.notes
    assert fleet.passed_s < PATIENCE_S


def test_a_host_that_is_away_gets_nothing_more(run: Run) -> None:
    fleet = run(is_alive=lambda host, _: host == "h1")
    assert len([order for order in fleet.sent if order.trial.host == "h2"]) <= fleet.window


def test_a_broker_that_comes_back_in_time_is_waited_for(run: Run) -> None:
    run(broker_is_away=lambda now: 0.2 < now < PATIENCE_S / 2)
    assert run.outcomes() == {"completed": 10}
    assert run.watcher.notes.count("broker away; waiting for it") == 1


def test_a_broker_that_stays_away_ends_the_run(run: Run) -> None:
    with pytest.raises(BrokerError, match="broker away"):
        run(broker_is_away=lambda now: now > 0.2)
    assert run.outcomes()["completed"] == len(run.results.attempts()) < 10
    run()
    assert run.outcomes() == {"completed": 10}


def test_two_short_absences_of_the_broker_are_not_one_long_one(run: Run) -> None:
    run(
        broker_is_away=lambda now: 0.2 < now < 50 or 55 < now < 100,
        is_alive=lambda host, now: host == "h1" or now > 101,  # so the loop runs for that long
    )
    assert run.outcomes() == {"completed": 10}


def test_duplicates_are_harmless(run: Run) -> None:
    fleet = run(fate=lambda _: "twice")
    assert run.results.attempts() == {trial.trial_id: (1,) for trial in TRIALS}
    assert len(run.watcher.ended) == 10
    # The last duplicate may come after the loop has ended: the next run takes it.
    assert len(fleet.confirmed) + len(fleet.incoming) == 20


class Late(Fleet):
    """What it loses comes in after all, just when it has been found lost."""

    def lost(self, orders: list[Order]) -> list[Loss]:
        gone = super().lost(orders)
        self.incoming.extend(delivery_of(loss.order.trial, loss.order.attempt) for loss in gone)
        return gone


@pytest.mark.parametrize("second", ["well", "lost"])
def test_a_part_that_was_thought_lost_ends_its_trial_once(run: Run, second: str) -> None:
    fleet = Late(run.clock, fate=lambda order: "lost" if order.attempt == 1 else second)
    run.conduct(fleet)
    assert run.outcomes() == {"completed": 10}
    assert len(run.watcher.ended) == 10
    assert max(order.attempt for order in fleet.sent) <= 2


def test_an_order_that_has_its_part_already_is_not_stuck(run: Run) -> None:
    """The spool answers a second attempt with the first one's part, which is there by then."""
    first = TRIALS[0]

    class Content(Fleet):
        def send(self, order: Order) -> None:
            if (order.trial, order.attempt) == (first, 2):
                self.incoming.append(delivery_of(first, 1))
                self.sent.append(order)
                self.incoming.append(delivery_of(first, 1))
            else:
                super().send(order)

    fleet = Content(run.clock, fate=lambda order: "lost" if order == Order(first, 1) else "well")
    run.conduct(fleet)
    assert run.results.attempts()[first.trial_id] == (1,)
    assert run.outcomes() == {"completed": 10}


def test_parts_of_another_coordinator_are_left_to_it(run: Run) -> None:
    foreign = delivery_of(make_trial(seed=99))
    fleet = Fleet(run.clock)
    fleet.incoming.append(foreign)
    run.conduct(fleet)
    assert foreign not in fleet.confirmed
    assert foreign.receipt.trial_id not in run.results.attempts()


def test_what_came_in_meanwhile_is_taken_before_anything_is_sent(run: Run) -> None:
    """More than one batch of it: a coordinator was killed, its workers went on."""
    fleet = Fleet(run.clock)
    fleet.incoming.extend(delivery_of(trial) for trial in TRIALS[:8])
    run.conduct(fleet)
    assert sent(fleet) == ids(TRIALS[8:])
    assert run.watcher.done == 8
    assert len(fleet.confirmed) == 10


def test_what_was_stored_but_not_confirmed_is_confirmed(run: Run) -> None:
    """The coordinator died between the two."""
    delivery = delivery_of(TRIALS[0])
    run.results.store(f"{TRIALS[0].trial_id}.1.part", delivery.data)
    fleet = Fleet(run.clock)
    fleet.incoming.append(delivery)
    run.conduct(fleet)
    assert delivery in fleet.confirmed
    assert sent(fleet) == ids(TRIALS[1:])


def test_what_cannot_run_is_skipped_with_its_reason(run: Run) -> None:
    def why_not(trial: Trial) -> str | None:
        return "no docker on h2" if trial.host == "h2" else None

    fleet = run(options={"why_not": why_not})
    assert {order.trial.host for order in fleet.sent} == {"h1"}
    assert run.outcomes() == {"completed": 5, "skipped": 5}
    part = run.results.read(TRIALS[9].trial_id, 0)
    assert part.record.reasons == ("no docker on h2",)
    assert part.tables["instances"].column("outcome").to_pylist() == ["skipped"] * 3
    assert {order.trial.host for order in run().sent} == {"h2"}  # it can now


def test_failed_and_partial_trials_are_measured_again_on_request(run: Run) -> None:
    fates = {TRIALS[1].trial_id: "failed", TRIALS[6].trial_id: "partial"}
    run(fate=lambda order: fates.get(order.trial.trial_id, "well"))
    assert run.outcomes() == {"completed": 8, "failed": 1, "partial": 1}
    assert run().sent == []
    fleet = run(options={"retry_failed": True})
    assert fleet.sent == [Order(TRIALS[1], 2, 1), Order(TRIALS[6], 2, 1)]
    assert run.outcomes() == {"completed": 10}


def test_a_damaged_part_is_measured_again_on_request(run: Run) -> None:
    run()
    (run.results.parts / f"{TRIALS[0].trial_id}.1.part").write_bytes(b"damaged")
    assert run(options={"retry_failed": True}).sent == [Order(TRIALS[0], 2, 1)]
    assert run.results.attempts()[TRIALS[0].trial_id] == (2,)


def test_stopping_takes_back_what_is_queued(run: Run) -> None:
    stops = iter([False, False, True])
    fleet = run(stopped=lambda: next(stops))
    assert fleet.cancelled
    assert 0 < len(fleet.sent) < 10
    assert run().cancelled is False
    assert run.outcomes() == {"completed": 10}


def test_stopping_without_a_broker_is_no_error(run: Run) -> None:
    stops = iter([False, True])
    run(stopped=lambda: next(stops), broker_is_away=lambda now: now > 0.2)
    assert "broker away; workers will measure what they were sent" in run.watcher.notes


def test_a_part_that_cannot_be_stored_is_not_confirmed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(came: object) -> None:
        raise ResultsError("no space left")

    monkeypatch.setattr(run.results, "keep", full)
    fleet = Fleet(run.clock)
    with pytest.raises(ResultsError, match="no space left"):
        run.conduct(fleet)
    assert fleet.confirmed == []


def test_another_hosts_word_on_a_trial_counts_for_nothing(run: Run) -> None:
    """A worker that is taken over can speak for its own trials only, as far as records go."""
    fleet = Fleet(run.clock)
    forged = delivery_of(TRIALS[0], 1, "failed")
    receipt = forged.receipt.model_copy(update={"host": "h2"})
    fleet.incoming.append(Delivery(receipt, forged.data))
    run.conduct(fleet)
    assert run.outcomes() == {"completed": len(TRIALS)}
    assert TRIALS[0].trial_id in sent(fleet)
