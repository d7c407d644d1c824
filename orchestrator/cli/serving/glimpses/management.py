"""management: how long each verb takes until it has its effect."""

from collections.abc import Iterator

import numpy as np

from analysis.distributions import HARNESS_CAUSES
from contract.parts import Part
from contract.verbs import OPERATIONS, Verb
from orchestrator.cli.serving.glimpses.base import (
    Sight,
    View,
    are,
    column,
    flag,
    known,
)


def _said(verb: Verb) -> str:
    return verb.replace("_", " ")


EFFECT = View(
    "Time until a verb has its effect",
    "dots",
    "time to effect",
    caption="From the call to its effect. "
    "A verb that mostly came to nothing, or that a driver lacks, has no dot.",
    named_by=("verb",),
    order=tuple(map(_said, Verb)),
)


def see(part: Part) -> Iterator[Sight]:
    """Every verb that was tried, by its name."""
    instances = part.tables["instances"].sort_by("instance")
    verbs = OPERATIONS.get(str(part.record.trial.params.get("verb")), ())
    placed = np.flatnonzero(~flag(instances, "resident") & known(instances, "victim"))
    tried = are(instances, "outcome", "ok", "failed", "timeout")
    tried &= ~are(instances, "error_class", *HARNESS_CAUSES)
    taken = column(instances, "t_ready") - column(instances, "t_call")
    taken[~are(instances, "outcome", "ok")] = np.inf
    for place, verb in enumerate(verbs):
        rows = placed[place :: len(verbs)]
        values = taken[rows[tried[rows]]]
        yield Sight(EFFECT, values[~np.isnan(values)], _said(verb))
