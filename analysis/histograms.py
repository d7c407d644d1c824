"""Stages as histograms of logarithmic buckets, one per trial: for more rows than memory should hold.

Buckets are 0.1 % wide, so that a value, and any quantile of values, is off by 0.05 % at most. Histograms
of trials add up to those of blocks, hosts and the fleet, so all that is resampled or compared by block
is made of them as it is made of single values. DuckDB reduces the rows of many stages in one pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analysis.dataset import Dataset
from analysis.statistics.blocks import Floats, Ints
from analysis.statistics.buckets import INFINITE, Int32s, bucket_sql, middles

AT_ONCE_ROWS = 4_000_000
"""So many rows of several hosts one query reduces; of one host there may be more."""
HELD_BYTES = 600_000_000
"""What the buckets of all rows of one query may take."""
AT_ONCE_BYTES = 400_000_000
"""What the histograms of one pass may come to; how many stages one pass reads is guessed from it."""
_TYPICAL_BUCKETS, _BUCKET_BYTES = 2000, 6
"""Buckets that hold something, of a stage in one trial, and what each takes where its count is small."""

Counts = npt.NDArray[np.integer[Any]]
Packed = tuple[int, Ints, Int32s, Counts]
"""Of one query: its first trial, how many buckets that and each one after it has, buckets, counts."""


@dataclass(frozen=True)
class Histograms:
    """One stage in all trials: how many values each bucket holds, in the order of trial and bucket.

    Trials are numbered by their place among the memberships of their cells, which are sorted by host.
    """

    ends: Ints
    """Of each trial where its buckets begin, and where the last one's end."""
    bucket: Int32s
    count: Counts

    @classmethod
    def joined(cls, parts: list[Packed], trials: int) -> Self:
        """From several queries, whose trials follow one another. ``parts`` are emptied."""
        sizes = np.zeros(trials, dtype=np.int64)
        buckets = [np.zeros(0, dtype=np.int32)]
        counts: list[Counts] = [np.zeros(0, dtype=np.uint16)]
        while parts:
            first, own, bucket, count = parts.pop(0)
            sizes[first : first + own.size] += own
            buckets.append(bucket)
            counts.append(count)
        return cls(_ends(sizes), np.concatenate(buckets), np.concatenate(counts))

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        return self.ends.nbytes + self.bucket.nbytes + self.count.nbytes

    @property
    def trial(self) -> Int32s:
        """The trial of each bucket."""
        return np.repeat(np.arange(self.ends.size - 1, dtype=np.int32), np.diff(self.ends))

    @cached_property
    def upto(self) -> Ints:
        """How many values there are up to each bucket, and in the trials before."""
        return np.cumsum(self.count, dtype=np.int64)

    def some(self, trials: Ints) -> "Histograms":
        """Those of some trials, given in their order; all others are empty."""
        sizes = np.zeros(self.ends.size - 1, dtype=np.int64)
        sizes[trials] = own = self.ends[trials + 1] - self.ends[trials]
        shift = np.repeat(self.ends[trials] - (np.cumsum(own) - own), own)
        here = np.arange(shift.size) + shift
        return Histograms(_ends(sizes), self.bucket[here], self.count[here])

    def without(self, trial: Int32s, bucket: Int32s) -> "Histograms":
        """The same less single values of it."""
        count = self.count.copy()
        places = np.searchsorted(_keys(self.trial, self.bucket), _keys(trial, bucket))
        np.subtract.at(count, places, 1)
        return Histograms(self.ends, self.bucket, count)

    def finite(self) -> "Histograms":
        """The same less what is infinite."""
        return self._where(self.bucket < INFINITE)

    def measurable(self) -> "Histograms":
        """The same less what has no logarithm: values that are infinite, or not above 0."""
        return self._where((self.bucket > 0) & (self.bucket < INFINITE))

    def _where(self, some: npt.NDArray[np.bool_]) -> "Histograms":
        ends = np.concatenate([[0], np.cumsum(some)])[self.ends]
        return Histograms(ends, self.bucket[some], self.count[some])

    def medians(self, trials: Int32s) -> tuple[Floats, Ints]:
        """Median and number of the values of some trials; NaN where there is none."""
        values = np.concatenate([[0], self.upto])
        first, last = values[self.ends[trials]], values[self.ends[trials + 1]]
        found = np.full(trials.size, np.nan)
        some = last > first
        size = last[some] - first[some]
        low, high = (
            middles(self.bucket[np.searchsorted(self.upto, first[some] + rank)])
            for rank in ((size + 1) // 2, size // 2 + 1)
        )
        found[some] = (low + high) / 2
        return found, last - first


def _ends(sizes: Ints) -> Ints:
    """Where stretches of these sizes begin, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(sizes)])


def packed(trial: Int32s, bucket: Int32s, count: Int32s) -> Packed:
    """Columns of one query in half the memory: trials as sizes, small counts in two bytes."""
    if not trial.size:
        return 0, np.zeros(0, dtype=np.int64), bucket, count.astype(np.uint16)
    first = int(trial[0])
    small = count.max() < 2**16
    counts: Counts = count.astype(np.uint16) if small else count
    # Copied, because what DuckDB gives holds on to room for more.
    return first, np.bincount(trial - first).astype(np.int64), bucket.copy(), counts


def _keys(trial: Int32s, bucket: Int32s) -> Ints:
    """Trial and bucket as one number, which sorts as both do."""
    return (trial.astype(np.int64) << 32) + bucket


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one experiment whose values are counted."""

    dataset: Dataset
    experiment: str
    members: pa.Table
    """Trials that count: trial_id and trial, those of a host after those of another."""
    trials: int
    """How many there are, with those that do not count."""
    where: str
    """In SQL, which rows of ``instances i`` count."""

    def most_at_once(self, rows: int) -> int:
        """How many values of so many rows one pass should count."""
        buckets: int = min(rows, self.members.num_rows * _TYPICAL_BUCKETS)
        return max(1, AT_ONCE_BYTES // (buckets * _BUCKET_BYTES + 1))

    def read(self, values: Sequence[str]) -> list[Histograms]:
        """Histograms of some values, each given in SQL, in one pass over the rows."""
        parts: list[list[Packed]] = [[] for _ in values]
        for hosts, rows in self._hosts():
            for part, found in zip(parts, self._counted(values, hosts, rows), strict=True):
                columns = {name: found[name].to_numpy() for name in found.column_names}
                part.append(packed(**columns))
        return [Histograms.joined(of_value, self.trials) for of_value in parts]

    def _counted(self, values: Sequence[str], hosts: list[str], rows: int) -> Iterator[pa.Table]:
        """Trial, bucket and count of every value on some hosts."""
        given = {"experiment": self.experiment, "hosts": hosts}
        if rows * (len(values) + 1) * 4 > HELD_BYTES:  # one host: value by value, holding nothing
            for value in values:
                sql = f"WITH placed AS ({self._placed([value])}) {_COUNTED.format(name='v0')}"
                yield self.dataset.query(sql, given, members=self.members)
            return
        with self.dataset.holding("placed", self._placed(values), given, members=self.members):
            for name in _names(values):
                yield self.dataset.query(_COUNTED.format(name=name))

    def _placed(self, values: Sequence[str]) -> str:
        """For every row its trial, and the bucket of every value; in memory that is many times less."""
        timed = ", ".join(f"{v} AS {name}" for v, name in zip(values, _names(values), strict=True))
        buckets = ", ".join(f"{bucket_sql(name)} AS {name}" for name in _names(values))
        return f"""
            WITH timed AS (
                SELECT m.trial, {timed} FROM instances i JOIN members m USING (trial_id)
                WHERE i.experiment = $experiment AND list_contains($hosts, i.host) AND {self.where}
            ) SELECT trial, {buckets} FROM timed
        """  # noqa: S608 - built of the analysis' own text

    def _hosts(self) -> Iterator[tuple[list[str], int]]:
        """Hosts with trials that count, so many at once as one query should reduce, and their rows."""
        sql = """
            WITH known AS (
                SELECT t.host, min(m.trial) AS first FROM trials t JOIN members m USING (trial_id)
                GROUP BY ALL
            )
            SELECT host, count(*) AS n FROM instances i JOIN known USING (host)
            WHERE i.experiment = $experiment GROUP BY host, first ORDER BY first
        """
        hosts: list[str] = []
        rows = 0
        for row in self.dataset.rows(sql, {"experiment": self.experiment}, members=self.members):
            if hosts and rows + row["n"] > AT_ONCE_ROWS:
                yield hosts, rows
                hosts, rows = [], 0
            hosts.append(row["host"])
            rows += row["n"]
        if hosts:
            yield hosts, rows


_COUNTED = """
    SELECT trial, {name} AS bucket, count(*)::INTEGER AS count
    FROM placed WHERE {name} IS NOT NULL GROUP BY ALL ORDER BY trial, bucket
"""


def _names(values: Sequence[str]) -> list[str]:
    return [f"v{place}" for place in range(len(values))]
