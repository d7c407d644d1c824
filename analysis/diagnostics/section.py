"""The part of the report that says whether the numbers of all experiments can be trusted."""

import pandas as pd

from analysis.dataset import Dataset
from analysis.diagnostics import rows, shown, words
from analysis.diagnostics.series import measured
from analysis.section import Section, frame
from analysis.words import records

NAME = "diagnostics"
FIELDS = rows.FIELDS


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """The course over the campaign, hosts, variance, and whether hosts agree; empty: nothing to test."""
    found = measured(dataset)
    made = {
        "course": rows.course_rows(found),
        "hosts": rows.host_rows(found),
        "variance": rows.variance_rows(found),
        "agreement": rows.agreement_rows(found),
    }
    return {name: frame(FIELDS[name], made[name]) for name in FIELDS} if found else {}


def section(tables: dict[str, pd.DataFrame]) -> Section:
    """Sentences where there is something to say, and the tables."""
    found = {name: records(table) for name, table in tables.items()}
    parts = (
        shown.course(found["course"]),
        shown.hosts(found["hosts"]),
        shown.variance(found["variance"]),
        shown.agreement(found["agreement"]),
    )
    return Section(
        experiment=NAME,
        title="Can the numbers be trusted?",
        summary=words.sentences(found),
        caveats=(),
        conditions="",
        about=(*words.in_vain(found), *words.METHOD),
        parts=tuple(part for part in parts if part is not None),
    )
