"""JSON read straight into shapes: what is hostile is a ValueError, whatever stands in it."""

import json
from typing import Any

import msgspec
import pytest

from contract.typed_json import MAX_LEVELS, Plain, Text, Whole, read_shape


class Shape(msgspec.Struct):
    number: Whole = 0
    word: Text = ""
    facts: dict[Text, Plain] = {}


DECODER = msgspec.json.Decoder(Shape)


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def test_what_fits_is_read_and_what_nobody_asks_for_is_not() -> None:
    facts = {
        "deep": nested(MAX_LEVELS),
        "least": -(2**63),
        "most": 2**63 - 1,
        "real": 1e300,
        "none": None,
    }
    said = read_shape(DECODER, json.dumps({"facts": facts, "more": [[{}]]}), 1000)
    assert said == Shape(facts=facts)


@pytest.mark.parametrize(
    "hostile",
    [
        b"", b"[]", b"{", b"\xff", b'{"word": "\xff"}', b'{"word": "\\ud800"}',
        b'{"facts": {"\\udfff": 1}}',
        b'{"facts": {"a": NaN}}', b'{"more": Infinity}', b'{"facts": {"a": 1e400}}',
        b'{"number": 9223372036854775808}', b'{"number": true}', b'{"number": 1.5}', b'{"number": "1"}',
        b'{"facts": {"a": 18446744073709551616}}', b'{"facts": {"a": ' + b"9" * 5000 + b"}}",
        b'{"word": "' + b"a" * 2001 + b'"}', b'{"facts": []}',
        json.dumps({"facts": {"a": nested(MAX_LEVELS + 1)}}).encode(),
        b'{"more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"[" * 100_000,
    ],
    ids=lambda given: repr(given[:30]),
)  # fmt: skip
def test_what_does_not_is_a_value_error(hostile: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_shape(DECODER, hostile, 1_000_000)


def test_what_is_too_large_is_not_even_looked_at() -> None:
    with pytest.raises(ValueError, match="JSON of 3 bytes, where 2 are allowed"):
        read_shape(DECODER, b"{ }", 2)
