"""isolation: how a victim answers before, under and after stress beside it."""

from collections.abc import Iterator

import numpy as np

from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import Sight, View, by_step, column, samples_of

PHASES = ("before", "under stress", "after")
ANSWERS = View(
    "The victim's latency",
    "dots",
    "latency",
    caption="From the planned request to its answer, without each phase's ramp. "
    "A victim that mostly did not answer has no dot.",
    order=PHASES,
)


def see(part: Part) -> Iterator[Sight]:
    """Every answer after its phase's ramp. A failed trial has no victim to speak of."""
    if part.record.outcome == "failed":
        return
    samples = part.tables["samples"]
    phases = samples_of(samples, "isolation.phase")
    begun = dict(zip(column(phases, "step"), column(phases, "t_ns"), strict=True))
    answers = samples_of(samples, "isolation.latency")
    ramp_ns = float(part.record.trial.params.get("ramp_s") or 0) * 1e9
    since = column(answers, "t_ns") - [begun.get(step, np.inf) for step in column(answers, "step")]
    for step, latencies in by_step(answers.filter(since >= ramp_ns), "isolation.latency"):
        yield Sight(ANSWERS, latencies, PHASES[step])
