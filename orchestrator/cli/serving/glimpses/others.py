"""Experiments without a glimpse of their own: times until ready, and medians of what they sampled."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from analysis.metrics.base import Unit
from analysis.statistics.blocks import Floats
from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import Sight, View, column, grouped, measured, until

READY = View(
    "Time until ready", "curve", "time until ready", caption="From the planned start until ready."
)


def _sampled(what: str, unit: Unit) -> View:
    caption = "Medians of all samples, whenever they were taken."
    return View(f"What was sampled, {what}", "table", "sampled", unit=unit, caption=caption)


SAMPLED = {"ns": _sampled("times", "ns"), "bytes": _sampled("sizes", "bytes")}
NUMBERS = _sampled("numbers", "number")
OF_EVERY_TRIAL = ("host.", "harness.")
"""Metrics that say nothing of what an experiment is about."""


def see(part: Part) -> Iterator[Sight]:
    """What any experiment may have."""
    instances = part.tables["instances"]
    yield Sight(READY, until(instances, "t_intent", "t_ready", measured(instances)))
    for metric, unit, values in by_metric(part.tables["samples"]):
        view = SAMPLED.get(unit, NUMBERS)
        named = metric if view is not NUMBERS or unit == "1" else f"{metric}, {unit}"
        yield Sight(view, values, named)


def by_metric(samples: pa.Table) -> Iterator[tuple[str, str, Floats]]:
    """Metric, unit and known values of everything that the experiment itself sampled."""
    encoded = samples.column("metric").combine_chunks().dictionary_encode()
    metrics, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
    units, firsts = samples.column("unit"), np.unique(codes, return_index=True)[1]
    for code, values in grouped(codes, column(samples, "value")):
        metric = metrics[int(code)]
        if not metric.startswith(OF_EVERY_TRIAL):
            yield metric, units[int(firsts[int(code)])].as_py(), values[~np.isnan(values)]
