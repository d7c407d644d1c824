"""With a key, an order is let in once, while it is fresh."""

import json

import pytest
import redis

from contract import CONTRACT_VERSION
from contract.errors import MessageError
from contract.signing import MAX_AHEAD_S, HostKey, seal
from workers import gate
from workers.gate import Gate

KEY = HostKey(b"k" * 32)
NOW_S = 1_790_000_000


def refused(gate: Gate, age_s: float, nonce: str = "n" * 16, host: str = "h1") -> str:
    try:
        gate.let_in(host, round((NOW_S - age_s) * 1e9), nonce)
    except MessageError as error:
        return error.cause
    return ""


@pytest.fixture
def strict() -> Gate:
    return Gate({"h1": KEY, "h3": KEY}, lambda: NOW_S * 10**9, max_age_s=100)


def test_an_order_is_let_in_once(strict: Gate) -> None:
    assert refused(strict, 0) == ""
    assert refused(strict, 0) == refused(strict, 50) == refused(strict, 1000) == "replayed"
    assert refused(strict, 0, "another") == ""
    assert refused(strict, 0, host="h3") == ""  # its own


@pytest.mark.parametrize(
    ("age_s", "cause"),
    [(99, ""), (101, "too_old"), (1e9, "too_old"), (1 - MAX_AHEAD_S, ""), (-MAX_AHEAD_S - 1, "future")],
)
def test_an_order_is_of_now(strict: Gate, age_s: float, cause: str) -> None:
    assert refused(strict, age_s) == cause


def test_what_would_be_too_old_is_forgotten_and_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [NOW_S]
    young = Gate({"h1": KEY}, lambda: now_s[0] * 10**9, max_age_s=100)
    young.let_in("h1", NOW_S * 10**9, "first")
    now_s[0] += 1000
    young.let_in("h1", now_s[0] * 10**9, "second")
    assert list(young._taken) == [("h1", "second")]
    with pytest.raises(MessageError, match="1000 s old"):
        young.let_in("h1", NOW_S * 10**9, "first")
    monkeypatch.setattr(gate, "MAX_NONCES", 10)
    for number in range(50):
        young.let_in("h1", now_s[0] * 10**9, str(number))
    assert len(young._taken) == 10


def test_an_order_whose_age_cannot_be_told_is_refused() -> None:
    def away() -> int:
        raise redis.ConnectionError("away")

    assert refused(Gate({"h1": KEY}, away), 0) == "too_old"


def test_without_a_key_everybody_is_believed_but_what_is_signed_is_said() -> None:
    open_to_all = Gate({}, lambda: NOW_S * 10**9)
    body = {"contract": CONTRACT_VERSION, "operation": "trial"}
    assert open_to_all.open(body, "h1") is body
    assert refused(open_to_all, 1e9) == refused(open_to_all, 1e9) == ""
    with pytest.raises(MessageError, match="has no key: give its worker one with --key"):
        open_to_all.open(seal(KEY, "order", "h1", "{}"), "h1")


def test_what_is_signed_is_opened(strict: Gate) -> None:
    assert strict.open(seal(KEY, "order", "h1", json.dumps({"a": 1})), "h1") == {"a": 1}
    with pytest.raises(MessageError, match="not JSON, although it is signed"):
        strict.open(seal(KEY, "order", "h1", "{"), "h1")
