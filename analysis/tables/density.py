"""density: what one instance more costs, how many a host holds, and what ends it."""

import pandas as pd

from analysis import classes, heatmap
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.density import figures, rows, shown, words
from analysis.density.staircases import Staircases
from analysis.section import Section, frame
from analysis.words import records

EXPERIMENT = "density"

FIELDS = {
    "slopes": rows.SLOPE_FIELDS,
    "limits": rows.LIMIT_FIELDS,
    "knees": rows.KNEE_FIELDS,
    "steps": rows.STEP_FIELDS,
}


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Slopes, ends of the climbs, bends, and every step."""
    staircases = Staircases(Cells(dataset, EXPERIMENT))
    found = {
        "slopes": rows.slope_rows(staircases),
        "limits": rows.limit_rows(staircases),
        "knees": rows.knee_rows(staircases),
        "steps": rows.step_rows(staircases),
    }
    return {name: frame(FIELDS[name], found[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary, plots and tables of density."""
    cells = Cells(dataset, EXPERIMENT)
    found = {name: records(table) for name, table in tables.items()}
    looks = cells.variants()
    parts = (
        figures.memory(found["steps"], found["slopes"], found["limits"], looks),
        figures.latency(found["steps"], found["limits"], looks),
        figures.processors(found["steps"], found["limits"], looks),
        heatmap.slopes(found["slopes"]),
        shown.costs(found["slopes"]),
        shown.limits(found["limits"], found["knees"]),
        classes.densities(found["slopes"], found["limits"]),
        shown.hosts(found["slopes"], found["limits"]),
        shown.steps(found["steps"]),
    )
    return Section(
        experiment=EXPERIMENT,
        title="How many instances a host holds",
        summary=tuple(words.sentences(found)),
        caveats=words.caveats(found),
        conditions=condition_words(cells.constant),
        about=words.METHOD,
        parts=tuple(part for part in parts if part is not None),
    )
