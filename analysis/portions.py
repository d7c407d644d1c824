"""Rows of an experiment in portions that memory can hold: all rows of some trials, then of others.

What needs the rows of a trial together, in order, is worked out portion by portion; of the rest only
how often each value was seen is kept, as ``analysis.tallies`` has it. Few rows are one portion.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from analysis import distributions
from analysis.cells import Cells

PORTION_ROWS = 2_000_000
"""So many rows of several trials are held at once; of one trial there may be more."""

Columns = dict[str, Any]
"""Columns of equal length by name, as numpy has them."""


class Portions:
    """Trials of an experiment by the number of their rows.

    ``rows`` says in SQL which rows count, as what follows ``FROM``: its table is called ``r``.
    """

    def __init__(self, cells: Cells, members: pa.Table, rows: str) -> None:
        self._cells = cells
        self._members = members
        sql = f"""
            SELECT m.trial, count(r.trial_id) AS n
            FROM members m LEFT JOIN (SELECT trial_id FROM {rows}) r USING (trial_id)
            GROUP BY ALL ORDER BY m.trial
        """  # noqa: S608 - built of the analysis' own text
        found = cells.dataset.query(sql, {"experiment": cells.experiment}, members=members)
        self._sizes = found["n"].to_numpy().astype(np.int64)

    @property
    def rounded(self) -> bool:
        """Whether there are so many rows that values are rounded to steps of 0.1 %."""
        return int(self._sizes.sum()) > distributions.EXACT_ROWS

    def read(self, sql: str) -> Iterator[Columns]:
        """The answer to a query for each portion.

        It joins ``members`` (those of ``Cells.table``), and leaves out all hosts but ``$hosts``, whose
        files alone are then read.
        """
        for members, given in self._asked():
            found = self._cells.dataset.query(sql, given, members=members)
            yield {name: found[name].to_numpy() for name in found.column_names}

    def rows(self, sql: str) -> Iterator[dict[str, Any]]:
        """The same, a mapping per row: for answers of which a portion is small."""
        for members, given in self._asked():
            yield from self._cells.dataset.rows(sql, given, members=members)

    def _asked(self) -> Iterator[tuple[pa.Table, dict[str, Any]]]:
        """Trials of each portion, and what its queries are given."""
        for members in self._parts():
            hosts = [self._cells.hosts[code] for code in np.unique(members["host"].to_numpy())]
            yield members, {"experiment": self._cells.experiment, "hosts": hosts}

    def _parts(self) -> Iterator[pa.Table]:
        if not self.rounded:
            yield self._members
            return
        begun, rows = 0, 0
        for place, size in enumerate(self._sizes.tolist()):
            if rows and rows + size > PORTION_ROWS:
                yield self._members.slice(begun, place - begun)
                begun, rows = place, 0
            rows += size
        yield self._members.slice(begun)
