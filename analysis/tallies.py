"""Values with how often each was seen, and where: single ones, or buckets of 0.1 % of very many."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.cells import Cells
from analysis.portions import Columns
from analysis.statistics.blocks import BlockedSample, Floats, Ints, blocked_sample
from analysis.statistics.buckets import GRAIN, buckets_of, middles

Bools = npt.NDArray[np.bool_]
_MOST_KEYS = 2**62
"""So many different rows have a number each, which sorts several times as fast as the rows do."""


@dataclass(frozen=True)
class Tally:
    """Values of one cell, in no order. ``inf`` is what never came."""

    values: Floats
    counts: Ints
    host: Ints
    block: Ints
    grain: float = 0.0
    """By what share of itself each value may be off, because values were counted in steps."""

    @property
    def n(self) -> int:
        """How many values, multiplicities counted."""
        return int(self.counts.sum())

    @property
    def infinite(self) -> int:
        """How many never came."""
        return int(self.counts[np.isinf(self.values)].sum())

    def sample(self) -> BlockedSample:
        """As what has quantiles with intervals."""
        return blocked_sample(self.values, self.block, self.host, self.counts, self.grain)

    def median(self) -> float | None:
        """The median; None without values."""
        return self.sample().quantile(0.5) if self.n else None

    def mean(self) -> float | None:
        """The mean; None without values."""
        return float((self.values * self.counts).sum() / self.n) if self.n else None

    def shares(self) -> tuple[Floats, Floats, Floats]:
        """What never came, all values, and the host, for each block."""
        return shares_of(np.isinf(self.values), self.counts, self.host, self.block)


def shares_of(hit: Bools, counts: Ints, host: Ints, block: Ints) -> tuple[Floats, Floats, Floats]:
    """How many have a property, how many there are, and the host, for each block."""
    width = int(block.max(initial=0)) + 1
    units, code = np.unique(host * width + block, return_inverse=True)
    hits, sizes = (
        np.bincount(code, weights=weights, minlength=units.size).astype(np.float64)
        for weights in (counts * hit, counts)
    )
    return hits, sizes, (units // width).astype(np.float64)


def keys_of(host: Ints, block: Ints) -> tuple[tuple[int, int], ...]:
    """Host and number of each block, in the order of ``shares_of``."""
    pairs = np.unique(np.stack([host, block], axis=1), axis=0)
    return tuple((int(one), int(other)) for one, other in pairs)


class Tallies:
    """Values of all cells, trial by trial."""

    def __init__(self, cells: Cells, parts: Iterable[Columns], *, rounded: bool) -> None:
        self._cells = cells
        self._grain = GRAIN if rounded else 0.0
        self.columns = joined(parts)
        members = cells.memberships
        self._cell, self._host, self._block = (
            np.array([getattr(m, name) for m in members], dtype=np.int64)
            for name in ("cell", "host", "block")
        )

    def here(self, cell: int, counts: Bools) -> Bools:
        """Which rows are of a cell, and of hosts that count."""
        trials = (self._cell == cell) & counts[self._host]
        found: Bools = trials[self.columns["trial"]]
        return found

    def tally(self, rows: Bools) -> Tally:
        """Some of the rows."""
        trial = self.columns["trial"][rows]
        return Tally(
            self.columns["value"][rows].astype(np.float64),
            self.columns["count"][rows].astype(np.int64),
            self._host[trial],
            self._block[trial],
            self._grain,
        )


def tallied(columns: Columns, value: str, keys: Sequence[str], *, rounded: bool) -> Columns:
    """How often each value was seen with each of the keys, which are whole numbers from 0.

    Its columns are the keys, ``value`` and ``count``; values that are not known are left out. Unless
    ``rounded``, every value stands for itself, in the order in which they came.
    """
    known = ~np.isnan(columns[value])
    own = {key: _narrow(columns[key][known]) for key in keys}
    values = columns[value][known].astype(np.float64)
    if not rounded:
        return own | {"value": values, "count": np.ones(values.size, dtype=np.int32)}
    buckets = buckets_of(values)
    (*different, bucket), counts = _counted([*own.values(), buckets])
    found = dict(zip(own, different, strict=True))
    return found | {"value": middles(bucket), "count": counts}


def seen(columns: Columns, value: str, keys: Sequence[str]) -> Columns:
    """As ``tallied``, of values that few differ: each is kept as it is."""
    known = ~np.isnan(columns[value])
    own = {key: _narrow(columns[key][known]) for key in keys}
    values = columns[value][known].astype(np.float64)
    known_values, code = np.unique(values, return_inverse=True)
    (*different, place), counts = _counted([*own.values(), code.astype(np.int32)])
    found = dict(zip(own, different, strict=True))
    return found | {"value": known_values[place], "count": counts}


def joined(parts: Iterable[Columns]) -> Columns:
    """Columns of several portions as one."""
    every = list(parts)
    return {name: np.concatenate([part[name] for part in every]) for name in every[0]}


def _counted(columns: Sequence[Any]) -> tuple[list[Any], npt.NDArray[np.int32]]:
    """The rows that differ, in order, as columns of the same types, and how often each is there."""
    if not columns[0].size:
        return list(columns), np.zeros(0, dtype=np.int32)
    least = [int(column.min()) for column in columns]
    spans = [int(column.max()) - low + 1 for column, low in zip(columns, least, strict=True)]
    if math.prod(spans) >= _MOST_KEYS:
        rows, counts = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
        found = list(rows.T)
    else:
        key = np.zeros(columns[0].size, dtype=np.int64)
        for column, low, span in zip(columns, least, spans, strict=True):
            key = key * span + (column.astype(np.int64) - low)
        key, counts = np.unique(key, return_counts=True)
        found = []
        for low, span in zip(reversed(least), reversed(spans), strict=True):
            key, place = np.divmod(key, span)
            found.insert(0, place + low)
    typed = [one.astype(column.dtype) for one, column in zip(found, columns, strict=True)]
    return typed, counts.astype(np.int32)


def _narrow(column: Any) -> Any:
    return column.astype(np.bool_ if column.dtype == np.bool_ else np.int32)
