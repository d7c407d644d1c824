"""Dispatch over Celery and Redis: one message per trial on the host's own queue, parts by stream.

Celery gives either duplicates or losses; we choose early acknowledgement (losses) and find what was
lost ourselves: a trial that has neither a message in its queue, nor a lease, nor a part.
"""

import hashlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from celery import Celery  # noqa: TID251 - one of the two places
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError
from pydantic import ValidationError

from contract import wire
from contract.broker import broker_errors, connect
from contract.errors import BrokerError, PartError, ResultsError, UseError
from contract.parts import MAX_PART_BYTES, part_name
from contract.shared_parts import shared_parts
from contract.sweeping import SweepAnswer, SweepOrder, answer_key
from contract.trial import Receipt
from orchestrator.dispatch import Delivery, Dispatcher, HostState, Loss, Order
from orchestrator.fleet import quarantine_host, read_activity

LOST_AFTER_S = 15.0
"""A trial without message, lease and part for this long is lost: longer than from queue to lease."""

CLAIM_TTL_S = 10
"""A coordinator that was killed keeps its campaign's name from others for this long."""


AT_ONCE = 100
"""Completion records that are taken in one go."""


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

    def __init__(self, broker: str, campaign: str, hosts: list[str], results: str = "") -> None:
        self.run = uuid.uuid4().hex
        self._broker = broker
        self._campaign = campaign
        self._results = results
        self._shared = shared_parts(results, campaign) if results else None
        self._claim = wire.run_key(campaign)
        self._hosts = list(hosts)
        self._client = connect(broker)
        self._last = b"0"
        self._missing: dict[str, _Missing] = {}
        self._read_to_end = 0
        """How often all completion records there were had been taken."""
        self._released = threading.Event()
        self._holder = threading.Thread(target=self._hold, name="claim", daemon=True)
        self._app = _app(broker, hosts)

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
        message = wire.Message(
            run=self.run,
            host=order.trial.host,
            attempt=order.attempt,
            newer_than=order.newer_than,
            results=self._results,
            issued_at_ns=time.time_ns(),
            nonce=uuid.uuid4().hex,
            trial=order.trial,
        )
        with self._errors():
            self._app.send_task(
                wire.TASK,
                args=[message.model_dump(mode="json")],
                queue=wire.queue_for(order.trial.host),
                retry=False,
                argsrepr=order.trial.trial_id,  # else Celery writes the whole trial a second time
                kwargsrepr="",
            )

    def receive(self, wait_s: float) -> list[Delivery]:
        """Completion records since the last call. A record that is not one of ours is dropped."""
        stream = wire.stream_key(self._campaign)
        with self._errors():
            block_ms = max(1, round(wait_s * 1000))
            found = self._client.xread({stream: self._last}, count=AT_ONCE, block=block_ms)
        deliveries, seen = [], 0
        for ticket, fields in _entries(found):
            seen += 1
            try:
                receipt = Receipt.model_validate_json(fields[b"receipt"])
                data = fields[b"part"] if b"part" in fields else self._fetch(receipt)
                _see_that_it_is_what_was_announced(receipt, data)
                deliveries.append(Delivery(receipt, data, ticket.decode()))
            except (ValidationError, KeyError, PartError):
                self._client.xdel(stream, ticket)
            except ResultsError as error:
                if deliveries:  # the rest is asked for again
                    break
                raise BrokerError(str(error)) from error
            self._last = ticket
        self._read_to_end += seen < AT_ONCE
        return deliveries

    def _fetch(self, receipt: Receipt) -> bytes:
        """A part that its worker put into the shared place. Raises PartError when it is not there."""
        if self._shared is None:
            raise PartError("a record without a part, and no shared place to look for it")
        return self._shared.get(part_name(receipt.trial_id, receipt.attempt))

    def confirm(self, deliveries: list[Delivery]) -> None:
        """Take the records off the stream."""
        tickets = [delivery.ticket for delivery in deliveries]
        with self._errors():
            self._client.xdel(wire.stream_key(self._campaign), *tickets)

    def hosts(self) -> dict[str, HostState]:
        """State of the campaign's hosts, from their heartbeats: two commands, however many there are."""
        with self._errors():
            beats = self._client.mget([wire.heartbeat_key(name) for name in self._hosts])
            activities = self._client.mget([wire.activity_key(name) for name in self._hosts])
        return {
            name: HostState(beat is not None, read_activity(activity))
            for name, beat, activity in zip(self._hosts, beats, activities, strict=True)
        }

    def lost(self, orders: list[Order]) -> list[Loss]:
        """Orders with neither message nor lease, twice in a row and some seconds apart.

        Nor with a part: the completion records were read to their end after the order was found so.
        """
        if not orders:
            return []
        now = time.monotonic()
        with self._errors():
            missing = self._without_message(self._without_lease(orders))
            known = {
                o.trial.trial_id: self._missing.get(o.trial.trial_id, _Missing(now)) for o in missing
            }
            gone = [o for o in missing if known[o.trial.trial_id].surely(now, self._read_to_end)]
            begun = self._have_begun(gone)
        for order in gone:
            del known[order.trial.trial_id]
        self._missing = known
        return [Loss(order, had) for order, had in zip(gone, begun, strict=True)]

    def _without_lease(self, orders: list[Order]) -> list[Order]:
        leases = self._client.mget([wire.lease_key(order.trial.trial_id) for order in orders])
        return [order for order, lease in zip(orders, leases, strict=True) if lease is None]

    def _without_message(self, orders: list[Order]) -> list[Order]:
        hosts = list(dict.fromkeys(order.trial.host for order in orders))
        pipe = self._client.pipeline(transaction=False)
        for host in hosts:
            pipe.llen(wire.PREFIX + wire.queue_for(host))
        queued = dict(zip(hosts, pipe.execute(), strict=True))
        return [order for order in orders if not queued[order.trial.host]]

    def _have_begun(self, orders: list[Order]) -> list[bool]:
        if not orders:
            return []
        keys = [wire.begun_key(order.trial.trial_id, order.attempt) for order in orders]
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
            except OperationalError as error:
                raise BrokerError(f"the broker took no message: {error}") from error


