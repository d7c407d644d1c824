"""management: time to effect of verbs and of what undoes them, interruption, failures."""

from functools import cache
from typing import Any

import numpy as np

from analysis.cells import Cell, Cells
from analysis.management.operations import AllOperations, Done, verbs_of
from analysis.metrics.base import Measure, Measured, Metric, ShareBlocks
from analysis.statistics.blocks import BlockedSample
from analysis.statistics.comparison import block_medians
from analysis.statistics.proportions import Estimate, estimate_share
from analysis.statistics.quantiles import estimate_quantile
from analysis.tables.management import EXPERIMENT

__all__ = ["EXPERIMENT", "measures"]

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
    return [
        Measure(effect, lambda cell: _effect(done(cell, 0), cell)),
        Measure(undo, lambda cell: _effect(done(cell, 1), cell)),
        Measure(silence, lambda cell: _median(operations.noticed(cell).interruptions(), cell)),
        Measure(failed, lambda cell: _failed([done(cell, place) for place in (0, 1)])),
    ]


def _effect(done: Done | None, cell: Cell) -> Measured | None:
    return None if done is None else _median(done.effects(), cell)


def _median(sample: BlockedSample, cell: Cell) -> Measured | None:
    if not sample.n:
        return None
    found = estimate_quantile(sample, 0.5)
    blocks = block_medians(sample, np.random.default_rng([SEED, cell.index]))
    return Measured(Estimate(found.value, found.low, found.high), sample.n, blocks)


def _failed(parts: list[Done | None]) -> Measured | None:
    some = [done for done in parts if done is not None and done.n]
    if not some:
        return None
    columns: Any = [
        np.concatenate([getattr(d, n) for d in some]) for n in ("effect_ns", "host", "block")
    ]
    effect_ns, host, block = columns
    keys, code = np.unique(np.stack([host, block], axis=1), axis=0, return_inverse=True)
    hits = np.bincount(code.ravel(), weights=np.isinf(effect_ns), minlength=len(keys)).astype(np.float64)
    sizes = np.bincount(code.ravel(), minlength=len(keys)).astype(np.float64)
    estimate = estimate_share(hits, sizes, keys[:, 0].astype(np.float64))
    blocks = ShareBlocks(tuple((int(h), int(b)) for h, b in keys), hits, sizes)
    return Measured(estimate, effect_ns.size, blocks)
