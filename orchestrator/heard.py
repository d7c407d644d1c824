"""What workers leave on the broker about themselves, checked: others may have written it."""

from contextlib import suppress
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec

from contract.typed_json import Plain, Text, Whole, read_shape

MAX_BYTES = 256 * 1024
"""Of a registration: some 10 KiB are usual."""

_Count = Annotated[int, msgspec.Meta(ge=-(2**62), lt=2**62)]
_Long = Annotated[str, msgspec.Meta(max_length=MAX_BYTES)]


class _Heard(msgspec.Struct, frozen=True):
    """Base: keys that another release adds are left alone."""

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return msgspec.structs.asdict(self)


class Registration(_Heard, frozen=True):
    """What a worker registers a host with; or ``text`` that says it, signed with ``mac``."""

    contract: Whole = 0
    boot: Text = ""
    labels: dict[Text, Text] = {}
    facts: dict[Text, Plain] = {}
    versions: dict[Text, Text] = {}
    engines: dict[Text, dict[Text, Plain]] = {}
    text: _Long = ""
    mac: Text = ""


class Skimmed(Registration, frozen=True):
    """The same for who asks for no more than its state: what it says of the host is not looked at."""

    facts: msgspec.Raw = msgspec.Raw()  # type: ignore[assignment]
    versions: msgspec.Raw = msgspec.Raw()  # type: ignore[assignment]
    engines: msgspec.Raw = msgspec.Raw()  # type: ignore[assignment]


class Beat(_Heard, frozen=True):
    """A heartbeat."""

    at: float = 0.0
    load1: float = 0.0
    mem_available_bytes: _Count = 0
    clock_offset_ns: _Count = 0
    clock_error_ns: _Count = 0


class Activity(_Heard, frozen=True):
    """The trial that a host is at."""

    trial: Text = ""
    experiment: Text = ""
    driver: Text = ""
    profile: Text = ""
    since_ns: _Count = 0


class Quarantine(_Heard, frozen=True):
    """Why no campaign uses a host."""

    why: Text = "no reason given"
    since: float = 0.0


M = TypeVar("M", bound=_Heard)


def heard(kind: type[M], said: bytes | str | None) -> M | None:
    """What was said, as it should be; None for nothing, and for what is none of it."""
    if said is None:
        return None
    decoder: msgspec.json.Decoder[M] = _decoder(kind)
    with suppress(ValueError):
        return read_shape(decoder, said, MAX_BYTES)
    return None


@cache
def _decoder(kind: type[_Heard]) -> Any:
    return msgspec.json.Decoder(kind)
