"""management: time to effect of verbs and of what undoes them, interruption, failures."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from analysis.cells import Cell, Cells
from analysis.management.operations import AllOperations, Done, probe_period_ns, verbs_of
from analysis.metrics.base import Measure, Measured, Metric, ShareBlocks
from analysis.statistics.blocks import BlockedSample
from analysis.statistics.comparison import block_medians
from analysis.statistics.proportions import Estimate, estimate_share
from analysis.statistics.quantiles import estimate_quantile
from analysis.tables.management import EXPERIMENT
from analysis.tallies import keys_of, shares_of
from contract.verbs import Verb

__all__ = ["EXPERIMENT", "measures"]

LOOK_NS = 2e6
"""The worker looks so often for what nothing announces."""
_LOOKED_FOR = frozenset(
    {
        *(Verb.CPU_LESS, Verb.CPU_MORE, Verb.MEMORY_LESS, Verb.MEMORY_MORE),
        *(Verb.SNAPSHOT, Verb.CHECKPOINT, Verb.RENAME),
    }
)
SEED = 20_261_127
"""Fixes the draws of the noise within blocks."""


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of operations: of the verb, of its counterpart where there is one, of both."""
    operations = AllOperations(cells)

    @cache
    def done(cell: Cell, place: int) -> Done | None:
        verbs = verbs_of(cell)
        return operations.verb(cell, verbs[place]) if place < len(verbs) else None

    effect = Metric("effect", "from a verb's call to its effect", "ns", quantile="p50")
    undo = Metric("undo", "the same of its counterpart", "ns", quantile="p50")
    silence = Metric("interruption", "longest silence of an operation", "ns", quantile="p50")
    failed = Metric("failed_share", "verbs that came to nothing", "share")

    def effect_of(cell: Cell, place: int) -> Measured | None:
        found = done(cell, place)
        if found is None:
            return None
        return _median(found.effect.sample(), cell, _step_ns(cell, verbs_of(cell)[place]))

    def silence_of(cell: Cell) -> Measured | None:
        period_ns = probe_period_ns(cell)
        found = _median(operations.noticed(cell).interruption.sample(), cell, period_ns)
        if found is None or found.estimate.value is None or found.estimate.value >= period_ns:
            return found
        return replace(found, unsure="shorter than the probe's period, which is its resolution")

    return [
        Measure(effect, lambda cell: effect_of(cell, 0)),
        Measure(undo, lambda cell: effect_of(cell, 1)),
        Measure(silence, silence_of),
        Measure(failed, lambda cell: _failed([done(cell, place) for place in (0, 1)])),
    ]


def _step_ns(cell: Cell, verb: Verb) -> float:
    """In which steps the verb's effect is looked for; 0 where something announces it."""
    if verb is Verb.PAUSE:
        return probe_period_ns(cell)
    return LOOK_NS if verb in _LOOKED_FOR else 0.0


def _median(sample: BlockedSample, cell: Cell, step_ns: float) -> Measured | None:
    if not sample.n:
        return None
    found = estimate_quantile(sample, 0.5)
    blocks = block_medians(sample, np.random.default_rng([SEED, cell.index]))
    grain = step_ns / found.value if found.value and np.isfinite(found.value) else 0.0
    return Measured(
        Estimate(found.value, found.low, found.high), sample.n, blocks, grain + 2 * sample.grain
    )


def _failed(parts: list[Done | None]) -> Measured | None:
    some = [done for done in parts if done is not None and done.n]
    if not some:
        return None
    effect: Any = [
        np.concatenate([getattr(d.effect, name) for d in some])
        for name in ("values", "counts", "host", "block")
    ]
    values, counts, host, block = effect
    hits, sizes, hosts = shares_of(np.isinf(values), counts, host, block)
    estimate = estimate_share(hits, sizes, hosts)
    blocks = ShareBlocks(keys_of(host, block), hits, sizes)
    return Measured(estimate, int(counts.sum()), blocks)
