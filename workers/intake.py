"""What may stand around an order on its way: Celery's headers and fields, which nobody signs.

A worker takes nothing from them. What could act on it (a time, a limit, a callback, another task or
format) is refused; of the rest an identity is kept, for Celery's events.
"""

import json
import re
from typing import Any, Protocol

from contract import wire
from contract.errors import MessageError

MAX_ORDER_BYTES = 1_048_576
"""A trial is a few thousand bytes."""

_ACTING = (
    *("eta", "expires", "retries", "group", "group_index", "chord", "shadow", "timelimit"),
    *("parent_id", "replaced_task_nesting", "stamped_headers", "stamps", "compression"),
)
"""Headers that Celery or kombu would act upon. Empty, they are what a coordinator sends."""

_IDENTITY = re.compile(r"[0-9a-f-]{1,64}")


class Incoming(Protocol):
    """A message as kombu has it."""

    body: Any
    content_type: Any
    content_encoding: Any
    headers: Any


def take_in(message: Incoming) -> None:
    """Leave of a message what was checked. Raises MessageError for one that is not an order."""
    headers = message.headers
    if not isinstance(headers, dict):
        raise _refused("no headers")
    if headers.get("task") != wire.TASK:
        raise _refused(f"task {headers.get('task')!r:.80}; there is only {wire.TASK}")
    if (message.content_type, message.content_encoding) != ("application/json", "utf-8"):
        raise _refused(f"content of type {message.content_type!r:.80}; JSON is taken, and nothing else")
    _see_that_nothing_acts(headers)
    _see_that_it_is_one_argument(message.body)
    identity = headers.get("id")
    if not isinstance(identity, str) or not _IDENTITY.fullmatch(identity):
        raise _refused(f"id {identity!r:.80}")
    said = headers.get("argsrepr")
    message.headers = {
        "lang": "py",
        "task": wire.TASK,
        "id": identity,
        "root_id": identity,
        "argsrepr": said if isinstance(said, str) and _IDENTITY.fullmatch(said) else "",
        "kwargsrepr": "",
        "ignore_result": True,
    }


def _see_that_nothing_acts(headers: dict[str, Any]) -> None:
    for name in _ACTING:
        if headers.get(name) not in (None, 0, "", [], {}, [None, None]):
            raise _refused(f"header {name}: {headers[name]!r:.80}; an order says all in its body")


def _see_that_it_is_one_argument(body: Any) -> None:
    if not isinstance(body, str | bytes) or len(body) > MAX_ORDER_BYTES:
        raise _refused(f"a body of more than {MAX_ORDER_BYTES} bytes, or none")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _refused(f"a body that is not JSON: {error!s:.80}") from error
    match content:
        case [[_], dict(named), dict(embedded)] if not named and not any(embedded.values()):
            return
    raise _refused("a body that is not one argument and nothing else: callbacks, say")


def _refused(what: str) -> MessageError:
    return MessageError(f"around an order stands {what}", cause="surface")
