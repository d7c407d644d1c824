"""Dispatch over Celery and Redis: one message per trial on the host's own queue, parts by stream.

Celery gives either duplicates or losses; we choose early acknowledgement (losses) and find what was
lost ourselves: a trial that has neither a message in its queue, nor a lease, nor a part.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from amqp.exceptions import AMQPError
from celery import Celery  # noqa: TID251 - one of the few places
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError

from contract import wire
from contract.broker import broker_errors, connect, reach
from contract.broker_clock import BrokerClock
from contract.broker_urls import read_broker
from contract.errors import BrokerError, UseError
from contract.message import Message
from contract.signing import Keys, fingerprint
from orchestrator.dispatch import Delivery, Dispatcher, HostState, Loss, Order
from orchestrator.fleet import quarantine_host, read_activity
from orchestrator.rabbitmq_queues import rabbitmq_lengths
from orchestrator.records import Records
from orchestrator.trust import Trust

LOST_AFTER_S = 15.0
"""A trial without message, lease and part for this long is lost: longer than from queue to lease."""

CLAIM_TTL_S = 10
"""A coordinator that was killed keeps its campaign's name from others for this long."""


NOT_TAKEN = (OperationalError, AMQPError)
"""What Celery raises when a message cannot be sent; RabbitMQ's refusals come through as they are."""


@dataclass(slots=True)
class _Missing:
    """An order without message and lease."""

    since: float
    overdue_at: int | None = None
    """Count of complete readings when it had been missing for long."""

    def surely(self, now: float, readings: int) -> bool:
        """Whether a part of it would have come in by now."""
        if now - self.since <= LOST_AFTER_S:
            return False
        if self.overdue_at is None:
            self.overdue_at = readings
        return readings > self.overdue_at


