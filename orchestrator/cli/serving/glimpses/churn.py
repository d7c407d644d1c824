"""churn: whether a host keeps up with arrivals, and how long they wait."""

from collections.abc import Iterator

import numpy as np

from analysis.traffic import SERIES, Traffic
from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import Sight, View, column, measured, samples_of, until

ACHIEVED = View(
    "Ready per second",
    "dots",
    "ready per second",
    unit="per_s",
    caption="In the steady part of each trial. A host that keeps up makes as many ready as arrive.",
)
READY = View(
    "Time until ready",
    "curve",
    "time until ready",
    caption="From the planned arrival to the first correct reply, so waiting counts.",
)


def see(part: Part) -> Iterator[Sight]:
    """The rate that was achieved, and every arrival's time."""
    instances = part.tables["instances"]
    yield Sight(READY, until(instances, "t_intent", "t_ready", measured(instances)))
    count, seconds = _traffic(part).passed("readied")
    if seconds:
        yield Sight(ACHIEVED, np.array([count / seconds]))


def _traffic(part: Part) -> Traffic:
    """What was counted, at each moment that has all counts."""
    samples, params = part.tables["samples"], part.record.trial.params
    found = {name: samples_of(samples, f"churn.{name}") for name in SERIES}
    counts = {
        name: dict(zip(column(one, "t_ns").tolist(), column(one, "value").tolist(), strict=True))
        for name, one in found.items()
    }
    moments = sorted(set.intersection(*(set(one) for one in counts.values())))
    series = {name: np.array([one[t] for t in moments]) for name, one in counts.items()}
    seconds = (np.array(moments) - moments[0]) / 1e9 if moments else np.array([])
    rate, duration, hold = (float(params[n] or 0) for n in ("rate_per_s", "duration_s", "hold_s"))
    return Traffic(0, 0, 0, rate, duration, hold, seconds, series)
