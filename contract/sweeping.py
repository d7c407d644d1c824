"""Sweeping a host through the broker: what is asked of its worker, and what it answers."""

from typing import Literal

from pydantic import Field, ValidationError

from contract import CONTRACT_VERSION
from contract.campaign import Frozen, Name
from contract.errors import MessageError
from contract.wire import PREFIX

ANSWER_TTL_S = 600
"""How long an answer that nobody takes is kept."""


class SweepOrder(Frozen):
    """Body of the one task: list, and unless ``dry_run`` remove, what the host has left."""

    contract: int = CONTRACT_VERSION
    operation: Literal["sweep"] = "sweep"
    host: Name
    dry_run: bool
    answer_to: str = Field(pattern=r"^[0-9a-f]{32}$")


class FoundLeftover(Frozen):
    """One thing of ours that was still there."""

    driver: str
    kind: str
    name: str
    host: str


class SweepAnswer(Frozen):
    """What one host found."""

    host: Name
    found: tuple[FoundLeftover, ...] = ()
    failed: tuple[str, ...] = ()
    """What could not be removed, in words."""
    notes: tuple[str, ...] = ()


def answer_key(answer_to: str) -> str:
    """List that the answers of one sweep come into."""
    return f"{PREFIX}swept:{answer_to}"


def decode_order(body: object, host: str) -> SweepOrder:
    """Check an order that reached ``host``. Raises MessageError in plain words."""
    try:
        order = SweepOrder.model_validate(body)
    except ValidationError as error:
        raise MessageError(f"not a sweep: {error}") from error
    if order.contract != CONTRACT_VERSION:
        raise MessageError(f"a sweep of contract version {order.contract}: bring both to one release")
    if order.host != host:
        raise MessageError(f"a sweep for host '{order.host}' reached host '{host}'")
    return order
