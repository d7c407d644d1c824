"""Dispatch over a real broker: messages out, parts in, and what is lost is found."""

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fleet import own_broker, wait_until
from trials import make_part, make_trial

from contract import wire
from contract.broker import connect
from contract.errors import BrokerError, ResultsError
from contract.message import decode_message
from contract.parts import PackedPart
from contract.trial import Trial
from orchestrator import dispatch_celery, records
from orchestrator.dispatch import Loss, Order
from orchestrator.dispatch_celery import CeleryDispatcher
from workers.delivery import deliver

pytestmark = pytest.mark.redis


class Rig:
    """A dispatcher for a campaign and a host that nobody else has."""

    def __init__(self, broker: str) -> None:
        self.host = f"h-{secrets.token_hex(4)}"
        self.campaign = f"c-{secrets.token_hex(4)}"
        self.dispatcher = CeleryDispatcher(broker, self.campaign, [self.host])
        self.client = connect(broker)
        self.queue = wire.PREFIX + wire.queue_for(self.host)
        self.stream = wire.stream_key(self.campaign)

    def trial(self, block: int = 0) -> Trial:
        return make_trial(campaign=self.campaign, host=self.host, block=block)

    def deliver(self, packed: PackedPart) -> None:
        deliver(self.client, packed.receipt, packed.data, self.campaign)


@pytest.fixture
def rig(redis_url: str) -> Iterator[Rig]:
    made = Rig(redis_url)
    yield made
    made.client.delete(made.queue, made.stream, wire.cancel_key(made.dispatcher.run))


def test_an_order_is_one_message_on_its_hosts_queue(rig: Rig) -> None:
    rig.dispatcher.send(Order(rig.trial(), 2, 1))
    (raw,) = rig.client.lrange(rig.queue, 0, -1)
    envelope = json.loads(raw)
    assert envelope["headers"]["task"] == wire.TASK
    assert envelope["content-type"] == "application/json"
    (body,) = json.loads(base64.b64decode(envelope["body"]))[0]
    message = decode_message(body, rig.host)
    assert (message.attempt, message.newer_than, message.run) == (2, 1, rig.dispatcher.run)
    assert message.trial.trial_id == rig.trial().trial_id


def test_deliveries_come_once_and_go_when_confirmed(rig: Rig) -> None:
    packed = [make_part(rig.trial(block)) for block in range(3)]
    for part in packed:
        rig.deliver(part)
    came = rig.dispatcher.receive(0)
    assert [(d.receipt, d.data) for d in came] == [(part.receipt, part.data) for part in packed]
    assert rig.dispatcher.receive(0) == []
    rig.dispatcher.confirm(came[:1])
    assert rig.client.xlen(rig.stream) == 2


def test_what_was_not_confirmed_comes_again_to_the_next_coordinator(rig: Rig, redis_url: str) -> None:
    rig.deliver(make_part(rig.trial()))
    assert len(rig.dispatcher.receive(0)) == 1
    assert len(CeleryDispatcher(redis_url, rig.campaign, [rig.host]).receive(0)) == 1


@pytest.mark.parametrize(
    "fields", [{"receipt": "{}", "part": b"x"}, {"receipt": b"\xff", "part": b""}, {"other": "x"}]
)
def test_a_record_that_is_not_ours_is_dropped(rig: Rig, fields: dict[str, bytes | str]) -> None:
    rig.client.xadd(rig.stream, dict(fields))
    rig.deliver(make_part(rig.trial()))
    assert len(rig.dispatcher.receive(0)) == 1
    assert rig.client.xlen(rig.stream) == 1


@pytest.fixture
def sharing(rig: Rig, redis_url: str, tmp_path: Path) -> CeleryDispatcher:
    """A dispatcher of a campaign that has a shared place."""
    return CeleryDispatcher(redis_url, rig.campaign, [rig.host], str(tmp_path))


def test_a_part_in_a_shared_place_is_fetched(
    rig: Rig, sharing: CeleryDispatcher, tmp_path: Path
) -> None:
    packed = make_part(rig.trial())
    deliver(rig.client, packed.receipt, packed.data, rig.campaign, str(tmp_path))
    assert [delivery.data for delivery in sharing.receive(0)] == [packed.data]


def test_a_part_that_is_not_in_the_shared_place_was_not_delivered(
    rig: Rig, sharing: CeleryDispatcher, tmp_path: Path
) -> None:
    damages: list[Callable[[Path], object]] = [Path.unlink, lambda path: path.write_bytes(b"x")]
    for block, damage in enumerate(damages):
        packed = make_part(rig.trial(block))
        deliver(rig.client, packed.receipt, packed.data, rig.campaign, str(tmp_path))
        damage(tmp_path / rig.campaign / "parts" / packed.name)
    assert sharing.receive(0) == []
    assert rig.client.xlen(rig.stream) == 0


