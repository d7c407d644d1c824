"""How large the pages of a Parquet column unfold, by their own headers: a footer may say anything.

A page of some kilobytes can stand for gigabytes, and Arrow makes room for what its header says. Headers
are Thrift structs in the compact protocol (Apache Parquet format, "Data Pages"; Apache Thrift, "Thrift
Compact protocol encoding"). Only what our own writer writes is taken.
"""

import re
from functools import lru_cache
from typing import Any

from contract.errors import PartError

_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_HEADER_OF = {_DATA_PAGE: 5, _DICTIONARY_PAGE: 7}
"""Field that describes a page of this type further; its second field is the encoding."""
_ENCODINGS = (0, 2, 8)
"""Plain, and the two names of a dictionary. Others build texts out of the texts before them."""
_LEVELS = 4
_STRANGE = "a damaged part: it has pages that no part has"
_TRUE, _FALSE, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, 12


_NUMBER = rb"\x15[\x80-\xff]{0,4}[\x00-\x7f]"
_SIZES = rb"\x15([\x80-\xff]{0,4}[\x00-\x7f])" * 2
_ENCODING = rb"\x15[\x00\x04\x10]"
_USUAL = re.compile(
    rb"\x15\x04" + _SIZES + rb"\x4c" + _NUMBER + _ENCODING + rb"[\x11\x12]?\x00\x00"
    rb"|\x15\x00" + _SIZES + rb"\x2c" + _NUMBER + _ENCODING + _NUMBER * 2 + rb"(?:\x1c\x00)?\x00\x00"
)
"""A header of a dictionary or a data page as our own writer writes it: without statistics.

It says what reading field by field says, many times faster. Groups: bytes unpacked and packed."""


def unfolded_bytes(data: bytes, start: int, length: int) -> tuple[int, int]:
    """Bytes of the data pages between ``start`` and ``start + length``, unpacked, and of dictionaries.

    Raises PartError for pages that we do not write, and IndexError where they end early.
    """
    at, total = start, {_DATA_PAGE: 0, _DICTIONARY_PAGE: 0}
    while at < start + length:
        if usual := _USUAL.match(data, at):
            kind, first = (_DICTIONARY_PAGE, 1) if usual[1] else (_DATA_PAGE, 3)
            unpacked, packed = _number(usual[first]), _number(usual[first + 1])
            at = usual.end()
        else:
            kind, unpacked, packed, at = _header(data, at)
        if unpacked < 0 or packed < 0:
            raise PartError(_STRANGE)
        total[kind] += unpacked
        at += packed
    return total[_DATA_PAGE], total[_DICTIONARY_PAGE]


def _header(data: bytes, at: int) -> tuple[int, int, int, int]:
    """Type of a page, its bytes unpacked and packed, and where its header ends."""
    header, at = _struct(data, at, _LEVELS)
    kind, unpacked, packed = (header.get(field, -1) for field in (1, 2, 3))
    more = header.get(_HEADER_OF.get(kind, -1))
    if not isinstance(more, dict) or more.get(2) not in _ENCODINGS:
        raise PartError(_STRANGE)
    return kind, unpacked, packed, at


def _struct(data: bytes, at: int, levels: int) -> tuple[dict[int, Any], int]:
    """A struct's fields by number, and where it ends. Texts are passed over."""
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(data, at)
        fields[number], at = _value(data, at, head & 15, levels)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, levels: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _INTEGERS:
        return _integer(data, at)
    if kind == _STRUCT and levels:
        return _struct(data, at, levels - 1)
    if kind == _BINARY:
        length, at = _varint(data, at)
        return None, at + length
    if kind in (_BYTE, _DOUBLE):
        return None, at + (1 if kind == _BYTE else 8)
    raise PartError(_STRANGE)


@lru_cache(maxsize=4096)
def _number(digits: bytes) -> int:
    return _integer(digits, 0)[0]


def _integer(data: bytes, at: int) -> tuple[int, int]:
    raw, at = _varint(data, at)
    return (raw >> 1) ^ -(raw & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise PartError("a damaged part: it has numbers that no part has")