def _see_that_it_is_what_was_announced(receipt: Receipt, data: bytes) -> None:
    """Raises PartError. What the part says of itself is looked at when the parts are gathered."""
    if len(data) > MAX_PART_BYTES or len(data) != receipt.size_bytes:
        raise PartError(f"a part of {len(data)} bytes, announced as {receipt.size_bytes}")
    if hashlib.sha256(data).hexdigest() != receipt.sha256:
        raise PartError("the part is another one than was announced")


def sweep_fleet(broker: str, hosts: list[str], *, dry_run: bool, wait_s: float) -> list[SweepAnswer]:
    """Have workers sweep their hosts, each after the trial that it is at.

    Returns the answers that came within ``wait_s``. Raises BrokerError.
    """
    answer_to, app = uuid.uuid4().hex, _app(broker, hosts)
    client = connect(broker)
    answers: list[SweepAnswer] = []
    with broker_errors(broker):
        try:
            for host in hosts:
                order = SweepOrder(host=host, dry_run=dry_run, answer_to=answer_to)
                body, queue = [order.model_dump(mode="json")], wire.queue_for(host)
                app.send_task(wire.TASK, args=body, queue=queue, retry=False)
        except OperationalError as error:
            raise BrokerError(f"the broker took no message: {error}") from error
        give_up = time.monotonic() + wait_s
        while len(answers) < len(hosts) and (left_s := give_up - time.monotonic()) > 0:
            came = client.blpop([answer_key(answer_to)], timeout=min(5.0, max(0.1, left_s)))
            if came is not None:
                with suppress(ValidationError):  # somebody else's word
                    answers.append(SweepAnswer.model_validate_json(came[1]))
    return answers


def _app(broker: str, hosts: list[str]) -> Celery:
    """An app that sends to these hosts and to nobody else."""
    app = Celery("tonnage-coordinator", set_as_current=False)
    app.conf.update(wire.celery_settings(broker))
    app.conf.task_queues = [_host_queue(host) for host in hosts]
    app.conf.task_default_queue = wire.queue_for(hosts[0])
    return app


def _host_queue(host: str) -> Queue:
    """The host's queue on an exchange of its own: a shared one is read whole at every publish."""
    name = wire.queue_for(host)
    return Queue(name, Exchange(name, type="direct"), routing_key=name)


def _entries(found: object) -> "Iterator[tuple[bytes, dict[bytes, bytes]]]":
    """Entries of one stream from an XREAD answer, in its old (list) or new (mapping) form."""
    streams = found.items() if isinstance(found, dict) else (found or [])
    for _, entries in streams:  # type: ignore[attr-defined]
        batch = entries[0] if entries and isinstance(entries[0], list) else entries
        yield from batch
