"""management: which day-2 verbs there are, how long until they are seen, and what users notice."""

import pandas as pd

from analysis import latency
from analysis import shown as common
from analysis import words as general
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.distributions import Reduction
from analysis.management import figures, matrix, rows, shown, words
from analysis.management.operations import AllOperations, is_rounded
from analysis.section import Section, frame
from contract.trial import NOT_APPLICABLE

EXPERIMENT = "management"

FIELDS = {
    "matrix": matrix.MATRIX_FIELDS,
    "verbs": rows.VERB_FIELDS,
    "operations": rows.OPERATION_FIELDS,
    "reasons": latency.REASON_FIELDS,
}


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """The capability matrix, times to effect, interruptions, and reasons of failures."""
    cells = Cells(dataset, EXPERIMENT)
    operations = AllOperations(cells)
    capabilities = matrix.matrix_rows(operations)
    reasons = latency.reason_rows(Reduction(cells))
    found = {
        "matrix": capabilities,
        "verbs": rows.verb_rows(operations, capabilities),
        "operations": rows.operation_rows(operations),
        "reasons": [row for row in reasons if row["error_class"] != NOT_APPLICABLE],
    }
    return {name: frame(FIELDS[name], found[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary, plots and tables of management."""
    cells = Cells(dataset, EXPERIMENT)
    found = {name: general.records(table) for name, table in tables.items()}
    looks = cells.variants()
    parts = (
        shown.matrix(found["matrix"]),
        figures.effects(found["verbs"], looks),
        figures.interruptions(found["operations"], looks),
        shown.effects(found["verbs"]),
        shown.interruptions(found["operations"]),
        shown.calls(found["matrix"]),
        common.reasons(found["reasons"], "Why verbs came to nothing"),
    )
    return Section(
        experiment=EXPERIMENT,
        title="Day-2 verbs on running instances",
        summary=tuple(words.sentences(found)),
        caveats=words.caveats(found),
        conditions=condition_words(cells.constant),
        about=(*words.METHOD, *general.rounding(rounded=is_rounded(cells))),
        parts=tuple(part for part in parts if part is not None),
    )
