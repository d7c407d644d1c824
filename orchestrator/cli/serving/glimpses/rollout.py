"""rollout: how soon hosts have an image that all of them want at once."""

from collections.abc import Iterator

from contract.parts import Part
from contract.trial import ELSEWHERE
from orchestrator.cli.serving.glimpses.base import Sight, View, are, measured, until

HOSTS = View(
    "Time until hosts are ready",
    "curve",
    "time until ready",
    caption="From the common moment to the first correct reply on a host.",
    of="hosts",
)
ALL = View(
    "Time until the last host is ready",
    "dots",
    "time until all are ready",
    caption="From the common moment. Of rollouts of which every host's trial is there and counts.",
    whole=True,
)


def see(part: Part) -> Iterator[Sight]:
    """This host, by itself and as one of those that pulled at once."""
    instances = part.tables["instances"]
    here = measured(instances) & ~are(instances, "error_class", ELSEWHERE)
    taken = until(instances, "t_intent", "t_ready", here)
    yield Sight(HOSTS, taken)
    found = part.record.facts.get("findings", {}).get("rollout", {}).get("hosts", ())
    if len(found) > 1:
        yield Sight(ALL, taken, part.record.trial.meeting_id, of=len(found))
