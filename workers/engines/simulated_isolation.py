"""What bad neighbours do to simulated instances: the truth of isolation experiments.

Answers of an instance take ``1 + Σ harm`` times as long, over all others of its host that are stressed,
where harm is ``harm_per_stressor``, times ``harm_limited`` for one that has limits. While any is
stressed, a share of the requests is never answered. Harm goes on for ``harm_fades_s`` after the stress.
"""

import asyncio
import math
import random
from collections.abc import Iterable

from pydantic import Field

from contract.campaign import Limits
from contract.catalog import Settings
from workers.engines.simulated_machine import SimulatedInstance


class IsolationTruth(Settings):
    """How much simulated neighbours harm each other."""

    harm_per_stressor: float = Field(0.5, ge=0, description="answers take longer by, per stressor")
    harm_limited: float = Field(0.2, ge=0, le=1, description="share of it that limits leave")
    harm_fades_s: float = Field(0, ge=0, description="how long it goes on after the stress")
    harm_lost_share: float = Field(
        0, ge=0, le=1, description="requests that are never answered beside unlimited stress"
    )


def slowness(
    truth: IsolationTruth, own: SimulatedInstance, there: Iterable[SimulatedInstance], rng: random.Random
) -> float:
    """How many times as long an answer of ``own`` takes now; infinite when it never comes."""
    now_s = asyncio.get_running_loop().time()
    bad = [sim for sim in there if sim is not own and now_s < sim.stressed_until_s + truth.harm_fades_s]
    if any(sim.spec.limits == Limits() for sim in bad) and rng.random() < truth.harm_lost_share:
        return math.inf
    shares = [1.0 if sim.spec.limits == Limits() else truth.harm_limited for sim in bad]
    return 1 + truth.harm_per_stressor * sum(shares)
