"""What workers leave on the broker about themselves, checked: others may have written it."""

from contextlib import suppress
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.strict_json import read_json

MAX_BYTES = 256 * 1024
"""Of a registration: some 10 KiB are usual."""

_Text = Annotated[str, Field(max_length=2000)]
_Count = Annotated[int, Field(ge=-(2**62), lt=2**62)]


class _Heard(BaseModel):
    """Base: keys that another release adds are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Registration(_Heard):
    """What a worker registers a host with."""

    contract: int = 0
    boot: _Text = ""
    labels: dict[_Text, _Text] = {}
    facts: dict[_Text, Any] = {}
    versions: dict[_Text, _Text] = {}
    engines: dict[_Text, dict[_Text, Any]] = {}


class Beat(_Heard):
    """A heartbeat."""

    at: float = 0.0
    load1: float = 0.0
    mem_available_bytes: _Count = 0
    clock_offset_ns: _Count = 0
    clock_error_ns: _Count = 0


class Activity(_Heard):
    """The trial that a host is at."""

    trial: _Text = ""
    experiment: _Text = ""
    driver: _Text = ""
    profile: _Text = ""
    since_ns: _Count = 0


class Quarantine(_Heard):
    """Why no campaign uses a host."""

    why: _Text = "no reason given"
    since: float = 0.0


M = TypeVar("M", bound=_Heard)


def heard(kind: type[M], said: bytes | None) -> M | None:
    """What was said, as it should be; None for nothing, and for what is none of it."""
    if said is None:
        return None
    with suppress(ValueError):
        return checked(kind, read_json(said, MAX_BYTES))
    return None


def checked(kind: type[M], content: object) -> M | None:
    """The same of what was read already."""
    try:
        return kind.model_validate(content)
    except ValidationError:
        return None
