"""What is told of a trial: who it is on every line meanwhile, its beginning and its end as events."""

import os
import time
from collections.abc import Callable
from typing import Any

from contract.errors import TrialCancelled
from contract.parts import PackedPart
from contract.trial import Trial
from workers.events import tell
from workers.run import Assignment


def what_is_measured(trial: Trial, attempt: int) -> dict[str, str | int]:
    """Fields of every line that is logged while a trial is measured."""
    return {
        "host": trial.host,
        "campaign": trial.campaign,
        "trial": trial.trial_id,
        "attempt": attempt,
        "experiment": trial.experiment,
        "driver": trial.driver,
    }


def told(run: Callable[[Assignment], PackedPart], assignment: Assignment) -> PackedPart:
    """Have a trial run, and tell of it before and after, never in between.

    Raises TrialCancelled as ``run`` does.
    """
    trial = assignment.trial
    name = f"trial {trial.trial_id} ({trial.experiment}, {trial.driver}/{trial.profile})"
    what: dict[str, Any] = {"experiment": trial.experiment, "driver": trial.driver}
    tell("trial_begun", f"{name}: begun", pid=os.getpid(), at=time.time(), **what)
    begun_s, cpu_s = time.monotonic(), time.process_time()
    try:
        packed = run(assignment)
    except TrialCancelled:
        cpu_s = time.process_time() - cpu_s
        tell("trial_cancelled", f"{name}: cancelled, nothing of it is kept", cpu_s=cpu_s, **what)
        raise
    passed_s, cpu_s = time.monotonic() - begun_s, time.process_time() - cpu_s
    outcome, verdict = packed.receipt.outcome, packed.receipt.verdict
    how: dict[str, Any] = {"outcome": outcome, "verdict": verdict}
    text = f"{name}: {outcome}, {verdict}, {passed_s:.1f} s"
    tell("trial_ended", text, duration_s=round(passed_s, 3), cpu_s=round(cpu_s, 3), **how, **what)
    return packed
