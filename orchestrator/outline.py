"""What a look at a campaign needs of its plan, apart from it: 100,000 trials are 100 MB."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.trial import Trial

_NAME = ".outline.json"


@dataclass(frozen=True, slots=True)
class Outline:
    """The ids of a plan's trials, by host and driver."""

    campaign: str
    trials: dict[str, dict[str, list[str]]]


def outline_of(trials: Sequence[Trial], campaign: str) -> Outline:
    """The outline of a plan; ``campaign`` names one without trials."""
    found: dict[str, dict[str, list[str]]] = {}
    for trial in trials:
        found.setdefault(trial.host, {}).setdefault(trial.driver, []).append(trial.trial_id)
    return Outline(trials[0].campaign if trials else campaign, found)


def write_outline(plan: Path, outline: Outline) -> None:
    """Put it beside the plan, which is written already."""
    content = {"plan": _mark(plan), "campaign": outline.campaign, "trials": outline.trials}
    plan.with_name(_NAME).write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def read_outline(plan: Path) -> Outline | None:
    """The outline beside a plan; None when there is none, or it is another plan's."""
    try:
        content = json.loads(plan.with_name(_NAME).read_bytes())
        if content["plan"] != _mark(plan):
            return None
        return Outline(content["campaign"], content["trials"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _mark(plan: Path) -> list[int]:
    state = plan.stat()
    return [state.st_size, state.st_mtime_ns]
