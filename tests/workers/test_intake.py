"""Around an order may stand what a coordinator sends, and nothing that acts."""

import json
from typing import Any

import pytest
from celery import Celery
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu import Queue
from kombu.message import Message

from contract import wire
from contract.errors import MessageError
from workers.intake import MAX_ORDER_BYTES, take_in

EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
HEADERS = {"task": wire.TASK, "id": "0" * 32, "lang": "py"}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def message(body: object = None, headers: Any = HEADERS, **changes: Any) -> Message:
    data = body if isinstance(body, bytes) else json.dumps(body or [[{}], {}, EMBED]).encode()
    kind = {"content_type": "application/json", "content_encoding": "utf-8"} | changes
    made = Message(body=data, **kind)
    made.headers = headers
    return made


def test_what_our_coordinator_sends_is_taken() -> None:
    app = Celery(broker="memory://")
    app.conf.update(
        wire.celery_settings("redis://127.0.0.1/0"), broker_url="memory://", broker_transport_options={}
    )
    app.conf.task_queues = [Queue("host.h1")]
    app.send_task(wire.TASK, args=[{"a": 1}], queue="host.h1", argsrepr="f" * 32, kwargsrepr="")
    with app.connection_for_read() as connection:
        came = connection.SimpleQueue(app.amqp.queues["host.h1"], accept=["json"]).get(timeout=5)
    take_in(came)
    assert came.headers["argsrepr"] == "f" * 32
    assert set(came.headers) == {
        "lang",
        "task",
        "id",
        "root_id",
        "argsrepr",
        "kwargsrepr",
        "ignore_result",
    }


@pytest.mark.parametrize(
    ("headers", "complaint"),
    [
        (None, "no headers"),
        ({}, "task None"),
        (HEADERS | {"task": "celery.map"}, "there is only tonnage.enter"),
        (HEADERS | {"eta": "2999-01-01"}, "header eta"),
        (HEADERS | {"retries": 3}, "header retries"),
        (HEADERS | {"shadow": "other.name"}, "header shadow"),
        (HEADERS | {"timelimit": [None, 1]}, "header timelimit"),
        (HEADERS | {"stamps": {"a": 1}}, "header stamps"),
        (HEADERS | {"id": "../x"}, "id '../x'"),
    ],
)
def test_headers_that_act_are_refused(headers: Any, complaint: str) -> None:
    with pytest.raises(MessageError, match=complaint) as told:
        take_in(message(headers=headers))
    assert told.value.cause == "surface"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[[1],{},{}",
        b"[" * 100_000,
        b" " * MAX_ORDER_BYTES + b"[[1],{},{}]",
        b"[[1, 2],{},{}]",
        b'[[1],{"body": 2},{}]',
        b'[[1],{},{"callbacks": [1]}]',
        b'[[1],{},{"anything": "new"}]',
        b"\xff",
    ],
)
def test_bodies_of_another_shape_are_refused(body: bytes) -> None:
    with pytest.raises(MessageError):
        take_in(message(body))


def test_other_formats_are_refused() -> None:
    for kind in ({"content_type": "application/x-python-serialize"}, {"content_encoding": "utf-16"}):
        with pytest.raises(MessageError, match="JSON is taken, and nothing else"):
            take_in(message(**kind))


def test_of_unknown_headers_nothing_is_left() -> None:
    made = message(headers=HEADERS | {"origin": "x", "later": {"a": 1}, "argsrepr": "\x1b[2J"})
    take_in(made)
    assert "later" not in made.headers
    assert made.headers["argsrepr"] == ""


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from([*HEADERS, "eta", "retries"]) | st.text(), ANYTHING), ANYTHING)
def test_nothing_else_is_ever_raised(headers: dict[str, Any], body: object) -> None:
    for told in (headers, HEADERS | headers, body):
        try:
            take_in(message([body], headers=told))
        except MessageError:
            continue
