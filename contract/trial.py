"""The trial: one cell in one block on one host. Its id is a hash of its content."""

import hashlib
import json
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field

from contract import CONTRACT_VERSION
from contract.campaign import Frozen, Image, Limits, Name, Scalar
from contract.errors import MessageError
from contract.plain_text import plain_line
from contract.strict_json import check_plain
from contract.versions import refuse_other_version

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
"""Kept, since to make one takes as long as a short text."""
_Word = Annotated[str, Field(max_length=200), AfterValidator(plain_line)]
_Small = Annotated[int, Field(ge=0, lt=2**31)]


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    check_plain(settings)
    return settings


class Trial(Frozen):
    """What one host is asked to measure, complete: a worker needs nothing else."""

    contract: int = CONTRACT_VERSION
    campaign: Name
    host: Name
    block: _Small
    order: _Small = Field(description="place within its block; not part of the id")
    experiment: _Word
    driver: _Word
    profile: _Word
    settings: Annotated[dict[str, Any], AfterValidator(_plain)] = Field(
        {}, description="the profile's settings, defaults filled in"
    )
    params: dict[str, Scalar] = Field({}, description="the experiment's, defaults filled in")
    image: Image = "tiny"
    limits: Limits = Limits()
    deadline_s: float = Field(gt=0, le=10**9)
    seed: int = Field(ge=0, lt=2**63)
    group: tuple[Name, ...] = Field((), description="hosts that measure together; empty: this one alone")

    @cached_property
    def trial_id(self) -> str:
        """32 hex digits: SHA-256 over the canonical JSON of everything but ``order``.

        An empty group is left out, too.
        """
        return self._digest({"order"} if self.group else {"order", "group"})

    @cached_property
    def meeting_id(self) -> str:
        """The same for all trials that are one measurement of a group; else the trial's own id."""
        return self._digest({"order", "host"}) if self.group else self.trial_id

    def _digest(self, left_out: set[str]) -> str:
        content = self.model_dump(mode="json", exclude=left_out)
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:32]


def members(trial: Trial) -> tuple[Trial, ...]:
    """The trials of all hosts that measure together with this one; itself where it measures alone."""
    if not trial.group:
        return (trial,)
    content = trial.model_dump()
    return tuple(Trial.model_validate(content | {"host": host}) for host in trial.group)


Outcome = Literal["completed", "partial", "failed", "skipped", "lost"]
"""How a trial ended. Exactly one per planned trial."""

InstanceOutcome = Literal["ok", "failed", "timeout", "censored", "skipped", "lost"]
"""How an instance ended. Exactly one row per planned instance.

``censored``: what was waited for had not come when the planned wait ended, so it takes longer than that.
A result, not a failure.
"""

ELSEWHERE = "elsewhere"
"""Error class of a planned row that turned out to be another host's to measure: no failure."""

NOT_APPLICABLE = "not_applicable"
"""Error class of a planned row that asks for what this driver cannot do: no failure, and no number."""

VerdictWord = Literal["valid", "suspect", "invalid"]


MAX_ATTEMPT = 9999
"""Of one trial: attempts have at most four digits in the names of parts."""


class Receipt(Frozen):
    """The few fields that tell the coordinator that a part exists."""

    trial_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    attempt: int = Field(ge=0, le=MAX_ATTEMPT)
    host: Name
    outcome: Outcome
    verdict: VerdictWord
    reasons: tuple[str, ...] = ()
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return _CANONICAL.encode(value)


def canonical_json_again(value: Any) -> str:
    """``canonical_json`` of what often comes again, such as parameters and a host's facts."""
    try:
        same = orjson.dumps(value)  # tells 1, 1.0 and true apart, as the text does
    except TypeError:  # what orjson does not write, such as a number beyond 64 bits
        return canonical_json(value)
    return _canonical_of(same)


@lru_cache(maxsize=256)
def _canonical_of(same: bytes) -> str:
    return canonical_json(orjson.loads(same))


def decode_trial(content: object) -> Trial:
    """Check a trial that came over the wire. Raises MessageError that carries what came."""
    refuse_other_version(content, "coordinator", "worker")
    try:
        check_plain(content)
        return Trial.model_validate(content)
    except ValueError as error:
        raise MessageError(f"not a trial: {error}; the message was {content!r:.500}") from error
