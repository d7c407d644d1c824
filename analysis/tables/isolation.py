"""isolation: what a victim suffers beside bad neighbours, and what limits on them change."""

import pandas as pd

from analysis import latency
from analysis import shown as common
from analysis import words as general
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.distributions import Reduction
from analysis.isolation import figures, rows, shown, words
from analysis.isolation.answers import AllAnswers, is_rounded
from analysis.section import Section, frame

EXPERIMENT = "isolation"

FIELDS = {
    "degradation": rows.DEGRADATION_FIELDS,
    "relief": rows.RELIEF_FIELDS,
    "timeline": rows.TIMELINE_FIELDS,
    "reasons": latency.REASON_FIELDS,
}


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Degradation with tail and return, what limits change, time lines, reasons of failures."""
    cells = Cells(dataset, EXPERIMENT)
    answers = AllAnswers(cells)
    found = {
        "degradation": rows.degradation_rows(answers),
        "relief": rows.relief_rows(answers),
        "timeline": rows.timeline_rows(answers),
        "reasons": latency.reason_rows(Reduction(cells)),
    }
    return {name: frame(FIELDS[name], found[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary, plots and tables of isolation."""
    cells = Cells(dataset, EXPERIMENT)
    found = {name: general.records(table) for name, table in tables.items()}
    looks = cells.variants()
    parts = (
        shown.matrix(found["degradation"]),
        figures.timeline(found["timeline"], looks),
        figures.degradation(found["degradation"], looks),
        shown.details(found["degradation"]),
        shown.relief(found["relief"]),
        common.reasons(found["reasons"], "Why victims were not measured"),
    )
    return Section(
        experiment=EXPERIMENT,
        title="What bad neighbours do",
        summary=tuple(words.sentences(found)),
        caveats=words.caveats(found),
        conditions=condition_words(cells.constant),
        about=(*words.METHOD, *general.rounding(rounded=is_rounded(cells))),
        parts=tuple(part for part in parts if part is not None),
    )
