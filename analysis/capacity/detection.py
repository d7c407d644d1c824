"""How soon a loss is noticed."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from analysis.capacity.evidence import DRAWS, Detection
from analysis.capacity.starts import Name, name_of, p95_of, sample_on
from analysis.cells import Cells
from analysis.dataset import Dataset
from analysis.distributions import Reduction
from analysis.failover.returns import Losses
from analysis.recovery.injections import PHASES, AllInjections
from analysis.statistics.blocks import BlockedSample, blocked_sample
from analysis.together import Together

SEED = 20_261_130


class Detections:
    """What a dataset says of detection, read once."""

    def __init__(self, dataset: Dataset) -> None:
        there = dataset.experiments()
        self._losses = Losses(Together(Cells(dataset, "failover"))) if "failover" in there else None
        self._recovery = Cells(dataset, "recovery") if "recovery" in there else None
        self._detect = Reduction(self._recovery).distribution(PHASES[0]) if self._recovery else None

    def of(self, name: Name, hosts: frozenset[str]) -> Detection | None:
        """As ``failover`` saw whole hosts go, else as ``recovery`` saw instances of some hosts die.

        The cell with the slowest detection counts. Of ``recovery`` it is a floor: who watches an
        instance from beside it notices sooner than who misses a whole host.
        """
        for source, samples in (("failover", self._lost(name)), ("recovery", self._died(name, hosts))):
            found = []
            for place, sample in enumerate(samples):
                p95, p95s = p95_of(sample, np.random.default_rng([SEED, place]))
                found.append(Detection(source, p95 / 1e9, p95s / 1e9))
            if found:
                return max(found, key=lambda one: one.p95_s)
        return None

    def _lost(self, name: Name) -> Iterator[BlockedSample]:
        losses = self._losses
        for cell in losses.together.cells.cells if losses else ():
            if losses is None or name_of(cell) != name:
                continue
            known = [
                (row["detect_ns"], one.block)
                for one in losses.together.counted(cell)
                for row in losses.rows.get(losses.together.number(one), [])
                if row["detect_ns"] is not None
            ]
            if known:
                yield blocked_sample([ns for ns, _ in known], [block for _, block in known])

    def _died(self, name: Name, hosts: frozenset[str]) -> Iterator[BlockedSample]:
        cells, detect = self._recovery, self._detect
        for cell in cells.cells if cells else ():
            if cells is None or detect is None or name_of(cell) != name:
                continue
            sample = sample_on(detect, cell.index, codes_of(cells, cell.index, hosts))
            if sample is not None:
                yield sample

    def unrecovered(self, name: Name) -> float | None:
        """Largest share of a cell's injections that nobody brought back though somebody should."""
        every = self._injections
        some = [
            every.of(cell)
            for cell in (every.cells.cells if every else ())
            if every and name_of(cell) == name and cell.conditions.get("supervision") != "none"
        ]
        return max((one.unrecovered_share for one in some if one.n), default=None)

    @cached_property
    def _injections(self) -> AllInjections | None:
        return AllInjections(self._recovery) if self._recovery else None


def codes_of(cells: Cells, cell: int, hosts: frozenset[str]) -> list[int]:
    """Codes of those hosts whose numbers count for a cell."""
    return [
        code for code, host in enumerate(cells.hosts) if host in hosts and cells.in_fleet(cell, code)
    ]


def given(seconds: float) -> Detection:
    """As the demand says."""
    return Detection("demand", seconds, np.full(DRAWS, seconds))
