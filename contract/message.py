"""What a coordinator sends to have a trial measured, and how a worker reads it."""

from typing import Literal

from pydantic import Field, ValidationError

from contract import CONTRACT_VERSION
from contract.campaign import Frozen, Name, Place
from contract.errors import MessageError
from contract.trial import MAX_ATTEMPT, Trial, decode_trial
from contract.versions import refuse_other_version


class Message(Frozen):
    """Body of the one task: run this trial, deliver its part to this stream."""

    contract: int = CONTRACT_VERSION
    operation: Literal["trial"] = "trial"
    run: str = Field(pattern=r"^[0-9a-f]{32}$", description="one execution of `tonnage run`")
    host: Name
    attempt: int = Field(ge=1, le=MAX_ATTEMPT)
    newer_than: int = Field(
        0, ge=0, le=MAX_ATTEMPT, description="a spooled part of a later attempt will do"
    )
    results: Place = Field("", max_length=1000, description="where the part goes; empty: the stream")
    issued_at_ns: int = Field(description="by the broker's clock")
    nonce: str = Field(min_length=16, max_length=64)
    trial: Trial


def decode_message(body: object, host: str) -> Message:
    """Check a message that reached ``host``. Raises MessageError in plain words.

    Its version comes first: what a later release has added must not look like nonsense.
    """
    if not isinstance(body, dict):
        raise MessageError(f"not a message: {body!r:.200}")
    refuse_other_version(body, "coordinator", "worker")
    decode_trial(body.get("trial"))
    try:
        message = Message.model_validate(body)
    except ValidationError as error:
        raise MessageError(f"not a message: {error}") from error
    if message.host != host or message.trial.host != host:
        raise MessageError(f"a message for host '{message.host}' reached host '{host}'", cause="foreign")
    return message
