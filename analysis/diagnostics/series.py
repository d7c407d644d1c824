"""What is diagnosed: one number per block of every host, in every cell of an experiment."""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from analysis.cells import Cell, Cells
from analysis.dataset import Dataset
from analysis.density.staircases import Staircases
from analysis.distributions import Reduction, Stage
from analysis.recovery.injections import RECOVER
from analysis.statistics.blocks import BlockedSample, Floats, Ints
from analysis.statistics.diagnostics import BlockLogs
from analysis.statistics.trends import theil_sen
from analysis.tables import deployment, lifecycle

STAGES: dict[str, dict[str, Stage]] = {
    "lifecycle": {"time to ready": lifecycle.READY, "time to delete": lifecycle.DELETE},
    "churn": {"time to ready": lifecycle.READY, "time to delete": lifecycle.DELETE},
    "deployment": {"time to deploy": deployment.DEPLOY},
    "recovery": {"time to recover": RECOVER},
}
"""Stages that are diagnosed, by experiment and what they are called."""
MEMORY = "memory per instance"
EXPERIMENTS = (*STAGES, "density")


@dataclass(frozen=True)
class Series:
    """One cell's numbers: block medians, or slopes, and what is within the blocks."""

    cell: Cell
    hosts: Ints
    numbers: Ints
    """Number of each block on its host."""
    values: Floats
    """A number per block; not finite or not above 0 where there is none to speak of."""
    sizes: Ints
    """Values within each block that are finite and above 0."""
    means: Floats
    """Mean of their logarithms."""
    squares: Floats
    """Sum of the squares of their deviations from it."""
    firsts: Floats = field(default_factory=lambda: np.zeros(0))
    """Logarithm of each trial's first values over the rest of it."""

    @cached_property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Blocks that have a logarithm."""
        return np.isfinite(self.values) & (self.values > 0)


@dataclass(frozen=True)
class Measured:
    """All cells of one experiment in one measure."""

    experiment: str
    measure: str
    cells: Cells
    series: tuple[Series, ...]

    @cached_property
    def place(self) -> dict[int, int]:
        """Place in time of every block number: by the median start of its trials on all hosts."""
        starts: dict[int, list[float]] = defaultdict(list)
        for trial in self.cells.trials:
            begun = trial["started_at"]  # null of imported trials: then the blocks' numbers tell
            starts[trial["block"]].append(begun.timestamp() if begun else 0.0)
        order = sorted(starts, key=lambda number: (float(np.median(starts[number])), number))
        return {number: place for place, number in enumerate(order)}

    def logs(self, series: Series) -> BlockLogs:
        """A series' logarithms with their places in time."""
        some = series.usable
        places = [self.place[int(number)] for number in series.numbers[some]]
        return BlockLogs(
            np.log(series.values[some]), series.hosts[some], np.array(places, dtype=np.int64)
        )


def measured(dataset: Dataset) -> list[Measured]:
    """Everything in a dataset that can be diagnosed."""
    found = []
    for experiment in EXPERIMENTS:
        if experiment not in dataset.experiments():
            continue
        cells = Cells(dataset, experiment)
        if experiment == "density":
            found.append(Measured(experiment, MEMORY, cells, _slopes(cells)))
        else:
            reduction = Reduction(cells)
            reduction.expect(STAGES[experiment].values())
            for measure, stage in STAGES[experiment].items():
                found.append(Measured(experiment, measure, cells, _medians(reduction, stage)))
    return found


def _medians(reduction: Reduction, stage: Stage) -> tuple[Series, ...]:
    distribution = reduction.distribution(stage)
    firsts: dict[int, list[float]] = defaultdict(list)
    for row in reduction.firsts(stage):
        if reduction.cells.in_fleet(row["cell"], row["host"]):
            firsts[row["cell"]].append(math.log(row["first"] / row["rest"]))
    return tuple(
        _of_blocks(cell, distribution.sample(cell.index), np.array(firsts[cell.index]))
        for cell in reduction.cells.cells
    )


def _of_blocks(cell: Cell, sample: BlockedSample, firsts: Floats) -> Series:
    blocks = sample.by_block()
    within = [_moments(block) for block in blocks.values()]
    return Series(
        cell,
        np.array([host for host, _ in blocks], dtype=np.int64),
        np.array([number for _, number in blocks], dtype=np.int64),
        np.array([block.quantile(0.5) for block in blocks.values()], dtype=np.float64),
        np.array([size for size, _, _ in within], dtype=np.int64),
        np.array([mean for _, mean, _ in within], dtype=np.float64),
        np.array([squares for _, _, squares in within], dtype=np.float64),
        firsts,
    )


def _moments(block: BlockedSample) -> tuple[int, float, float]:
    """Number, mean and squared deviations of the logarithms of one block."""
    some = np.isfinite(block.values) & (block.values > 0)
    counts, logs = block.counts[some], np.log(block.values[some])
    size = int(counts.sum())
    mean = float((counts * logs).sum()) / size if size else 0.0
    return size, mean, float((counts * (logs - mean) ** 2).sum())


def _slopes(cells: Cells) -> tuple[Series, ...]:
    """Memory that one instance more takes, by staircase: there is nothing within a block."""
    staircases = Staircases(cells)
    found = []
    for cell in cells.cells:
        some = [
            (s, slope)
            for s in staircases.of(cell)
            for climb in [s.climb("mem_used")]
            if (slope := theil_sen(climb.n, climb.value)) is not None
        ]
        values = np.array([slope for _, slope in some], dtype=np.float64)
        known = values > 0
        found.append(
            Series(
                cell,
                np.array([s.host for s, _ in some], dtype=np.int64),
                np.array([s.block for s, _ in some], dtype=np.int64),
                values,
                known.astype(np.int64),
                np.log(values, where=known, out=np.zeros(values.size)),
                np.zeros(values.size),
            )
        )
    return tuple(found)
