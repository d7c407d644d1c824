"""deployment: how soon a release runs."""

from collections.abc import Iterator

from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import Sight, View, measured, until

READY = View(
    "Time until a release runs",
    "curve",
    "time until ready",
    caption="From the decision to deploy to the first correct reply.",
)


def see(part: Part) -> Iterator[Sight]:
    """Every deployment."""
    instances = part.tables["instances"]
    yield Sight(READY, until(instances, "t_intent", "t_ready", measured(instances)))
