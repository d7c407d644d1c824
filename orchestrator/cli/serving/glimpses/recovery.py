"""recovery: how soon instances are back after a fault, and how many never are."""

from collections.abc import Iterator

import numpy as np

from analysis.distributions import HARNESS_CAUSES
from analysis.recovery.injections import DEADLINE_PARAM
from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import Sight, View, are, column, flag, known

BACK = View(
    "Time to recover",
    "curve",
    "time to recover",
    caption="From the fault to the first of several good replies in a row. What was not back within its "
    "deadline counts as never.",
    done="back",
    of="injections",
)


def see(part: Part) -> Iterator[Sight]:
    """Every injection."""
    instances = part.tables["instances"]
    injected = known(instances, "victim") & known(instances, "t_fault")
    injected &= ~flag(instances, "warm_up") & ~are(instances, "error_class", *HARNESS_CAUSES)
    waited = (column(instances, "t_ready") - column(instances, "t_fault"))[injected]
    deadline_s = part.record.trial.params.get(DEADLINE_PARAM)
    latest_ns = float(deadline_s) * 1e9 if isinstance(deadline_s, int | float) else np.inf
    waited[~(waited <= latest_ns)] = np.inf
    yield Sight(BACK, waited)
