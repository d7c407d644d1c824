"""overhead: how long the same work takes, or what a command reported, beside the bare process."""

from collections.abc import Iterator

import numpy as np

from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import (
    Sight,
    View,
    column,
    known,
    measured,
    samples_of,
    until,
)

WORK = View(
    "Time for the same work",
    "dots",
    "time for the work",
    caption="From asking for the work to its answer.",
    to_baseline=True,
)
REPORTED = View(
    "What commands reported",
    "dots",
    "what it printed",
    unit="number",
    caption="Numbers in the unit that the campaign says, of repetitions that reported.",
    to_baseline=True,
)


def see(part: Part) -> Iterator[Sight]:
    """Every repetition. Of a command that reports a number it is that which counts, not its time."""
    instances = part.tables["instances"]
    chosen = measured(instances)
    if part.record.trial.params.get("unit"):
        told = samples_of(part.tables["samples"], "overhead.reported")
        values = column(told, "value")
        counts = np.isin(column(told, "instance"), column(instances, "instance")[chosen])
        yield Sight(REPORTED, values[counts & ~np.isnan(values)])
    else:
        chosen &= known(instances, "t_call")
        yield Sight(WORK, until(instances, "t_call", "t_ready", chosen))
