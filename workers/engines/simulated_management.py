"""What day-2 verbs do to simulated instances: the truth of management experiments.

The effect of a verb comes ``verb_effect_ms · X`` after the call, and the call returns ``verb_call_ms ·
X`` after it, whichever is first. From the call on the instance answers nothing for ``verb_freeze_ms``.
A share of the calls is refused, a share has no effect, and after a share the instance never answers.
"""

from typing import Any

from pydantic import Field

from contract.catalog import Settings
from workers.engines.simulated_machine import SimulatedInstance
from workers.verbs.base import Verb

_VERBS = rf"^(({'|'.join(Verb)})(,|$))*$"


class ManagementTruth(Settings):
    """How a simulated engine does verbs."""

    verb_effect_ms: float = Field(60, ge=0, description="median from a verb's call to its effect")
    verb_call_ms: float = Field(40, ge=0, description="median until a verb's call returns")
    verb_freeze_ms: float = Field(
        0, ge=0, description="how long an instance answers nothing, from it on"
    )
    verb_refused_share: float = Field(0, ge=0, le=1, description="calls of verbs that are refused")
    verb_lost_share: float = Field(0, ge=0, le=1, description="verbs that have no effect")
    verb_broken_share: float = Field(
        0, ge=0, le=1, description="verbs after which the instance answers no more"
    )
    verbs_emulated: str = Field(
        "update", pattern=_VERBS, description="verbs that are emulated, with commas between"
    )
    verbs_none: str = Field("", pattern=_VERBS, description="verbs that it does not have")


def remembered(sim: SimulatedInstance, request: str) -> dict[str, Any]:
    """What the agent's answers to ``mark`` and ``marked`` hold beside the usual."""
    word, _, argument = request.partition(" ")
    if word == "mark":
        sim.marker = argument
    return {"file": sim.marker, "memory": sim.marker} if word == "marked" else {}
