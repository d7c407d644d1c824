"""How long work takes inside simulated instances: the truth of overhead experiments.

Every repetition takes ``work_ms · work_factor · X``, X log-normal with spread ``work_sigma``, times the
trial's block and host effect. ``work_ms`` stands for any kind and amount of work. A command reports
``reported · X`` with an X of its own.
"""

import math
from collections.abc import Callable
from typing import Any

from pydantic import Field

from contract.catalog import Settings


class OverheadTruth(Settings):
    """What work costs in a simulated instance."""

    work_ms: float = Field(100, gt=0, description="median of one repetition of any work, natively")
    work_factor: float = Field(1.0, gt=0, description="how many times as long it takes in here")
    work_sigma: float = Field(0.05, ge=0, le=3, description="spread between repetitions (log scale)")
    reported: float = Field(1000, gt=0, description="median of what a command reports in here")


def told_by_work(truth: OverheadTruth, request: str, draw: Callable[[], float]) -> dict[str, Any]:
    """What its agent adds to the answer to ``run``: no program runs, so the number stands for itself.

    ``draw`` gives standard normal numbers.
    """
    if not request.startswith("run "):
        return {}
    return {"status": 0, "value": truth.reported * math.exp(truth.work_sigma * draw())}
