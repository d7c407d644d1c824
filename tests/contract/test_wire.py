"""A message is refused in plain words unless it is ours, of our version and for this host."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trials import make_trial

from contract import CONTRACT_VERSION, wire
from contract.errors import MessageError
from contract.message import decode_message
from contract.sweeping import decode_order


def body(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"contract": CONTRACT_VERSION, "run": "a" * 32, "host": "h1", "attempt": 1}
    content |= {"issued_at_ns": 1, "nonce": "n" * 16}
    return content | {"trial": make_trial().model_dump(mode="json")} | changes


def test_a_message_survives_the_wire() -> None:
    message = decode_message(body(), "h1")
    again = decode_message(json.loads(message.model_dump_json()), "h1")
    assert again == message
    assert again.trial.trial_id == make_trial().trial_id


@pytest.mark.parametrize("content", [None, [], "trial", 3, b"x"])
def test_what_is_no_message_is_shown(content: object) -> None:
    with pytest.raises(MessageError, match="not a message: " + re.escape(repr(content))):
        decode_message(content, "h1")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"trial": None}, "bring coordinator and worker to the same release"),
        ({"trial": {"contract": 99}}, "the message has 99"),
        ({"trial": {"contract": 1}}, "not a trial"),
        ({"operation": "reboot"}, "operation"),
        ({"run": "../../x"}, "run"),
        ({"attempt": 0}, "attempt"),
        ({"nonce": ""}, "nonce"),
        ({"extra": 1}, "extra"),
        ({"host": "h2"}, "a message for host 'h2' reached host 'h1'"),
        ({"trial": make_trial(host="h2").model_dump(mode="json")}, "reached host 'h1'"),
    ],
)
def test_a_bad_message_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MessageError, match=complaint):
        decode_message(body(**change), "h1")


def test_another_version_is_refused_before_anything_else_of_it_is_read() -> None:
    """What a later release has added, or renamed, must not look like nonsense."""
    later = {"contract": CONTRACT_VERSION + 1, "what": "trial", "whom": ["h1"]}
    for decode in (decode_message, decode_order):
        with pytest.raises(
            MessageError, match=r"version 1, the message has 2: .*worker is the older"
        ) as told:
            decode(later, "h1")
        assert told.value.cause == "version"
        with pytest.raises(MessageError, match="coordinator is the older one"):
            decode({"contract": CONTRACT_VERSION - 1}, "h1")


@given(st.dictionaries(st.sampled_from(list(body())), st.none() | st.integers() | st.text(), min_size=1))
def test_no_message_raises_anything_else(change: dict[str, Any]) -> None:
    try:
        decode_message(body(**change), "h1")
    except MessageError:
        return


def test_every_key_is_below_one_prefix() -> None:
    keys = [
        wire.heartbeat_key("h"),
        wire.registration_key("h"),
        wire.owner_key("h"),
        wire.activity_key("h"),
        wire.lease_key("h", "t"),
        wire.stream_key("c"),
        wire.cancel_key("r"),
        wire.REGISTRY,
    ]
    assert all(key.startswith(wire.PREFIX) for key in keys)
    assert len(set(keys)) == len(keys)


def test_a_lease_outlives_several_failed_renewals() -> None:
    from workers.lease import RENEW_S

    assert wire.LEASE_TTL_S > 3 * RENEW_S
    assert wire.HEARTBEAT_TTL_S > 3 * wire.HEARTBEAT_S


def test_celery_is_told_to_lose_rather_than_repeat() -> None:
    settings = wire.celery_settings("redis://localhost/0")
    assert settings["task_acks_late"] is False
    assert settings["task_reject_on_worker_lost"] is False
    assert settings["task_create_missing_queues"] is False
    assert settings["accept_content"] == ["json"]
    assert settings["broker_transport_options"]["global_keyprefix"] == wire.PREFIX
    assert settings["broker_transport_options"]["ack_emulation"] is False
    assert settings["worker_enable_remote_control"] is False
