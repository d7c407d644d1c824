"""The capacity plan as a part of the report."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.capacity import figures, shown, tables, words
from analysis.capacity.answer import Answer
from analysis.capacity.answering import answer
from analysis.capacity.demand import load_demand
from analysis.dataset import Dataset
from analysis.section import Field, Section

EXPERIMENT = "capacity"
"""Name of the section, and what its exported tables' names begin with."""


@dataclass(frozen=True)
class Planned:
    """An answer with all that a page takes of it; tables and fields by exported name."""

    answer: Answer
    section: Section
    tables: dict[str, pd.DataFrame]
    fields: dict[str, tuple[Field, ...]]


def plan_for(dataset: Dataset, demand: Path) -> Planned:
    """Answer a demand file from a dataset.

    Raises CampaignError with line and key where the demand is wrong, DatasetError when the dataset
    has no density, UseError when it is not clear what stands for a shape.
    """
    found = answer(dataset, *load_demand(demand))
    frames = tables.tables_of(found)
    return Planned(
        found,
        section(found),
        {f"{EXPERIMENT}-{name}": frame for name, frame in frames.items()},
        {f"{EXPERIMENT}-{name}": tables.FIELDS[name] for name in frames},
    )


def section(found: Answer) -> Section:
    """Recommendation, plots, tables, assumptions."""
    drawn = (figures.shortfall(found), figures.influences(found), figures.differences(found))
    first, *others = shown.tables(found) or (None,)
    parts = [first, *drawn, *others]
    return Section(
        experiment=EXPERIMENT,
        title=f"Hosts for the demand {found.demand}",
        summary=words.summary(found),
        caveats=words.caveats(found),
        conditions="",
        about=(*words.METHOD, *found.assumptions),
        parts=tuple(part for part in parts if part is not None),
    )
