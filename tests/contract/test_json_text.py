"""JSON in a hurry says what the standard library says."""

import json
import math

import pytest

from contract.json_text import dumps, loads


@pytest.mark.parametrize(
    "text", ['{"a": [1, -2.5, null, true, "ü"]}', b'"\xc3\xbc"', "9223372036854775807"]
)
def test_what_is_read_is_the_same(text: str | bytes) -> None:
    assert loads(text) == json.loads(text)


def test_numbers_that_are_none_are_read_as_our_writers_write_them() -> None:
    assert math.isnan(loads(json.dumps({"a": math.nan}))["a"])


@pytest.mark.parametrize("text", ["", "[1,", b"\xff", "{'a': 1}", "[" * 100_000])
def test_what_is_no_json_is_an_error_of_value(text: str | bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        loads(text)


@pytest.mark.parametrize("content", [{"a": ["ü", 1.5, None]}, {"a": 2**70}, [[], {}]])
def test_what_is_written_reads_the_same(content: object) -> None:
    assert json.loads(dumps(content)) == content
    assert json.loads(dumps({"a": math.nan})) == {"a": None}
