"""isolation: what a victim suffers under stress, and how often it does not report."""

from functools import cache

import numpy as np

from analysis.cells import Cell, Cells
from analysis.isolation.answers import ON, AllAnswers, Answers
from analysis.isolation.ratios import block_degradations
from analysis.isolation.rows import SEED, degradation_rows
from analysis.metrics.base import (
    Measure,
    Measured,
    Metric,
    Row,
    ShareBlocks,
    estimate_in,
    fleet_rows,
    row_of,
)
from analysis.tables.isolation import EXPERIMENT

__all__ = ["EXPERIMENT", "measures"]


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of victims."""
    answers = AllAnswers(cells)

    @cache
    def rows() -> dict[tuple[str, str], Row]:
        return fleet_rows(degradation_rows(answers))

    harm = Metric("degradation", "median under stress over median before it", "ratio")
    silent = Metric("unanswered_share", "requests under stress without an answer in time", "share")
    return [
        Measure(harm, lambda cell: _harm(answers, rows(), cell)),
        Measure(silent, lambda cell: _silent(answers, rows(), cell)),
    ]


def _harm(answers: AllAnswers, rows: dict[tuple[str, str], Row], cell: Cell) -> Measured | None:
    row = row_of(answers.cells, rows, cell)
    if row is None or not row["n_on"]:
        return None
    blocks = block_degradations(answers.of(cell), np.random.default_rng([SEED, cell.index]))
    lost = row["silent_blocks"]
    unsure = f"the victim did not report in {lost} of {row['blocks']} blocks" if lost else None
    return Measured(estimate_in(row, "degradation{}"), row["n_on"], blocks, unsure=unsure)


def _silent(answers: AllAnswers, rows: dict[tuple[str, str], Row], cell: Cell) -> Measured | None:
    row = row_of(answers.cells, rows, cell)
    if row is None or not row["n_on"]:
        return None
    blocks = _shares(answers.of(cell))
    return Measured(estimate_in(row, "unanswered_share{}"), int(blocks.sizes.sum()), blocks)


def _shares(answers: Answers) -> ShareBlocks:
    here = answers.step == ON
    units = np.stack([answers.host[here], answers.block[here]], axis=1)
    keys, code = np.unique(units, axis=0, return_inverse=True)
    hits = np.bincount(code, weights=np.isinf(answers.latency_ns[here]), minlength=len(keys))
    sizes = np.bincount(code, minlength=len(keys)).astype(np.float64)
    return ShareBlocks(tuple((int(h), int(b)) for h, b in keys), hits.astype(np.float64), sizes)
