"""What was refused is kept for a while, signed by its host, without what a terminal would obey."""

import secrets
from collections.abc import Iterator

import pytest
import redis
from trials import make_trial

from contract import refusals, wire
from contract.broker import connect
from contract.errors import MessageError
from contract.refusals import CAUSES, RefusalReader, last_refusals, record_refusal, refusal_of
from contract.signing import HostKey, seal

pytestmark = pytest.mark.redis
KEY = HostKey(b"k" * 32)


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["redis.Redis[bytes]"]:
    monkeypatch.setattr(wire, "REFUSED", f"{wire.PREFIX}refused:{secrets.token_hex(4)}")
    made = connect(redis_url)
    yield made
    made.delete(wire.REFUSED)


def test_a_refusal_is_signed_and_read_once(client: "redis.Redis[bytes]") -> None:
    record_refusal(client, refusal_of(MessageError("before"), "h1"))
    reader = RefusalReader(client)
    trial = make_trial()
    content = {"run": "a" * 32, "trial": trial.model_dump(mode="json")}
    error = MessageError("no", cause="unsigned")
    record_refusal(client, refusal_of(error, "h1", content, "f" * 32), KEY)
    (entry,) = reader.news()
    assert (entry.refusal.cause, entry.refusal.trial, entry.refusal.run) == (
        "unsigned",
        trial.trial_id,
        "a" * 32,
    )
    assert entry.is_of(KEY)
    assert not entry.is_of(HostKey(b"o" * 32))
    assert reader.news() == []
    assert [e.refusal.text for e in last_refusals(client)] == ["before", "no"]


def test_what_a_signed_message_claims_is_read_from_within() -> None:
    text = '{"run": "abc", "trial": 3}'
    said = refusal_of(MessageError("no"), "h1", seal(KEY, "order", "h1", text))
    assert (said.run, said.trial) == ("abc", "")


def test_the_stream_does_not_grow_for_ever(
    client: "redis.Redis[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MAX_KEPT", 100)
    for _ in range(500):
        record_refusal(client, refusal_of(MessageError("no"), "h1"))
    assert client.xlen(wire.REFUSED) < 300


def test_what_is_no_refusal_is_passed_over(client: "redis.Redis[bytes]") -> None:
    for fields in ({"other": "x"}, {"refusal": "{}"}, {"refusal": b"\xff"}, {"refusal": "[" * 9}):
        client.xadd(wire.REFUSED, dict(fields))  # type: ignore[arg-type]
    record_refusal(client, refusal_of(MessageError("no"), "h1"))
    assert len(last_refusals(client)) == 1


def test_nothing_that_a_terminal_obeys_is_kept() -> None:
    said = refusal_of(MessageError("\x1b[2Jgone\r\n" + "x" * 10_000), "h\x1b", {"run": "\x07"})
    assert not {"\x1b", "\r", "\n", "\x07"} & {*said.text, *said.host, *said.run}
    assert len(said.text) < 2 * refusals.MAX_TEXT


def test_a_broker_that_is_away_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    client: redis.Redis[bytes] = redis.Redis(port=1, retry=None)
    record_refusal(client, refusal_of(MessageError("no"), "h1"))


def test_causes_that_errors_have_by_default_are_known() -> None:
    assert MessageError("x").cause in CAUSES
