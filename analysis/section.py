"""What a table module gives to the report: exported tables, and what is shown of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pandas as pd

from analysis.dataset import Dataset

DType = Literal["string", "Int64", "Float64", "boolean"]


@dataclass(frozen=True, slots=True)
class Field:
    """One column of an exported table, declared once."""

    name: str
    dtype: DType
    meaning: str


def interval_fields(pattern: str, meaning: str) -> tuple[Field, ...]:
    """A value and the ends of its interval: columns named by ``pattern``, ``median{}_ns``."""
    return (
        Field(pattern.format(""), "Float64", meaning),
        Field(pattern.format("_low"), "Float64", "lower end of its 95 % interval"),
        Field(pattern.format("_high"), "Float64", "upper end of it"),
    )


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """How one variant is drawn in every plot of the report."""

    label: str
    colour: str
    dash: tuple[int, ...] | None
    """Pattern of its line, empty for a full one; None for what is an area, not a line."""
    shape: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing."""

    title: str
    svg: str
    width: int


@dataclass(frozen=True, slots=True)
class Figure:
    """Drawings side by side under one legend, and the same in words for those who cannot see them."""

    title: str
    panels: tuple[Panel, ...]
    legend: tuple[LegendEntry, ...]
    caption: str
    alternative: str


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table in the report, ready to print; ``full`` names the exported table that holds everything."""

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    """Which columns hold numbers, and are aligned to the right."""
    full: str
    left_out: int = 0
    """Rows that are in the exported table only."""


@dataclass(frozen=True, slots=True)
class Section:
    """One experiment's part of the report."""

    experiment: str
    title: str
    summary: tuple[str, ...]
    """Sentences for the beginning of the report."""
    caveats: tuple[str, ...]
    """Sentences about what limits belief in them."""
    conditions: str
    """What was the same everywhere, in words; may be empty."""
    about: tuple[str, ...]
    """How the numbers were made, in words."""
    parts: tuple[Figure | ShownTable, ...]


class TableModule(Protocol):
    """What a module in ``analysis.tables`` has. It is found by being there."""

    EXPERIMENT: str
    FIELDS: dict[str, tuple[Field, ...]]
    """Columns of each table, by table name."""

    def table(self, dataset: Dataset) -> dict[str, pd.DataFrame]:
        """All tables of the experiment, by name, each with the columns of ``FIELDS``."""

    def section(self, dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
        """The experiment's part of the report, from tables that ``table`` returned."""


def frame(fields: Sequence[Field], rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a frame with the declared columns and types; missing is missing, never 0 or NaN."""
    return pd.DataFrame(
        {
            field.name: pd.array([row.get(field.name) for row in rows], dtype=field.dtype)
            for field in fields
        }
    )
