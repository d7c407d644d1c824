"""What a glimpse is made of: sights, each with values for one of an experiment's pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analysis.distributions import HARNESS_CAUSES
from analysis.metrics.base import Unit
from analysis.statistics.blocks import Floats

Bools = npt.NDArray[np.bool_]
ENDED = ("ok", "failed", "timeout", "censored")
"""Outcomes of attempts; everything else was not tried."""


@dataclass(frozen=True, slots=True)
class View:
    """One picture of an experiment."""

    title: str
    kind: Literal["curve", "climb", "dots", "table"]
    what: str
    """What the values are: title of their axis."""
    unit: Unit = "ns"
    caption: str = ""
    """What cannot be guessed by looking at it, in whole sentences."""
    done: str = "ready"
    """Of a curve: what attempts got to."""
    of: str = "attempts"
    """Of a curve: what its shares are shares of."""
    named_by: tuple[str, ...] = ()
    """Parameters that the names of its sights say already."""
    order: tuple[str, ...] = ()
    """Names of its sights, in the order in which they are drawn; others follow."""
    to_baseline: bool = False
    """Of dots: drawn as multiples of the bare process's median where that was measured."""
    whole: bool = False
    """Values count by the last one of each complete name: see ``Sight.of``."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Values of one part for one picture. ``inf``: what was waited for did not come."""

    view: View
    values: Floats
    name: str = ""
    """Which line of dots, row of a table, panel of a climb, or common measurement they belong to."""
    level: float = 0.0
    """Of a climb: at how many instances."""
    of: int = 0
    """Of values that count together: how many there are when none is missing."""


def column(table: pa.Table, name: str) -> Floats:
    """Numbers of a column, NaN where there is none."""
    values: Floats = table.column(name).to_numpy().astype(np.float64)
    return values


def are(table: pa.Table, name: str, *words: str) -> Bools:
    """Where a column of text has one of these words."""
    found: Bools = pc.is_in(table.column(name), value_set=pa.array(words, pa.string())).to_numpy()
    return found


def flag(table: pa.Table, name: str) -> Bools:
    """A column of truth values."""
    values: Bools = table.column(name).to_numpy().astype(np.bool_)
    return values


def known(table: pa.Table, *names: str) -> Bools:
    """Where any of these columns has a value."""
    found: Bools = np.any([~np.isnan(column(table, name)) for name in names], axis=0)
    return found


def measured(instances: pa.Table) -> Bools:
    """Attempts that count, as in the report: no warm-ups, no residents, none that we ended ourselves."""
    aside = flag(instances, "warm_up") | flag(instances, "resident")
    ours = are(instances, "error_class", *HARNESS_CAUSES)
    return are(instances, "outcome", *ENDED) & ~aside & ~ours


def until(instances: pa.Table, start: str, end: str, chosen: Bools) -> Floats:
    """Times between two stamps, ns, of those chosen; ``inf`` of those that failed before the second."""
    taken = (column(instances, end) - column(instances, start))[chosen]
    failed = are(instances, "outcome", *ENDED[1:])[chosen] & np.isnan(column(instances, end)[chosen])
    taken[failed] = np.inf
    return taken[~np.isnan(taken)]


def samples_of(samples: pa.Table, metric: str) -> pa.Table:
    """The rows of one metric."""
    return samples.filter(are(samples, "metric", metric))


def by_step(samples: pa.Table, metric: str) -> Iterator[tuple[int, Floats]]:
    """Values of one metric by step, in order; ``inf`` where a value is null."""
    found = samples_of(samples, metric)
    found = found.filter(known(found, "step"))
    values = column(found, "value")
    values[np.isnan(values)] = np.inf
    for step, some in grouped(column(found, "step"), values):
        yield int(step), some


def grouped(keys: Floats, values: Floats) -> Iterator[tuple[float, Floats]]:
    """Values by their keys, in the keys' order."""
    order = np.argsort(keys, kind="stable")
    found, begins = np.unique(keys[order], return_index=True)
    yield from zip(found.tolist(), np.split(values[order], begins[1:]), strict=bool(found.size))
