"""A coordinator with keys believes what its own host has signed for the purpose, and nothing else."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trials import make_part, make_trial

from contract import CONTRACT_VERSION, wire
from contract.broker import connect
from contract.errors import KeyFileError, MessageError
from contract.parts import PackedPart
from contract.refusals import last_refusals, record_refusal, refusal_of
from contract.signing import HostKey, Keys, fingerprint, make_keys, seal, unseal
from contract.sweeping import SweepAnswer, answer_key
from contract.trial import Trial
from orchestrator.dispatch import Loss, Order
from orchestrator.dispatch_celery import CeleryDispatcher
from orchestrator.fleet_sweep import FleetSweep, Swept
from workers.delivery import Courier

pytestmark = pytest.mark.redis
STRANGER = HostKey(b"s" * 32)


class Rig:
    """A dispatcher with keys for two hosts, who may deliver."""

    def __init__(self, broker: str, folder: Path, *, with_keys: bool = True) -> None:
        tag = secrets.token_hex(4)
        self.h1, self.h2, self.campaign = f"h1-{tag}", f"h2-{tag}", f"c-{tag}"
        make_keys(folder, [self.h1, self.h2])
        self.keys = Keys(folder)
        self.client = connect(broker)
        self.dispatcher = CeleryDispatcher(
            broker, self.campaign, [self.h1, self.h2], keys=self.keys if with_keys else None
        )
        self.notes: list[str] = []
        self.dispatcher.tell(self.notes.append)
        self.stream = wire.stream_key(self.campaign)
        self.queue = wire.PREFIX + wire.queue_for(self.h1)

    def trial(self, **changes: Any) -> Trial:
        return make_trial(campaign=self.campaign, **({"host": self.h1} | changes))

    def deliver(self, packed: PackedPart, key: HostKey | None, data: bytes | None = None) -> None:
        keys = {packed.receipt.host: key} if key else {}
        Courier(self.client, keys).deliver(packed.receipt, data or packed.data, self.campaign)

    def came(self) -> list[str]:
        return [delivery.receipt.trial_id for delivery in self.dispatcher.receive(0)]

    def cause(self) -> str:
        """Of the last refusal."""
        return last_refusals(self.client, 1)[0].refusal.cause

    def refuse(self, order: Order, cause: str, key: HostKey | None, host: str = "") -> None:
        """A worker's word against the order that was sent last."""
        (raw,) = self.dispatcher._sent.values()
        said = refusal_of(MessageError("no", cause=cause), host or order.trial.host, message=raw)
        record_refusal(self.client, said, key)


@pytest.fixture
def rig(redis_url: str, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(redis_url, tmp_path / "keys")
    yield made
    made.client.delete(made.stream, made.queue)


def test_a_signed_record_is_believed(rig: Rig) -> None:
    packed = make_part(rig.trial())
    rig.dispatcher.records.expect([rig.trial()])
    rig.deliver(packed, rig.keys.of(rig.h1))
    assert rig.came() == [packed.receipt.trial_id]
    assert rig.notes == []


def test_an_unsigned_record_is_dropped_and_a_person_is_told_once(rig: Rig) -> None:
    for block in range(3):
        rig.deliver(make_part(rig.trial(block=block)), None)
    assert rig.came() == []
    assert rig.cause() == "unsigned"
    assert rig.client.xlen(rig.stream) == 0
    (note,) = rig.notes
    assert note.startswith(f"a record of host {rig.h1} is refused: not signed, although")


def test_a_record_signed_with_another_key_is_refused(rig: Rig) -> None:
    for key in (STRANGER, rig.keys.of(rig.h2)):
        rig.deliver(make_part(rig.trial()), key)
        assert rig.came() == []
        assert rig.cause() == "altered"


def test_nobody_speaks_of_another_hosts_trial(rig: Rig) -> None:
    trial = rig.trial(host=rig.h2)
    rig.dispatcher.records.expect([trial])
    packed = make_part(trial)
    receipt = packed.receipt.model_copy(update={"host": rig.h1})
    rig.deliver(PackedPart(packed.data, receipt), rig.keys.of(rig.h1))
    assert rig.came() == []
    assert rig.cause() == "foreign"


def test_a_host_does_not_speak_for_another(rig: Rig) -> None:
    packed = make_part(rig.trial())
    sealed = seal(rig.keys.of(rig.h2), "record", rig.h2, packed.receipt.model_dump_json())
    rig.client.xadd(rig.stream, {"receipt": json.dumps(sealed), "part": packed.data})
    assert rig.came() == []
    assert rig.cause() == "foreign"


def test_a_part_that_is_not_the_receipts_is_refused(rig: Rig) -> None:
    rig.deliver(make_part(rig.trial()), rig.keys.of(rig.h1), data=make_part(rig.trial(block=1)).data)
    assert rig.came() == []
    assert rig.cause() == "part"


def test_a_signature_for_another_purpose_is_no_record(rig: Rig) -> None:
    packed = make_part(rig.trial())
    text = packed.receipt.model_dump_json()
    sealed = seal(rig.keys.of(rig.h1), "answer", rig.h1, text)
    with pytest.raises(MessageError, match="the signature does not fit"):
        rig.dispatcher.trust.receipt(json.dumps(sealed).encode())


def test_a_host_without_key_is_neither_asked_nor_believed(rig: Rig) -> None:
    trial = rig.trial(host="nobody")
    rig.deliver(make_part(trial), STRANGER)
    assert rig.came() == []
    assert rig.cause() == "unsigned"
    rig.dispatcher.admit("nobody")
    with pytest.raises(KeyFileError, match=r"nobody\.key cannot be read"):
        rig.dispatcher.send(Order(trial, 1))


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b"[" * 50_000, b'{"mac": 1, "text": 2}'])
def test_what_is_no_receipt_is_said(rig: Rig, text: bytes) -> None:
    with pytest.raises(MessageError, match=r"not|no key"):
        rig.dispatcher.trust.receipt(text)


