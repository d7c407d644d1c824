"""density: what instances cost together, and how well they still answer."""

from collections.abc import Iterator

import numpy as np

from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import Sight, View, by_step

MEMORY = View(
    "Memory against the number of instances",
    "climb",
    "memory above the empty host",
    unit="bytes",
    caption="MemTotal less MemAvailable, on the way up. The slope is what one more costs.",
)
QUANTILES = {"median": 0.5, "99th percentile": 0.99}
PROBES = View(
    "Latency against the number of instances",
    "climb",
    "probe's latency",
    caption="Median over trials on the way up. Where most lost more probes than that there is no point.",
    order=tuple(QUANTILES),
)


def see(part: Part) -> Iterator[Sight]:
    """Memory and probes of every step on the way up."""
    samples = part.tables["samples"]
    directions = {step: values[0] for step, values in by_step(samples, "density.direction")}
    levels = {
        step: float(np.median(values))
        for step, values in by_step(samples, "density.instances")
        if directions.get(step, 1.0) >= 0
    }
    memory = {s: float(np.median(v)) for s, v in by_step(samples, "density.mem_used") if s in levels}
    empty = next((memory[step] for step in sorted(memory) if not levels[step]), None)
    if empty is not None and np.isfinite(empty):
        for step, used in memory.items():
            if np.isfinite(used):
                yield Sight(MEMORY, np.array([used - empty]), level=levels[step])
    for step, latencies in by_step(samples, "density.probe"):
        if levels.get(step):
            for name, p in QUANTILES.items():
                found = np.quantile(latencies, p, method="inverted_cdf")
                yield Sight(PROBES, np.array([found]), name, levels[step])
