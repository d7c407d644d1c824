"""The campaign loop. What is left to do = plan − parts; so resume, retry and recovery are one thing."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from contract.errors import BrokerError, PartError
from contract.parts import TrialRecord, pack_part, part_name
from contract.rows import InstanceRow, Rows
from contract.trial import Outcome, Receipt, Trial
from orchestrator.dispatch import Delivery, Dispatcher, Loss, Order
from orchestrator.observer import Observer
from orchestrator.quarantine import FAILURES_IN_A_ROW, FailureWatch
from orchestrator.results import Results

MAX_ATTEMPTS = 2
"""A trial with which a worker dies this often is a failed record, not a loop."""

MAX_SENT = 10
"""So often a message may be lost: a broker that keeps forgetting is no reason for a loop."""

POLL_S = 0.5
CHECK_S = 2.0
"""How often hosts are looked at and lost orders are searched."""

LOOK_SHARE = 0.1
"""Looking takes this share of the time at most: thousands of hosts are looked at more rarely."""

HOSTS_AT_ONCE = 100
"""So many hosts are sent orders before deliveries are taken again: a first round may take a minute."""


@dataclass(slots=True)
class Coordination:
    """One execution of ``tonnage run``: its plan, results and dispatcher, and what is in flight."""

    trials: tuple[Trial, ...]
    results: Results
    dispatcher: Dispatcher
    observer: Observer
    plan_rows: Callable[[Trial], list[InstanceRow]]
    why_not: Callable[[Trial], str | None] = lambda _: None
    """Why a trial cannot be measured on its host at all; None when it can."""
    retry_failed: bool = False
    only: Callable[[Trial], bool] = lambda _: True
    """Which trials this run measures; the others stay in the plan."""
    newcomers: Callable[[], tuple[Trial, ...]] = lambda: ()
    """Trials of hosts that have joined since the last call."""
    patience_s: float = 60.0
    """How long a host, or the broker, may be away before the campaign goes on without it."""
    cancelled: bool = False
    """Whether somebody cancelled the campaign at the broker."""
    _by_id: dict[str, Trial] = field(default_factory=dict)
    _queues: dict[str, deque[Order]] = field(default_factory=dict)
    _ready: dict[str, None] = field(default_factory=dict)
    """Hosts that may have room for an order, the first to have it first."""
    _flying: dict[str, dict[str, Order]] = field(default_factory=dict)
    """Orders by host and trial; a host that has none is not in it."""
    _open: set[str] = field(default_factory=set)
    """Trials whose end the observer has not been told."""
    _arrived: dict[str, int] = field(default_factory=dict)
    """The latest attempt that came in for a trial during this run."""
    _away_since: dict[str, float] = field(default_factory=dict)
    _broker_away_since: float | None = None
    _checked_at: float = 0.0
    _look_again_at: float = 0.0
    _failures: FailureWatch = field(default_factory=FailureWatch)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Measure what is missing. Returns when all is there, when nothing more can come, or when
        stopped or cancelled.

        Raises BrokerError when the broker stays away longer than ``patience_s``, ResultsError when
        parts cannot be stored.
        """
        self._by_id = {trial.trial_id: trial for trial in self.trials}
        while came := self.dispatcher.receive(0):  # while no coordinator was there
            self._take(came)
        self._begin()
        while self._queues or self._flying:
            if stopped() or self.cancelled:
                self._cancel()
                return
            try:
                self._top_up()
                self._take(self.dispatcher.receive(0 if self._ready else POLL_S))
                self._greet_broker()
                self._check()
            except BrokerError as error:
                self._wait_for_broker(error)

    def _begin(self) -> None:
        done = self._order(self.trials)
        self.observer.begin(sum(map(self.only, self.trials)), done)
        self._skip_impossible()

    def _order(self, trials: tuple[Trial, ...]) -> int:
        """Queue what is missing of these trials. Returns how many are there already."""
        attempts = self.results.attempts()
        meant = [(trial, max(attempts.get(trial.trial_id, (0,)))) for trial in filter(self.only, trials)]
        again = self._to_measure_again(meant) if self.retry_failed else set()
        there = []
        for trial, had in meant:
            if had > 0 and trial.meeting_id not in again:
                there.append(trial)
            else:
                self._open.add(trial.trial_id)
                self._queues.setdefault(trial.host, deque()).append(Order(trial, had + 1, had))
                self._ready[trial.host] = None
        missing = [trial for trial, _ in meant if trial.trial_id in self._open]
        self.observer.planned(there, missing)
        return len(there)

    def _skip_impossible(self) -> None:
        """Record what cannot be measured where it was planned."""
        for host, queue in list(self._queues.items()):
            for _ in range(len(queue)):
                order = queue.popleft()
                if reason := self.why_not(order.trial):
                    self._record(order, "skipped", reason, attempt=0)
                else:
                    queue.append(order)
            self._drop_if_empty(host)

    def _to_measure_again(self, meant: list[tuple[Trial, int]]) -> set[str]:
        """What failed; all hosts repeat together what one of those that measured together lacks."""
        return {
            trial.meeting_id
            for trial, had in meant
            if (self._failed(trial, had) if had > 0 else bool(trial.group))
        }

    def _failed(self, trial: Trial, attempt: int) -> bool:
        try:
            outcome = self.results.check(trial.trial_id, attempt).outcome
            return outcome in ("failed", "partial", "skipped")
        except PartError:
            return True

    def _top_up(self) -> None:
        """Give hosts that are there as many orders as their window holds: those that may have room."""
        for host in list(islice(self._ready, HOSTS_AT_ONCE)):
            self._fill(host)
            del self._ready[host]

    def _fill(self, host: str) -> None:
        queue, flying = self._queues.get(host, deque()), self._flying.get(host, {})
        while queue and len(flying) < self.dispatcher.window and host not in self._away_since:
            order = queue[0]
            if not self._fulfilled(order):
                self.dispatcher.send(order)
                flying = self._flying.setdefault(host, flying)
                flying[order.trial.trial_id] = order
            queue.popleft()
        self._drop_if_empty(host)

    def _land(self, order: Order) -> None:
        """It is not in flight any more, so its host has room."""
        host = order.trial.host
        del self._flying[host][order.trial.trial_id]
        if not self._flying[host]:
            del self._flying[host]
        self._ready[host] = None

    def _in_flight(self) -> Iterator[Order]:
        for orders in self._flying.values():
            yield from orders.values()

    def _fulfilled(self, order: Order) -> bool:
        """Whether a part came in that the order will be content with: one thought lost, say."""
        return self._arrived.get(order.trial.trial_id, -1) > order.newer_than

    def _take(self, deliveries: list[Delivery]) -> None:
        """Store what came in; only then may its sender forget it."""
        # What is not in the plan may be another coordinator's of the same campaign name.
        ours = [delivery for delivery in deliveries if self._is_ours(delivery.receipt)]
        self.results.keep([(d.receipt, d.data) for d in ours if not self._has(d.receipt)])
        for delivery in ours:
            self._note(delivery.receipt)
        if ours:
            self.dispatcher.confirm(ours)

    def _is_ours(self, receipt: Receipt) -> bool:
        trial = self._by_id.get(receipt.trial_id)
        return trial is not None and trial.host == receipt.host

    def _note(self, receipt: Receipt) -> None:
        trial = self._by_id[receipt.trial_id]
        self._arrived[receipt.trial_id] = max(receipt.attempt, self._arrived.get(receipt.trial_id, -1))
        order = self._flying.get(trial.host, {}).get(receipt.trial_id)
        if order is not None and (receipt.attempt == 0 or self._fulfilled(order)):
            self._land(order)
        self._tell(trial, receipt)

    def _tell(self, trial: Trial, receipt: Receipt) -> None:
        """Each trial ends once for the observer, however often it is delivered."""
        if receipt.trial_id not in self._open:
            return
        self._open.remove(receipt.trial_id)
        self.observer.received(trial, receipt)
        if receipt.attempt > 0 and self._failures.note(trial, receipt.outcome):
            self._quarantine(trial.host, "; ".join(receipt.reasons) or receipt.outcome)

    def _has(self, receipt: Receipt) -> bool:
        return (self.results.parts / part_name(receipt.trial_id, receipt.attempt)).exists()

    def _check(self) -> None:
        """Every few seconds: whether we are cancelled, who is away, what is lost."""
        now = time.monotonic()
        if now - self._checked_at < CHECK_S:
            return
        self._checked_at = now
        self.cancelled = self.dispatcher.attend()
        if now >= self._look_again_at:
            self._look(now)
            self._look_again_at = now + (time.monotonic() - now) / LOOK_SHARE

    def _look(self, now: float) -> None:
        self._welcome()
        states = self.dispatcher.hosts()
        self.observer.hosts(states)
        self.observer.backlog(self.dispatcher.backlog())
        for host, state in states.items():
            self._see(host, state.alive, now)
        for loss in self.dispatcher.lost(list(self._in_flight())):
            self._again(loss)
        for host, since in self._away_since.items():
            if now - since > self.patience_s:
                self._give_up(host)

    def _see(self, host: str, alive: bool, now: float) -> None:
        """Note a host's going and coming back."""
        if alive and self._away_since.pop(host, None) is not None:
            self._ready[host] = None
            self.observer.note(f"host {host} is back", "host_back", host)
        elif not alive and host not in self._away_since:
            self._away_since[host] = now
            text = f"host {host} has no heartbeat; waiting {self.patience_s:g} s for it"
            self.observer.note(text, "host_away", host)

    def _welcome(self) -> None:
        """Take in hosts that have joined since the last look."""
        if trials := self.newcomers():
            self.trials += trials
            self._by_id |= {trial.trial_id: trial for trial in trials}
            done = self._order(trials)
            names = ", ".join(sorted({trial.host for trial in trials}))
            self.observer.note(f"joined: {names}", "host_joined", names)
            self.observer.joined(sum(map(self.only, trials)), done)
            self._skip_impossible()

    def _quarantine(self, host: str, why: str) -> None:
        """Ask nothing more of a host that fails what others can do."""
        reason = f"host {host} is in quarantine: {FAILURES_IN_A_ROW} trials in a row failed, last: {why}"
        for order in self._queues.pop(host, ()):
            self._record(order, "skipped", reason, attempt=0)
        text = f"{reason}; `tonnage hosts --release {host}` lets campaigns use it again"
        self.observer.note(text, "host_quarantined", host)
        self.dispatcher.quarantine(host, why)

    def _again(self, loss: Loss) -> None:
        """Send a lost order again, or record that it kills its worker, or that its host refused it."""
        order = loss.order
        self._land(order)
        if loss.refused:
            self._record(order, "skipped", loss.refused, attempt=0)
            return
        deaths, sent = order.deaths + loss.begun, order.attempt - order.newer_than
        again = deaths < MAX_ATTEMPTS and sent < MAX_SENT
        self.observer.lost(order.trial, again=again)
        if not again:
            why = f"its worker was lost {deaths} times while measuring it"
            if deaths < MAX_ATTEMPTS:
                why = f"it was sent {sent} times, and nothing came of it"
            self._record(order, "failed", why, attempt=order.attempt)
            return
        host, once_more = (
            order.trial.host,
            Order(order.trial, order.attempt + 1, order.newer_than, deaths),
        )
        self._queues.setdefault(host, deque()).appendleft(once_more)
        self.observer.note(f"a trial was lost on host {host}; it is sent again", "trial_resent", host)

    def _give_up(self, host: str) -> None:
        """Record everything that waits for a host as lost; the campaign goes on without it."""
        flying = list(self._flying.get(host, {}).values())
        waiting = [*flying, *self._queues.pop(host, ())]
        for order in flying:
            self._land(order)
        for order in waiting:
            why = f"host {host} went away and did not come back within {self.patience_s:g} s"
            self._record(order, "lost", why, attempt=0)
        if waiting:
            text = f"host {host} is given up: {len(waiting)} trials are lost"
            self.observer.note(text, "host_given_up", host)

    def _record(self, order: Order, outcome: Outcome, why: str, attempt: int) -> None:
        """The coordinator's own record of a trial that nobody measured."""
        rows = self.plan_rows(order.trial)
        for row in rows:
            row.outcome = "lost" if outcome in ("lost", "failed") else "skipped"
            row.error_class, row.error_text = outcome, why
        record = TrialRecord(
            trial=order.trial,
            attempt=attempt,
            outcome=outcome,
            verdict="invalid",
            reasons=(why,),
            error_class=outcome,
            error_text=why,
            started_at_ns=time.time_ns(),
        )
        packed = pack_part(record, Rows(rows))
        self.results.keep([(packed.receipt, packed.data)])
        self._tell(order.trial, packed.receipt)

    def _cancel(self) -> None:
        try:
            self.dispatcher.cancel()
        except BrokerError as error:
            self.observer.note(f"{error}; workers will measure what they were sent")

    def _wait_for_broker(self, error: BrokerError) -> None:
        now = time.monotonic()
        if self._broker_away_since is None:
            self._broker_away_since = now
            self.observer.note(f"{error}; waiting for it", "broker_away")
        if now - self._broker_away_since > self.patience_s:
            raise error
        time.sleep(POLL_S)

    def _greet_broker(self) -> None:
        """The broker answers. Hosts get new patience after its absence: it hid their heartbeats."""
        if self._broker_away_since is not None:
            self._broker_away_since = None
            self._away_since = dict.fromkeys(self._away_since, time.monotonic())

    def _drop_if_empty(self, host: str) -> None:
        if not self._queues.get(host, True):
            del self._queues[host]
