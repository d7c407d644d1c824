"""Sweeping a host through the broker: what is asked of its worker, and what it answers."""

from typing import Annotated, Literal

from pydantic import Field, ValidationError

from contract import CONTRACT_VERSION
from contract.campaign import Frozen, Name
from contract.errors import MessageError
from contract.versions import refuse_other_version
from contract.wire import PREFIX

ANSWER_TTL_S = 600
"""How long an answer that nobody takes is kept."""


AnswerTo = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""One sweep of the fleet: what the answers belong to."""


class SweepOrder(Frozen):
    """Body of the one task: list, and unless ``dry_run`` remove, what the host has left."""

    contract: int = CONTRACT_VERSION
    operation: Literal["sweep"] = "sweep"
    host: Name
    dry_run: bool
    answer_to: AnswerTo
    issued_at_ns: int = Field(description="by the broker's clock")
    nonce: str = Field(min_length=16, max_length=64)


class FoundLeftover(Frozen):
    """One thing of ours that was still there."""

    driver: str
    kind: str
    name: str
    host: str


class SweepAnswer(Frozen):
    """What one host found."""

    host: Name
    answer_to: AnswerTo
    found: tuple[FoundLeftover, ...] = ()
    failed: tuple[str, ...] = ()
    """What could not be removed, in words."""
    notes: tuple[str, ...] = ()


def answer_key(answer_to: str) -> str:
    """List that the answers of one sweep come into."""
    return f"{PREFIX}swept:{answer_to}"


def decode_order(body: object, host: str) -> SweepOrder:
    """Check an order that reached ``host``. Raises MessageError in plain words."""
    refuse_other_version(body, "coordinator", "worker")
    try:
        order = SweepOrder.model_validate(body)
    except ValidationError as error:
        raise MessageError(f"not a sweep: {error}") from error
    if order.host != host:
        raise MessageError(f"a sweep for host '{order.host}' reached host '{host}'", cause="foreign")
    return order
