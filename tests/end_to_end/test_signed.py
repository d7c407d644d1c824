"""A real worker with a key on a real broker, and everything that somebody may put into its queue."""

import base64
import json
import pickle
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from fleet import Broker, Process, alive, own_broker, wait_until
from trials import make_trial

from contract import CONTRACT_VERSION, wire
from contract.message import Message
from contract.refusals import last_refusals
from contract.signing import HostKey, Keys, make_keys, seal
from contract.trial import Trial
from orchestrator.dispatch import Order
from orchestrator.dispatch_celery import CeleryDispatcher

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("hosts h1, h2, h3")]

DAY_NS = 86_400 * 10**9
CAMPAIGN = "attacked"


class Bed:
    """Host ``h1`` with its worker, and its keys; ``h2`` has a key and no worker."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder, self.broker = folder, broker
        make_keys(folder / "keys", ["h1", "h2"])
        self.keys = Keys(folder / "keys")
        self.client = broker.client()
        self.queue = wire.PREFIX + wire.queue_for("h1")
        self._block = 0

    def worker(self) -> Process:
        state = ["--state-dir", str(self.folder / "state"), "--run-dir", str(self.folder / "run")]
        state += ["--libvirt-uri", "qemu:///nowhere", "--docker-socket", str(self.folder / "none")]
        key = ["--key", str(self.folder / "keys" / "h1.key")]
        return Process(
            self.folder / "worker.log",
            *("worker", "--name", "h1", "--broker", self.broker.url, *state, *key),
        )

    def trial(self) -> Trial:
        self._block += 1
        return make_trial(campaign=CAMPAIGN, host="h1", block=self._block)

    def message(self, **changes: Any) -> Message:
        content = {"run": "a" * 32, "host": "h1", "attempt": 1, "issued_at_ns": time.time_ns()}
        content |= {"nonce": f"{time.time_ns():032x}", "trial": self.trial()}
        return Message.model_validate(content | changes)

    def sealed(self, key: HostKey | None = None, host: str = "h1", **changes: Any) -> dict[str, Any]:
        text = self.message(**changes).model_dump_json()
        return seal(key or self.keys.of("h1"), "order", host, text)

    def push(self, envelope: dict[str, Any] | str) -> None:
        raw = envelope if isinstance(envelope, str) else json.dumps(envelope)
        self.client.lpush(self.queue, raw)

    def command(self, name: str) -> None:
        """Send a command to all workers, as Celery's own tools do."""
        app = Celery()
        app.conf.update(wire.celery_settings(self.broker.url))
        app.control.broadcast(name)


def envelope(body: object, *, embed: object = None, **headers: Any) -> dict[str, Any]:
    """A message as kombu writes it for Redis."""
    nothing = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return _envelope(json.dumps([[body], {}, embed or nothing]).encode(), **headers)


def _envelope(data: bytes, **headers: Any) -> dict[str, Any]:
    route = {"exchange": wire.queue_for("h1"), "routing_key": wire.queue_for("h1")}
    properties = {"delivery_tag": "t", "delivery_info": route, "body_encoding": "base64", "priority": 0}
    return {
        "body": base64.b64encode(data).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": wire.TASK, "id": "0" * 32} | headers,
        "properties": properties,
    }


