"""failover: what becomes of a lost host's instances."""

import pandas as pd

from analysis import classes, figures, latency
from analysis import shown as common
from analysis import words as general
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.distributions import Reduction
from analysis.failover import rows, shown, words
from analysis.failover.returns import PHASES, RETURN, Losses
from analysis.section import Section, frame
from analysis.together import Together, not_elsewhere

EXPERIMENT = "failover"

FIELDS = {
    "fleet": rows.CELL_FIELDS,
    "losses": rows.LOSS_FIELDS,
    "curves": rows.CURVE_FIELDS,
    "latency": latency.LATENCY_FIELDS,
    "reasons": latency.REASON_FIELDS,
}


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """The fleet per cell, each loss, survival curves, stages host by host, reasons of failures."""
    cells = Cells(dataset, EXPERIMENT)
    losses, reduction = Losses(Together(cells)), Reduction(cells)
    of_losses = rows.loss_rows(losses)
    found = {
        "fleet": rows.cell_rows(losses, of_losses),
        "losses": of_losses,
        "curves": rows.curve_rows(losses),
        "latency": latency.latency_rows(reduction, (RETURN, *PHASES)),
        "reasons": not_elsewhere(latency.reason_rows(reduction)),
    }
    return {name: frame(FIELDS[name], found[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary, plots and tables of failover."""
    cells = Cells(dataset, EXPERIMENT)
    found = {name: general.records(table) for name, table in tables.items()}
    variants = cells.variants()
    phases = {phase.name: phase.meaning for phase in PHASES}
    parts = (
        shown.curves(found["curves"], variants),
        figures.stages(found["latency"], variants, tuple(phases.items())),
        shown.fleet(found["fleet"]),
        common.stages(found["latency"], phases),
        classes.latencies(found["latency"], (RETURN.name, RETURN.basis), "Time to return"),
        common.hosts(found["latency"], (RETURN.name, RETURN.basis), "Time to return"),
        common.reasons(found["reasons"], "Why instances did not return"),
    )
    return Section(
        experiment=EXPERIMENT,
        title="What becomes of a lost host's instances",
        summary=tuple(words.sentences(found["fleet"], found["latency"])),
        caveats=words.caveats(found),
        conditions=condition_words(cells.constant),
        about=(*words.METHOD, *general.method(rounded=Reduction(cells).rounded)[:1]),
        parts=tuple(part for part in parts if part is not None),
    )
