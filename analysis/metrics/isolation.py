"""isolation: what a victim suffers under stress, and how often it does not report."""

from functools import cache

import numpy as np

from analysis.cells import Cell, Cells
from analysis.isolation.answers import AllAnswers, Answers
from analysis.isolation.ratios import block_degradations
from analysis.isolation.returns import ON
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
    own = answers.of(cell)
    blocks = block_degradations(own, np.random.default_rng([SEED, cell.index]))
    lost = row["silent_blocks"]
    unsure = f"the victim did not report in {lost} of {row['blocks']} blocks" if lost else None
    grain = 4 * own.latency.grain  # of two medians, and either way
    return Measured(estimate_in(row, "degradation{}"), row["n_on"], blocks, grain, unsure=unsure)


def _silent(answers: AllAnswers, rows: dict[tuple[str, str], Row], cell: Cell) -> Measured | None:
    row = row_of(answers.cells, rows, cell)
    if row is None or not row["n_on"]:
        return None
    blocks = _shares(answers.of(cell))
    return Measured(estimate_in(row, "unanswered_share{}"), int(blocks.sizes.sum()), blocks)


def _shares(answers: Answers) -> ShareBlocks:
    lost, sizes, _ = answers.unanswered(ON)
    return ShareBlocks(answers.asked_blocks(ON), lost, sizes)
