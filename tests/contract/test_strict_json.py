"""JSON of others: plain data of bounded depth and size, or a ValueError and nothing else."""

import pytest

from contract.strict_json import MAX_DEPTH, check_plain, read_json


def test_what_is_plain_is_read_as_it_is() -> None:
    text = '{"a": [1, -2.5e3, "\\u00fc", null, true], "b": {"c": 18446744073709551615}}'
    assert read_json(text, 1000) == {"a": [1, -2500.0, "ü", None, True], "b": {"c": 2**64 - 1}}


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", '{"a": Infinity}', "[-Infinity]", "1e999", "[-1e400]"),
        *(str(2**65), "9" * 5000, '"\\ud800"', '{"\\uDFFF": 1}'),
        *("[" * 100_000, "[" * 60 + "]" * 60, '{"a":' * 500 + "1" + "}" * 500),
        *("", "{", "nul", b"\xff"),
    ],
)
def test_what_would_trouble_a_reader_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        read_json(text, 1_000_000)


def test_size_and_depth_have_their_bounds() -> None:
    assert read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, 1000) is not None
    with pytest.raises(ValueError, match="40 levels"):
        read_json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), 1000)
    with pytest.raises(ValueError, match="JSON of 12 bytes, where 11 are allowed"):
        read_json('["too long"]', 11)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [2**70], {"a": [{"b": -(2**65)}]}])
def test_data_that_another_library_has_read_is_held_to_the_same(value: object) -> None:
    with pytest.raises(ValueError, match=r"not a number|more than 64 bits"):
        check_plain(value)
