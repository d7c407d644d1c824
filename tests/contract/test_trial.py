"""The id of a trial is its content; a message of another version is refused in plain words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trials import make_trial

from contract import CONTRACT_VERSION
from contract.errors import MessageError
from contract.trial import (
    Receipt,
    Trial,
    canonical_json,
    canonical_json_again,
    decode_trial,
    members,
)

CHANGES: list[dict[str, Any]] = [
    {"campaign": "other"},
    {"host": "h2"},
    {"block": 1},
    {"experiment": "churn"},
    {"driver": "docker"},
    {"profile": "quick"},
    {"settings": {"start_ms": 3}},
    {"params": {"instances": 4}},
    {"image": "alpine"},
    {"limits": {"cpus": 1.0}},
    {"deadline_s": 61.0},
    {"seed": 8},
    {"contract": 2},
    {"group": ("h1", "h2")},
]


def test_the_id_is_the_same_for_ever() -> None:
    """Parts on disk are found by it: a change of this number orphans every result there is."""
    assert make_trial().trial_id == "75d4be624c281b408950fc905d271b6c"


def test_the_order_within_a_block_is_not_part_of_the_id() -> None:
    assert make_trial(order=5).trial_id == make_trial(order=0).trial_id


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_everything_else_is(change: dict[str, Any]) -> None:
    assert make_trial(**change).trial_id != make_trial().trial_id


def test_the_changes_above_name_every_field() -> None:
    assert {key for change in CHANGES for key in change} | {"order"} == set(Trial.model_fields)


def test_hosts_that_measure_together_have_one_meeting_and_trials_of_their_own() -> None:
    one, two = members(make_trial(group=("h1", "h2")))
    assert (one.host, two.host) == ("h1", "h2")
    assert one.trial_id != two.trial_id
    assert one.meeting_id == two.meeting_id
    assert make_trial(group=("h1", "h3")).meeting_id != one.meeting_id
    assert members(make_trial()) == (make_trial(),)
    assert make_trial().meeting_id == make_trial().trial_id


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


@given(st.dictionaries(st.text(max_size=10), SCALARS, max_size=5))
def test_a_trial_survives_the_wire(params: dict[str, Any]) -> None:
    trial = make_trial(params=params)
    there = decode_trial(json.loads(json.dumps(trial.model_dump(mode="json"))))
    assert there == trial
    assert there.trial_id == trial.trial_id


@given(st.dictionaries(st.text(max_size=5), SCALARS, max_size=5))
def test_canonical_json_knows_no_order(content: dict[str, Any]) -> None:
    assert canonical_json(content) == canonical_json(dict(reversed(content.items())))


def test_canonical_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


@pytest.mark.parametrize(
    "content", [None, "x", [], {}, {"contract": CONTRACT_VERSION + 1}, {"contract": "1"}]
)
def test_another_version_is_told_what_to_do(content: object) -> None:
    with pytest.raises(MessageError, match="bring coordinator and worker to the same release"):
        decode_trial(content)


def test_a_refusal_carries_what_came() -> None:
    content = make_trial().model_dump(mode="json") | {"seed": "a lot"}
    with pytest.raises(MessageError, match=r"not a trial(.|\n)*the message was .*'seed': 'a lot'"):
        decode_trial(content)


@pytest.mark.parametrize(
    "change", [{"extra": 1}, {"host": "../h"}, {"block": -1}, {"deadline_s": 0}, {"params": {"a": [1]}}]
)
def test_an_impossible_trial_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="not a trial"):
        decode_trial(make_trial().model_dump(mode="json") | change)


@pytest.mark.parametrize(
    "change", [{"trial_id": "../x"}, {"sha256": ""}, {"outcome": "fine"}, {"attempt": -1}]
)
def test_an_impossible_receipt_is_refused(change: dict[str, Any]) -> None:
    good = {"trial_id": "a" * 32, "attempt": 1, "host": "h1", "outcome": "completed", "verdict": "valid"}
    good |= {"sha256": "0" * 64, "size_bytes": 1}
    Receipt.model_validate(good)
    with pytest.raises(ValueError, match=next(iter(change))):
        Receipt.model_validate(good | change)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": "--privileged"},
        {"image": "/srv/../etc"},
        {"image": "a\nb"},
        {"image": "\x1b[2J"},
        {"image": "x" * 1001},
        {"driver": "\x00"},
        {"profile": "a\nb"},
        {"experiment": "e" * 201},
        {"settings": {"a": float("nan")}},
        {"settings": {"a": 10**400}},
        {"settings": {"a": [[[[]]]] * 2, "b": json.loads("[" * 100 + "]" * 100)}},
        {"params": {"a": float("inf")}},
        {"params": {"a": {"b": 1}}},
        {"block": 2**31},
        {"order": 2**40},
        {"deadline_s": 1e300},
        {"group": ["../h1"]},
    ],
    ids=str,
)
def test_a_hostile_order_is_refused_by_the_worker(changes: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="not a trial"):
        decode_trial(make_trial().model_dump(mode="json") | changes)


@pytest.mark.parametrize(
    "value",
    [
        {"b": 1, "a": [1.0, True, None, "é\u2028"]},
        {"a": [1, 1, None, "é\u2028"], "b": 1},
        {"small": 1e-05, "large": 1e16, "whole": 2**70, "tuple": (1, 2)},
        {},
    ],
)
def test_what_comes_again_has_the_same_text(value: dict[str, Any]) -> None:
    for _ in range(2):
        assert canonical_json_again(value) == canonical_json(value)