def test_without_keys_a_signed_record_is_read_too(redis_url: str, tmp_path: Path) -> None:
    rig = Rig(redis_url, tmp_path / "keys", with_keys=False)
    for block, key in enumerate((None, STRANGER)):
        rig.deliver(make_part(rig.trial(block=block)), key)
    assert len(rig.came()) == 2
    rig.client.delete(rig.stream)


def test_an_order_that_was_refused_is_told_with_the_reason(rig: Rig) -> None:
    order = Order(rig.trial(), 1)
    rig.dispatcher.send(order)
    raw = rig.client.lpop(rig.queue)
    assert raw is not None
    assert rig.dispatcher.lost([order]) == []
    rig.refuse(order, "too_old", rig.keys.of(rig.h1))
    (loss,) = rig.dispatcher.lost([order])
    assert loss == Loss(order, begun=False, refused=f"host {rig.h1} refused the order (too_old): no")


def test_only_the_hosts_own_word_against_the_order_itself_counts(rig: Rig) -> None:
    order = Order(rig.trial(), 1)
    rig.dispatcher.send(order)
    rig.refuse(order, "altered", rig.keys.of(rig.h1))
    assert rig.dispatcher.lost([order]) == []  # another copy waits in the queue
    rig.dispatcher.send(order)
    rig.client.delete(rig.queue)
    rig.refuse(order, "unsigned", None)
    rig.refuse(order, "unsigned", STRANGER)
    rig.refuse(order, "foreign", rig.keys.of(rig.h2), host=rig.h2)
    rig.refuse(order, "replayed", rig.keys.of(rig.h1))  # so it was taken
    assert rig.dispatcher.lost([order]) == []
    (note,) = rig.notes
    assert note.startswith(f"somebody says in the name of host {rig.h1}: no")


def test_what_is_sent_can_be_opened_with_the_hosts_key_alone(rig: Rig) -> None:
    order = rig.dispatcher.trust.body(rig.h1, make_part(rig.trial()).receipt)
    assert unseal(rig.keys.of(rig.h1), "order", rig.h1, order)
    with pytest.raises(MessageError):
        unseal(rig.keys.of(rig.h2), "order", rig.h1, order)
    assert order["contract"] == CONTRACT_VERSION
    assert len(fingerprint(order)) == 32


class Sweeping:
    """A sweep of one host, whose answers may be forged."""

    def __init__(self, rig: Rig, broker: str) -> None:
        self.rig = rig
        self.sweep = FleetSweep(broker, [rig.h1], rig.keys)
        self.key = answer_key(self.sweep._answer_to)

    def answer(self, key: HostKey | None, host: str = "", answer_to: str = "") -> None:
        answer = SweepAnswer(
            host=host or self.rig.h1, answer_to=answer_to or self.sweep._answer_to, notes=("ours",)
        )
        keys = {answer.host: key} if key else {}
        self.rig.client.rpush(
            self.key, Courier(self.rig.client, keys).signed("answer", answer.host, answer)
        )

    def run(self, wait_s: float) -> Swept:
        return self.sweep.run(dry_run=True, wait_s=wait_s, note=self.rig.notes.append)


def test_of_all_answers_to_a_sweep_the_hosts_own_is_taken(rig: Rig, redis_url: str) -> None:
    sweeping, own = Sweeping(rig, redis_url), rig.keys.of(rig.h1)
    rig.client.rpush(sweeping.key, b"garbage", b"{}", b"[]")
    for key in (None, STRANGER):
        sweeping.answer(key)
    sweeping.answer(rig.keys.of(rig.h2), host=rig.h2)  # who was not asked
    sweeping.answer(own, answer_to="0" * 32)  # an old one, replayed
    sweeping.answer(own)
    swept = sweeping.run(30)
    assert {host: answer.notes for host, answer in swept.answers.items()} == {rig.h1: ("ours",)}
    assert rig.client.llen(sweeping.key) == 0
    causes = [entry.refusal.cause for entry in last_refusals(rig.client, 7)]
    assert causes == ["malformed", "unsigned", "unsigned", "unsigned", "altered", "foreign", "foreign"]


def test_a_sweep_that_a_host_refuses_is_not_waited_for(rig: Rig, redis_url: str) -> None:
    sweeping = Sweeping(rig, redis_url)
    sweeping.sweep._ask(dry_run=True)
    said = refusal_of(MessageError("no", cause="too_old"), rig.h1, message=sweeping.sweep._sent[rig.h1])
    record_refusal(rig.client, said, rig.keys.of(rig.h1))
    swept = Swept()
    sweeping.sweep._hear(swept, 0.1)
    assert swept.refused == {rig.h1: f"host {rig.h1} refused the order (too_old): no"}
    assert swept.answers == {}