class CeleryDispatcher(Dispatcher):
    """The fleet behind one broker, as one run of one campaign sees it."""

    window = 2

    def __init__(
        self,
        broker: str,
        campaign: str,
        hosts: list[str],
        results: str = "",
        keys: Keys | None = None,
    ) -> None:
        self.run = uuid.uuid4().hex
        self._broker = broker
        self._campaign = campaign
        self._results = results
        self._claim = wire.run_key(campaign)
        self._hosts = list(hosts)
        self._client = connect(broker)
        self._clock = BrokerClock(self._client)
        self.trust = Trust(self._client, keys)
        """Whom this run believes."""
        self.records = Records(self._client, campaign, results, self.trust)
        self._sent: dict[str, str] = {}
        """Fingerprints of the orders in flight, by trial."""
        self._missing: dict[str, _Missing] = {}
        self._released = threading.Event()
        self._holder = threading.Thread(target=self._hold, name="claim", daemon=True)
        self._by_rabbitmq = read_broker(broker).by_rabbitmq
        self._app = _app(broker, hosts)

    def tell(self, note: Callable[[str], None]) -> None:
        """Of messages that were not believed."""
        self.trust.note = note

    def claim(self) -> None:
        """Be the campaign's only coordinator on this broker.

        Waits for the end of a predecessor's claim: one that was killed holds it for a few seconds
        more. Raises UseError when another coordinator lives. The claim is renewed until ``release``,
        also while a large plan is being written, or parts are fetched from a shared place.
        """
        give_up = time.monotonic() + 2 * CLAIM_TTL_S
        while True:
            with self._errors():
                if self._client.set(self._claim, self._who(), nx=True, ex=CLAIM_TTL_S):
                    self._holder.start()
                    return
            if time.monotonic() > give_up:
                raise UseError(
                    f"another coordinator runs campaign '{self._campaign}' on this broker; wait for "
                    f"it, or end it with `tonnage cancel {self._campaign}`"
                )
            time.sleep(0.5)

    def release(self) -> None:
        """Give up the claim."""
        self._released.set()
        if self._holder.is_alive():
            self._holder.join(timeout=CLAIM_TTL_S)
        with suppress(BrokerError), self._errors():
            self._client.delete(self._claim)

    def _hold(self) -> None:
        while not self._released.wait(CLAIM_TTL_S / 4):
            with suppress(BrokerError), self._errors():
                self._client.set(self._claim, self._who(), ex=CLAIM_TTL_S)

    def attend(self) -> bool:
        """Whether somebody has cancelled this run."""
        with self._errors():
            return bool(self._client.exists(wire.cancel_key(self.run)))

    def admit(self, host: str) -> None:
        """Take in a host that joined after the start."""
        self._hosts.append(host)
        self._app.amqp.queues.add(_host_queue(host))

    def quarantine(self, host: str, why: str) -> None:
        """Write it down on the broker."""
        with self._errors():
            quarantine_host(self._client, host, why)

    def send(self, order: Order) -> None:
        """Publish the order's message. Raises BrokerError when the broker does not take it."""
        with self._errors():
            message = Message(
                run=self.run,
                host=order.trial.host,
                attempt=order.attempt,
                newer_than=order.newer_than,
                results=self._results,
                issued_at_ns=self._clock.now_ns(),
                nonce=uuid.uuid4().hex,
                trial=order.trial,
            )
            body = self.trust.body(order.trial.host, message)
            self._app.send_task(
                wire.TASK,
                args=[body],
                queue=wire.queue_for(order.trial.host),
                retry=False,
                argsrepr=order.trial.trial_id,  # else Celery writes the whole trial a second time
                kwargsrepr="",
            )
        self._sent[order.trial.trial_id] = fingerprint(body)

    def receive(self, wait_s: float) -> list[Delivery]:
        """Completion records since the last call, those that are believed."""
        with self._errors():
            return self.records.receive(wait_s)

    def confirm(self, deliveries: list[Delivery]) -> None:
        """Take the records off the stream."""
        with self._errors():
            self.records.confirm(deliveries)

    def hosts(self) -> dict[str, HostState]:
        """State of the campaign's hosts, from their heartbeats: two commands, however many there are."""
        with self._errors():
            beats = self._client.mget([wire.heartbeat_key(name) for name in self._hosts])
            activities = self._client.mget([wire.activity_key(name) for name in self._hosts])
        return {
            name: HostState(beat is not None, read_activity(activity))
            for name, beat, activity in zip(self._hosts, beats, activities, strict=True)
        }

    def backlog(self) -> int:
        """Length of the stream: what was taken is no longer on it."""
        with self._errors():
            return int(self._client.xlen(wire.stream_key(self._campaign)))

    def lost(self, orders: list[Order]) -> list[Loss]:
        """Orders with neither message nor lease, twice in a row and some seconds apart.

        Nor with a part: the completion records were read to their end after the order was found so.
        Those that their host has refused are told at once.
        """
        if not orders:
            return []
        now = time.monotonic()
        with self._errors():
            missing = self._without_message(self._without_lease(orders))
            refused = self._refused(orders, missing)
            missing = [order for order in missing if order.trial.trial_id not in refused]
            known = {
                o.trial.trial_id: self._missing.get(o.trial.trial_id, _Missing(now)) for o in missing
            }
            gone = [o for o in missing if known[o.trial.trial_id].surely(now, self.records.read_to_end)]
            begun = self._have_begun(gone)
        for order in gone:
            del known[order.trial.trial_id]
        self._missing = known
        losses = [Loss(order, had) for order, had in zip(gone, begun, strict=True)]
        return [*refused.values(), *losses]

    def _refused(self, orders: list[Order], missing: list[Order]) -> dict[str, Loss]:
        """The missing orders that were refused, by trial. Others than these orders are forgotten."""
        self.trust.listen()
        ids = [order.trial.trial_id for order in orders]
        self._sent = {trial: self._sent[trial] for trial in ids if trial in self._sent}
        self.trust.forget(set(self._sent.values()))
        found = {}
        for order in missing:
            trial, host = order.trial.trial_id, order.trial.host
            if why := self.trust.why_refused(host, self._sent.get(trial, "")):
                found[trial] = Loss(order, begun=False, refused=why)
        return found

    def _without_lease(self, orders: list[Order]) -> list[Order]:
        trials = [order.trial for order in orders]
        leases = self._client.mget([wire.lease_key(trial.host, trial.trial_id) for trial in trials])
        return [order for order, lease in zip(orders, leases, strict=True) if lease is None]

    def _without_message(self, orders: list[Order]) -> list[Order]:
        hosts = list(dict.fromkeys(order.trial.host for order in orders))
        queued = dict(zip(hosts, self._queue_lengths(hosts), strict=True))
        return [order for order in orders if not queued[order.trial.host]]

    def _queue_lengths(self, hosts: list[str]) -> list[int]:
        if self._by_rabbitmq:
            return rabbitmq_lengths(self._app, [wire.queue_for(host) for host in hosts])
        pipe = self._client.pipeline(transaction=False)
        for host in hosts:
            pipe.llen(wire.PREFIX + wire.queue_for(host))
        return list(pipe.execute())

    def _have_begun(self, orders: list[Order]) -> list[bool]:
        if not orders:
            return []
        keys = [wire.begun_key(o.trial.host, o.trial.trial_id, o.attempt) for o in orders]
        return [mark is not None for mark in self._client.mget(keys)]

    def cancel(self) -> None:
        """Let workers drop what is still queued of this run; what is being measured is delivered."""
        with self._errors():
            # Not over a word that is there: somebody may have asked for more.
            key, word = wire.cancel_key(self.run), wire.CANCEL_QUEUED
            self._client.set(key, word, ex=wire.STREAM_TTL_S, nx=True)

    def _who(self) -> str:
        """What others may know of this run."""
        return json.dumps({"run": self.run, "machine": socket.gethostname(), "pid": os.getpid()})

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with broker_errors(self._broker):
            try:
                yield
            except NOT_TAKEN as error:
                raise BrokerError(f"the broker took no message: {error}") from error


def send_orders(broker: str, bodies: Mapping[str, dict[str, Any]]) -> None:
    """Publish an order for each of some hosts. Raises BrokerError."""
    app = _app(broker, list(bodies))
    with broker_errors(broker):
        try:
            for host, body in bodies.items():
                app.send_task(wire.TASK, args=[body], queue=wire.queue_for(host), retry=False)
        except NOT_TAKEN as error:
            raise BrokerError(f"the broker took no message: {error}") from error


def _app(broker: str, hosts: list[str]) -> Celery:
    """An app that sends to these hosts and to nobody else."""
    reach(broker)
    app = Celery("tonnage-coordinator", set_as_current=False)
    app.conf.update(wire.celery_settings(broker))
    app.conf.task_queues = [_host_queue(host) for host in hosts]
    app.conf.task_default_queue = wire.queue_for(hosts[0])
    return app


def _host_queue(host: str) -> Queue:
    """The host's queue on an exchange of its own: a shared one is read whole at every publish."""
    name = wire.queue_for(host)
    return Queue(name, Exchange(name, type="direct"), routing_key=name)