def attacks(bed: Bed) -> dict[str, tuple[str, list[dict[str, Any] | str]]]:
    """By name: the cause that is to be on record, and what is pushed."""
    good = envelope(bed.sealed())
    altered = bed.sealed()
    altered["text"] = altered["text"].replace('"attempt":1', '"attempt":2')
    newer = bed.sealed() | {"contract": CONTRACT_VERSION + 1, "later": 1}
    link = {"callbacks": [{"task": wire.TASK, "args": [], "kwargs": {}, "options": {}}]}
    h2 = bed.keys.of("h2")
    now = time.time_ns()
    sealed: Callable[..., dict[str, Any]] = lambda **more: envelope(bed.sealed(), **more)  # noqa: E731
    deep = _envelope(b"[[" + b"[" * 50_000 + b"]" * 50_000 + b"],{},{}]")
    pickled = _envelope(pickle.dumps([[1], {}, {}])) | {"content-type": "application/x-python-serialize"}
    text = sealed() | {"content-type": "text/plain"}
    packed = _envelope(zlib.compress(b" " * 100_000), compression="application/x-gzip")
    return {
        "unsigned": ("unsigned", [envelope(bed.message().model_dump(mode="json"))]),
        "altered": ("altered", [envelope(altered)]),
        "another's key": ("altered", [envelope(bed.sealed(h2))]),
        "another host's order": ("foreign", [envelope(bed.sealed(h2, host="h2"))]),
        "too old": ("too_old", [envelope(bed.sealed(issued_at_ns=now - 2 * DAY_NS))]),
        "of the future": ("future", [envelope(bed.sealed(issued_at_ns=now + DAY_NS))]),
        "another version": ("version", [envelope(newer)]),
        "replayed": ("replayed", [good, good]),
        "another task": ("surface", [sealed(task="celery.chord_unlock")]),
        "no such task": ("surface", [sealed(task="os.system")]),
        "a task that is a list": ("surface", [sealed(task=[])]),
        "callbacks": ("surface", [envelope(bed.sealed(), embed=link)]),
        "a chain": ("surface", [envelope(bed.sealed(), embed={"chain": [link]})]),
        "eta": ("surface", [sealed(eta="2999-01-01T00:00:00+00:00")]),
        "expires": ("surface", [sealed(expires="2001-01-01T00:00:00+00:00")]),
        "timelimit": ("surface", [sealed(timelimit=[1, 1])]),
        "pickled": ("surface", [pickled]),
        "plain text": ("surface", [text]),
        "compressed": ("surface", [packed]),
        "too deep": ("surface", [deep]),
        "too long": ("surface", [_envelope(b" " * 2_000_000 + b"[[1],{},{}]")]),
        "no headers": ("surface", [good | {"headers": None}]),
        "protocol 1": ("surface", [_envelope(b'{"task":"tonnage.enter"}') | {"headers": {}}]),
        "no message": ("surface", ["garbage"]),
        "an empty message": ("surface", ["{}"]),
        "a list": ("surface", ["[]"]),
        "no tag": ("surface", ['{"properties": {}}']),
        "no id": ("surface", [sealed(id=None)]),
    }


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with own_broker() as broker:
        yield Bed(tmp_path, broker)


def test_a_worker_with_a_key_refuses_all_but_good_orders(bed: Bed) -> None:
    worker = bed.worker()
    try:
        wait_until(lambda: alive(bed.broker.url) == {"h1"}, "the worker is alive")
        told = attacks(bed)
        for name, (cause, pushed) in told.items():
            before = bed.client.xlen(wire.REFUSED)
            for one in pushed:
                bed.push(one)
            wait_until(lambda: bed.client.xlen(wire.REFUSED) > before, f"{name} is on record")  # noqa: B023
            last = last_refusals(bed.client)[-1]
            assert (name, last.refusal.cause) == (name, cause), last.refusal.text
            assert last.is_of(bed.keys.of("h1")), name
        bed.command("shutdown")  # which Celery obeys from anybody, signed or not
        dispatcher = CeleryDispatcher(bed.broker.url, CAMPAIGN, ["h1"], keys=bed.keys)
        order = Order(bed.trial(), 1)
        dispatcher.send(order)
        came: list[str] = []

        def measured() -> bool:
            came.extend(delivery.receipt.trial_id for delivery in dispatcher.receive(0.2))
            return order.trial.trial_id in came

        wait_until(measured, "a good order is measured after all of them")
        assert worker.running
        assert len(came) == 2  # and the one that was then replayed
        assert len(last_refusals(bed.client)) == len(told)
    finally:
        worker.kill()
    assert worker.said().count("message refused") == len(told)
