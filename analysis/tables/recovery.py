"""recovery: what comes back after a fault, how fast, and at what cost."""

import pandas as pd

from analysis import classes, heatmap, latency, pairs
from analysis import shown as common
from analysis import words as general
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.distributions import Reduction
from analysis.recovery import figures, rows, shown, words
from analysis.recovery.injections import RECOVER, STAGES, AllInjections
from analysis.section import Section, frame

EXPERIMENT = "recovery"

FIELDS = {
    "outcomes": rows.OUTCOME_FIELDS,
    "latency": latency.LATENCY_FIELDS,
    "comparison": pairs.PAIR_FIELDS,
    "reasons": latency.REASON_FIELDS,
    "curves": rows.CURVE_FIELDS,
}


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Outcomes, stages, paired ratios, reasons of failures and survival curves."""
    reduction = Reduction(Cells(dataset, EXPERIMENT))
    injections = AllInjections(reduction.cells)
    found = {
        "outcomes": rows.outcome_rows(injections),
        "latency": latency.latency_rows(reduction, STAGES),
        "comparison": pairs.pair_rows(reduction, (RECOVER,)),
        "reasons": latency.reason_rows(reduction),
        "curves": rows.curve_rows(injections),
    }
    return {name: frame(FIELDS[name], found[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary, plots and tables of recovery."""
    cells = Cells(dataset, EXPERIMENT)
    found = {name: general.records(table) for name, table in tables.items()}
    every = "recover", "all attempts"
    parts = (
        figures.curves(found["curves"], found["outcomes"]),
        figures.stages(found["latency"], found["outcomes"]),
        shown.outcomes(found["outcomes"]),
        shown.stages(found["latency"], found["outcomes"]),
        common.comparison(found["comparison"], {"recover": "time to recover"}),
        heatmap.latencies(found["latency"], every, "time to recover"),
        classes.recoveries(found["outcomes"]),
        common.hosts(found["latency"], every, "Time to recover"),
        common.reasons(found["reasons"], "Why instances did not recover"),
    )
    return Section(
        experiment=EXPERIMENT,
        title="How instances come back after a fault",
        summary=(
            *words.sentences(found["outcomes"]),
            *general.verdicts(found["comparison"], {"recover": "recover"}),
        ),
        caveats=words.caveats(found),
        conditions=condition_words(cells.constant),
        about=(*words.METHOD, *general.method(rounded=Reduction(cells).rounded)),
        parts=tuple(part for part in parts if part is not None),
    )
