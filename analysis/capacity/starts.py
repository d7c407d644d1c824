"""How fast hosts start instances, and what an image weighs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from analysis.capacity.evidence import DRAWS, Starts
from analysis.capacity.resample import Resample, resample
from analysis.cells import Cell
from analysis.distributions import Distribution, Reduction
from analysis.statistics.blocks import BlockedSample, Floats, blocked_sample
from analysis.statistics.quantiles import estimate_quantile
from analysis.tables.lifecycle import READY

SEED = 20_261_129
P95 = 0.95
Z_975 = 1.959963984540054

Name = tuple[str, str, bool, bool]
"""What a variant is: driver, profile, whether its CPU was emulated, whether its time was simulated."""

Waits = Mapping[int, Floats]
"""By place of the staircase: how long each start took, in their order, seconds; ``inf`` if it failed."""


def name_of(cell: Cell) -> Name:
    """What a cell measured, whatever its conditions."""
    return cell.driver, cell.profile, cell.emulated, cell.virtual


class LifecycleStarts:
    """What ``lifecycle`` says of starting, read once per dataset."""

    def __init__(self, reduction: Reduction) -> None:
        self.cells = reduction.cells
        self._ready = reduction.distribution(READY)
        self._counts = reduction.counts()

    def of(self, name: Name, hosts: frozenset[str], image: str) -> Starts | None:
        """Starts of a variant on some hosts, where they were fastest beside the most residents.

        Open-loop arrivals are left out: their rate is that of the plan. Cells of the same ``image`` go
        first.
        """
        found = []
        for cell in self.cells.cells:
            known = cell.conditions
            if name_of(cell) != name or known.get("arrival_rate_per_s"):
                continue
            some = self._starts(cell, hosts)
            if some is not None:
                residents = known.get("residents")
                there = residents if isinstance(residents, int | float) else 0
                found.append(((cell.image == image, there, some.rate_per_s), some))
        return max(found, key=lambda one: one[0])[1] if found else None

    def _starts(self, cell: Cell, hosts: frozenset[str]) -> Starts | None:
        codes = {
            code
            for code, host in enumerate(self.cells.hosts)
            if host in hosts and self.cells.in_fleet(cell.index, code)
        }
        rows = [
            r
            for r in self._counts
            if r["cell"] == cell.index and r["host"] in codes and r["role"] != "set aside"
        ]
        ready = np.array([r["ready"] for r in rows], dtype=np.float64)
        spans = np.array([r["span_ns"] for r in rows], dtype=np.float64) / 1e9
        timed = (spans > 0) & (ready > 0)
        ready, spans = ready[timed], spans[timed]
        sample = sample_on(self._ready, cell.index, codes)
        if not spans.size or sample is None:
            return None
        of = resample(spans.size, np.random.default_rng([SEED, cell.index]))
        rate = float(ready.sum() / spans.sum())
        drawn = of.around(rate, (of.weights @ ready) / (of.weights @ spans))
        p95, p95s = p95_of(sample, np.random.default_rng([SEED + 1, cell.index]))
        level = cell.conditions.get("concurrency")
        concurrency = int(level) if isinstance(level, int | float) else 1
        floored = np.maximum(drawn, rate / 10)
        return Starts("lifecycle", concurrency, rate, floored, p95 / 1e9, p95s / 1e9)


def climbing_starts(waits: Waits, concurrency: int, draws: Resample) -> Starts | None:
    """Starts of the upper half of climbs: what a host does that is half full already."""
    upper = {place: values[values.size // 2 :] for place, values in waits.items() if values.size > 1}
    if not upper:
        return None
    went = {p: v[np.isfinite(v)] for p, v in upper.items()}
    means = {p: float(v.mean()) for p, v in went.items() if v.size and v.mean() > 0}
    if not means:
        return None
    rates = np.array([concurrency / mean for mean in means.values()])
    tails = np.array([float(np.quantile(v, P95, method="inverted_cdf")) for v in upper.values()])
    of, of_tails = draws.of(list(means)), draws.of(list(upper))
    rate = float(rates.mean())
    drawn = np.maximum(of.around(rate, of.means(rates)), rate / 10)
    if not np.isfinite(tails).all():
        tail = float(np.quantile(tails, 0.5, method="inverted_cdf"))
        return Starts("density", concurrency, rate, drawn, tail, np.full(DRAWS, tail))
    tail = float(tails.mean())
    spread = np.maximum(of_tails.around(tail, of_tails.means(tails)), tail / 10)
    return Starts("density", concurrency, rate, drawn, tail, spread)


def sample_on(spread: Distribution, cell: int, codes: Iterable[int]) -> BlockedSample | None:
    """The values of a cell on some hosts together; None without values."""
    found = [
        sample for code in sorted(codes) if (sample := spread.sample(cell, spread.cells.of_host(code))).n
    ]
    if not found:
        return None
    together = blocked_sample(
        np.concatenate([s.values for s in found]),
        np.concatenate([s.blocks.numbers[s.block] for s in found]),
        np.concatenate([s.blocks.hosts[s.block] for s in found]),
        np.concatenate([s.counts for s in found]),
    )
    return replace(together, grain=spread.grain)


def p95_of(sample: BlockedSample, rng: np.random.Generator) -> tuple[float, Floats]:
    """The 95 % point and replicates that have its order-statistic interval, log-normal around it.

    Without an interval, or with failures in it, all replicates are the point itself.
    """
    found = estimate_quantile(sample, P95)
    value = np.inf if found.value is None else found.value
    low, high = found.low or 0.0, np.inf if found.high is None else found.high
    if min(low, value) <= 0 or not np.isfinite(high):
        return value, np.full(DRAWS, value)
    sigma = (np.log(high) - np.log(low)) / (2 * Z_975)
    return value, np.asarray(value * np.exp(sigma * rng.normal(size=DRAWS)), dtype=np.float64)


def cold_bytes(rows: Sequence[Mapping[str, object]], name: Name) -> float | None:
    """What a host without anything of the image fetches: the largest median of any cell, bytes."""
    medians = [
        float(str(r["median"]))
        for r in rows
        if r["metric"] == "deployment.bytes_wire"
        and r["scope"] == "fleet"
        and (r["driver"], r["profile"], r["emulated"], r["virtual"]) == name
    ]
    return max(medians, default=None)
