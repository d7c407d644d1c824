"""JSON of others: any text gives plain data of bounded depth and size, or a ValueError."""

import json
import math
from contextlib import suppress
from typing import Any

import orjson

MAX_DEPTH = 40
MAX_INT_BITS = 64
_SMALL = 2**62
"""Numbers below it, which nearly all are, need no second look."""
_MOST = 2.0**63
"""A number from here on may be a whole one of more bits, of which the fast reader has made a float."""


def read_json(text: str | bytes, max_bytes: int) -> Any:
    """What a JSON text says. Raises ValueError for anything that could trouble a reader further on.

    That is: more than ``max_bytes``, bytes that are no UTF-8, NaN and infinity, numbers beyond a double
    or ``MAX_INT_BITS``, more than ``MAX_DEPTH`` levels, and half characters (lone surrogates).
    """
    if len(text) > max_bytes:
        raise ValueError(f"JSON of {len(text)} bytes, where {max_bytes} are allowed")
    if isinstance(text, bytes):
        text = text.decode()
    with suppress(ValueError):  # what is wrong, if anything, is said below
        value = orjson.loads(text)
        check_plain(value, _MOST)
        return value
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"JSON of more than {MAX_DEPTH} levels") from error
    check_plain(value)
    if "\\ud" in text.lower():
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is a UnicodeEncodeError
    return value


def check_plain(value: Any, most: float = math.inf) -> None:
    """Raises ValueError for data that is nested too deeply, or has numbers too large, or none.

    Floats must be smaller than ``most``.
    """
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"JSON of more than {MAX_DEPTH} levels")
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                inner += item.values()
            elif kind is list or kind is tuple:
                inner += item
            elif (kind is int or kind is float) and not -_SMALL < item < _SMALL:
                _check_number(item, most)
        level = inner


def _check_number(item: Any, most: float) -> None:
    if isinstance(item, int) and item.bit_length() > MAX_INT_BITS:
        raise ValueError(f"a whole number of more than {MAX_INT_BITS} bits")
    if isinstance(item, float) and not -most < item < most:
        raise ValueError(f"{item} is not a number")
