"""Measures that every experiment on instances shares: stages of a life, failures, rate."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from analysis.cells import Cell, Cells
from analysis.distributions import Distribution, Reduction, Stage
from analysis.latency import QUANTILES, outcome_rows
from analysis.metrics.base import (
    Measure,
    Measured,
    Metric,
    Row,
    ShareBlocks,
    estimate_in,
    fleet_rows,
    plain_blocks,
    row_of,
)
from analysis.pairs import MOST_FAILED_SHARE, SEED
from analysis.statistics.blocks import BlockedSample
from analysis.statistics.comparison import BlockKey, block_medians
from analysis.statistics.proportions import Estimate
from analysis.statistics.quantiles import estimate_quantile
from analysis.statistics.tails import block_tails


def stage_measures(
    reduction: Reduction, stages: Sequence[Stage], main: Collection[str]
) -> list[Measure]:
    """Quantiles of stages. Of two stages of one name the first counts: that over all attempts."""
    found: dict[str, list[Measure]] = {}
    wanted: dict[str, Stage] = {}
    for stage in stages:
        wanted.setdefault(stage.name, stage)
    reduction.expect(wanted.values())
    for stage in wanted.values():
        of_stage = _OfStage(reduction, stage)
        found[stage.name] = [of_stage.measure(name, stage.name in main) for name in QUANTILES]
    return [measure for measures in found.values() for measure in measures]


class _OfStage:
    """One stage; its values are read when they are first asked for."""

    def __init__(self, reduction: Reduction, stage: Stage) -> None:
        self._reduction = reduction
        self._stage = stage

    @cached_property
    def _distribution(self) -> Distribution:
        return self._reduction.distribution(self._stage)

    def measure(self, quantile: str, main: bool) -> Measure:
        """The measure of one quantile. Tails are beside the main thing."""
        main = main and quantile == "p50"
        metric = Metric(self._stage.name, self._stage.meaning, "ns", main=main, quantile=quantile)
        return Measure(metric, lambda cell: self._of(cell, quantile))

    def _of(self, cell: Cell, quantile: str) -> Measured | None:
        sample = self._distribution.sample(cell.index)
        if not sample.n:
            return None
        p = QUANTILES[quantile]
        found = estimate_quantile(sample, p)
        if quantile == "p50":
            blocks = block_medians(sample, np.random.default_rng([SEED, cell.index]))
        else:
            blocks = block_tails(sample, p) or plain_blocks({})
        estimate = Estimate(found.value, found.low, found.high)
        # either way, so that a step is twice that
        return Measured(estimate, sample.n, blocks, 2 * sample.grain, unsure=_failing(sample))


def _failing(sample: BlockedSample) -> str | None:
    failed = sample.counts[np.isinf(sample.values)].sum() / sample.n
    return f"{failed:.0%} of attempts never got there" if failed > MOST_FAILED_SHARE else None


class Attempts:
    """How attempts ended in every block: shares of failures, and the rate at which they got ready."""

    def __init__(self, reduction: Reduction) -> None:
        self._reduction = reduction
        self._cells: Cells = reduction.cells

    @cached_property
    def _rows(self) -> dict[tuple[str, str], Row]:
        return fleet_rows(outcome_rows(self._reduction))

    @cached_property
    def _counts(self) -> dict[int, list[dict[str, Any]]]:
        found: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in self._reduction.counts():
            if row["role"] != "set aside" and self._cells.in_fleet(row["cell"], row["host"]):
                found[row["cell"]].append(row)
        return found

    def failed_share(self) -> Measure:
        """Attempts that did not end well."""
        metric = Metric("failed_share", "attempts that failed, of all", "share")
        return Measure(metric, self._failed)

    def rate(self) -> Measure:
        """Instances made ready per second."""
        meaning = "instances made ready per second, first intent to last ready"
        return Measure(Metric("rate_per_s", meaning, "per_s", "higher", main=False), self._rate)

    def _failed(self, cell: Cell) -> Measured | None:
        row, counts = row_of(self._cells, self._rows, cell), self._counts[cell.index]
        if row is None or not row["attempted"]:
            return None
        of_block: dict[BlockKey, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for one in counts:
            sums = of_block[one["host"], one["block"]]
            sums[0] += one["attempted"] - one["ok"]
            sums[1] += one["attempted"]
        blocks = share_blocks(of_block)
        return Measured(estimate_in(row, "failed_share{}"), row["attempted"], blocks)

    def _rate(self, cell: Cell) -> Measured | None:
        row = row_of(self._cells, self._rows, cell)
        if row is None or row["rate_per_s"] is None:
            return None
        sums: dict[BlockKey, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for one in self._counts[cell.index]:
            if one["ready"] and one["span_ns"]:
                sums[one["host"], one["block"]][0] += one["ready"]
                sums[one["host"], one["block"]][1] += one["span_ns"] / 1e9
        values = {key: ready / seconds for key, (ready, seconds) in sums.items()}
        return Measured(estimate_in(row, "rate_per_s{}"), row["attempted"], plain_blocks(values))


def share_blocks(of_block: dict[BlockKey, list[float]]) -> ShareBlocks:
    """Hits and sizes of blocks that have attempts."""
    keys = tuple(key for key in sorted(of_block) if of_block[key][1] > 0)
    hits, sizes = (np.array([of_block[key][i] for key in keys], dtype=np.float64) for i in (0, 1))
    return ShareBlocks(keys, hits, sizes)
