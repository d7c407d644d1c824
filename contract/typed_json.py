"""JSON of others read straight into declared shapes: what no shape names is never built.

Many times faster than reading all and looking at it, and as strict as ``contract.strict_json``: what is
beyond a shape's numbers, lengths or levels is a ValueError.
"""

from typing import Annotated, Any, TypeVar

import msgspec

MAX_LEVELS = 8
"""So deep may a value be nested whose shape nobody declares: facts of hosts have two levels."""

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A whole number that every reader of ours can hold."""

Text = Annotated[str, msgspec.Meta(max_length=2000)]


def _nested(levels: int) -> Any:
    leaf: Any = None | bool | Whole | float | str
    if not levels:
        return leaf
    inner: Any = _nested(levels - 1)
    return leaf | list[inner] | dict[Text, inner]


Plain: Any = _nested(MAX_LEVELS)
"""Any value of JSON, in bounded depth, with numbers that are some."""

T = TypeVar("T")


def read_shape(decoder: msgspec.json.Decoder[T], text: str | bytes, max_bytes: int) -> T:
    """What a JSON text says. Raises ValueError for what is no JSON, too large, or of another shape."""
    if len(text) > max_bytes:
        raise ValueError(f"JSON of {len(text)} bytes, where {max_bytes} are allowed")
    try:
        return decoder.decode(text)
    except RecursionError as error:
        raise ValueError("JSON of too many levels") from error
