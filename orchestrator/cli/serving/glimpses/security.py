"""security: what is within reach of instances, in numbers. Facts, no score."""

from collections.abc import Iterator

from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import Sight, View
from orchestrator.cli.serving.glimpses.others import by_metric

COUNTS = View(
    "What instances have within reach",
    "table",
    "counted",
    unit="count",
    caption="Medians over trials: facts, not a score. The report has them all, and what differs.",
)


def see(part: Part) -> Iterator[Sight]:
    """Every number of the vector."""
    for metric, _, values in by_metric(part.tables["samples"]):
        yield Sight(COUNTS, values, metric.removeprefix("security.").replace("_", " "))