def test_a_shared_place_that_is_away_loses_nothing(
    rig: Rig, sharing: CeleryDispatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = [make_part(rig.trial(block)) for block in range(3)]
    for part in packed:
        deliver(rig.client, part.receipt, part.data, rig.campaign, str(tmp_path))
    with monkeypatch.context() as away:

        def get(name: str) -> bytes:
            if name == packed[0].name:
                return packed[0].data
            raise ResultsError("the place is away")

        away.setattr(sharing.records._shared, "get", get)
        assert [delivery.data for delivery in sharing.receive(0)] == [packed[0].data]
        with pytest.raises(BrokerError, match="the place is away"):
            sharing.receive(0)
    assert [delivery.data for delivery in sharing.receive(0)] == [part.data for part in packed[1:]]


def test_an_order_is_lost_without_message_and_lease(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch_celery, "LOST_AFTER_S", -1.0)
    order = Order(rig.trial(), 1)
    rig.dispatcher.send(order)
    assert rig.dispatcher.lost([order]) == []  # it waits in the queue
    rig.client.delete(rig.queue)
    rig.client.set(wire.lease_key(rig.host, order.trial.trial_id), "worker", ex=60)
    assert rig.dispatcher.lost([order]) == []  # a worker is at it
    rig.client.delete(wire.lease_key(rig.host, order.trial.trial_id))
    for begun in (False, True):
        for _ in range(2):  # its part may be among those that nobody has taken yet
            assert rig.dispatcher.lost([order]) == []
        rig.dispatcher.receive(0)
        assert rig.dispatcher.lost([order]) == [Loss(order, begun=begun)]
        rig.client.set(wire.begun_key(rig.host, order.trial.trial_id, 1), 1, ex=60)


def test_a_trial_whose_part_waits_to_be_taken_is_not_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator that is slower than its workers takes parts late."""
    monkeypatch.setattr(dispatch_celery, "LOST_AFTER_S", -1.0)
    monkeypatch.setattr(records, "AT_ONCE", 2)
    orders = [Order(rig.trial(block), 1) for block in range(5)]
    for order in orders:
        rig.deliver(make_part(order.trial))
    flying = {order.trial.trial_id: order for order in orders}
    while flying:
        assert rig.dispatcher.lost(list(flying.values())) == []
        for delivery in rig.dispatcher.receive(0):
            del flying[delivery.receipt.trial_id]


def test_an_order_on_its_way_from_queue_to_lease_is_not_lost(rig: Rig) -> None:
    order = Order(rig.trial(), 1)
    assert rig.dispatcher.lost([order]) == []
    assert rig.dispatcher.lost([order]) == []
    assert rig.dispatcher.lost([]) == []


def test_a_claim_is_held_while_the_coordinator_is_at_something_else(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch_celery, "CLAIM_TTL_S", 2)
    key = wire.run_key(rig.campaign)
    rig.dispatcher.claim()
    rig.client.expire(key, 100)
    wait_until(lambda: rig.client.ttl(key) <= 2, "the claim is renewed")
    rig.dispatcher.release()
    assert not rig.client.exists(key)


def test_cancelling_is_said_to_this_run_only(rig: Rig) -> None:
    rig.dispatcher.cancel()
    assert rig.client.get(wire.cancel_key(rig.dispatcher.run)) == wire.CANCEL_QUEUED


def test_a_host_that_nobody_knows_is_away(rig: Rig) -> None:
    assert not rig.dispatcher.hosts()[rig.host].alive


def test_an_empty_broker_takes_messages_again_when_it_is_back() -> None:
    """Bindings of queues are kept in the broker: they are gone with it and must be made anew."""
    with own_broker() as broker:
        rig = Rig(broker.url)
        rig.dispatcher.send(Order(rig.trial(0), 1))
        broker.kill()
        for act in (
            lambda: rig.dispatcher.send(Order(rig.trial(1), 1)),
            lambda: rig.dispatcher.receive(0.01),
            lambda: rig.dispatcher.lost([Order(rig.trial(0), 1)]),
            rig.dispatcher.hosts,
            rig.dispatcher.cancel,
        ):
            with pytest.raises(BrokerError):
                act()
        broker.start()
        wait_until(lambda: sent(rig), "the broker takes a message")
        assert connect(broker.url).llen(rig.queue) == 1


def sent(rig: Rig) -> bool:
    try:
        rig.dispatcher.send(Order(rig.trial(2), 1))
    except BrokerError:
        return False
    return True


def announce(rig: Rig, packed: PackedPart, **changes: object) -> None:
    """Deliver a part with a receipt that says something else of it."""
    receipt = packed.receipt.model_dump(mode="json") | changes
    rig.client.xadd(rig.stream, {"receipt": json.dumps(receipt), "part": packed.data})


@pytest.mark.parametrize(
    "changes", [{"sha256": "0" * 64}, {"size_bytes": 5}, {"attempt": 10_000}, {"host": "../h1"}]
)
def test_a_part_that_is_not_what_its_receipt_says_is_dropped(
    rig: Rig, changes: dict[str, object]
) -> None:
    announce(rig, make_part(rig.trial(0)), **changes)
    rig.deliver(make_part(rig.trial(1)))
    (came,) = rig.dispatcher.receive(0)
    assert came.receipt.trial_id == rig.trial(1).trial_id
    assert rig.client.xlen(rig.stream) == 1


@pytest.mark.parametrize("said", [b"[]", b"{", b"null", b'{"driver": 5}', b"[" * 100_000, b"\xff"])
def test_what_a_host_says_it_is_at_ends_no_campaign(rig: Rig, said: bytes) -> None:
    key = wire.activity_key(rig.host)
    rig.client.set(key, said, ex=60)
    assert rig.dispatcher.hosts()[rig.host].activity == ""
    rig.client.delete(key)
