"""lifecycle: how soon instances are ready, and gone again."""

from collections.abc import Iterator

from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import Sight, View, known, measured, until

READY = View(
    "Time until ready",
    "curve",
    "time until ready",
    caption="From the planned start to the first correct reply.",
)
GONE = View(
    "Time until gone",
    "curve",
    "time until gone",
    caption="From the stop call until the engine says that it is gone.",
    done="gone",
)


def see(part: Part) -> Iterator[Sight]:
    """Both times of every attempt."""
    instances = part.tables["instances"]
    chosen = measured(instances)
    yield Sight(READY, until(instances, "t_intent", "t_ready", chosen))
    stopped, seen = known(instances, "t_stop_call"), known(instances, "t_ready", "t_gone")
    yield Sight(GONE, until(instances, "t_stop_call", "t_gone", chosen & stopped & seen))
