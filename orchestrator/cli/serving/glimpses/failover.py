"""failover: how long a lost host's instances are away, and how many do not come back."""

from collections.abc import Iterator

import numpy as np

from analysis.failover.returns import DEADLINE_PARAM
from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import Sight, View, are, column, known

BACK = View(
    "Time away after a host is lost",
    "curve",
    "time away",
    caption="From the loss to the first correct reply elsewhere. What found no place, or was not back "
    "within the deadline, counts as never.",
    done="back",
    of="instances",
)


def see(part: Part) -> Iterator[Sight]:
    """Every instance that had to return here."""
    instances = part.tables["instances"]
    lost = known(instances, "victim") & known(instances, "t_fault")
    away = (column(instances, "t_ready") - column(instances, "t_fault"))[lost]
    latest_ns = float(part.record.trial.params[DEADLINE_PARAM] or 0) * 1e9
    away[~(are(instances, "outcome", "ok")[lost] & (away <= latest_ns))] = np.inf
    yield Sight(BACK, away)
