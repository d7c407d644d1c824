"""Reducing instance rows to sorted values per cell, host and block, and to counts. DuckDB does it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np

from analysis.cells import Cells, Role
from analysis.first_values import OTHERS, firsts_of_many
from analysis.histograms import Histograms, Source
from analysis.imported import MARK
from analysis.scopes import FLEET, Scope
from analysis.statistics.blocks import BlockedSample, Floats, Ints, sorted_sample
from analysis.statistics.buckets import GRAIN, middles

EXACT_ROWS = 4_000_000
"""From more rows than this, values are rounded to steps of 0.1 % and counted: it bounds the memory."""

HARNESS_CAUSES = ("cancelled", "host_busy", "internal")
"""Error classes that say nothing about an engine: such rows are no attempts."""

_MEASURED = "i.experiment = $experiment AND NOT i.warm_up AND NOT i.resident"
_CAUSES = ", ".join(f"'{cause}'" for cause in HARNESS_CAUSES)
_ATTEMPTED = f"""
    i.outcome IN ('ok', 'failed', 'timeout', 'censored')
    AND coalesce(i.error_class, '') NOT IN ({_CAUSES})
"""
_SUMS = ", ".join(
    f"coalesce(sum({name}), 0)::BIGINT AS {name}"
    for name in ("planned", "attempted", "ok", "ready", "skipped", "lost")
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of an instance's life between two stamps.

    ``start`` and ``end`` are SQL over the columns of the instances table (alias ``i``), never text from
    outside. ``unreached`` says in SQL when a failed attempt counts as never ending: its value is then
    infinite. Without it only attempts that passed both stamps count.
    """

    name: str
    meaning: str
    start: str
    end: str
    unreached: str | None = None

    @property
    def basis(self) -> Literal["all attempts", "successful"]:
        """Which attempts the stage's quantiles are over."""
        return "all attempts" if self.unreached else "successful"

    @property
    def reached(self) -> "Stage | None":
        """The stage over those attempts alone that got there; None where it is that already."""
        return replace(self, unreached=None) if self.unreached else None

    def sql(self) -> str:
        """The value in nanoseconds, infinite for an attempt that never got there, else null."""
        past = f"({self.end} - {self.start})::DOUBLE"
        if not self.unreached:
            return past
        failed = "i.outcome IN ('failed', 'timeout', 'censored')"
        return f"coalesce({past}, CASE WHEN {failed} AND {self.unreached} THEN 'infinity'::DOUBLE END)"


class Distribution(Protocol):
    """Values of one stage over all cells."""

    cells: Cells
    grain: float
    """By what share of itself each value may be off, because values were counted in steps."""

    @property
    def n(self) -> int:
        """Values in all cells."""

    def sample(self, cell: int, scope: Scope = FLEET) -> BlockedSample:
        """The values of a cell in the fleet, on hosts of one class, or on one host."""


class ExactDistribution:
    """Single values, sorted within each cell."""

    grain = 0.0

    def __init__(self, columns: dict[str, Any], cells: Cells) -> None:
        self.cells = cells
        self._value: Floats = columns["value"].astype(np.float64)
        self._count: Ints = columns["count"].astype(np.int64)
        self._host: Ints = columns["host"].astype(np.int64)
        self._block: Ints = columns["block"].astype(np.int64)
        bounds = np.searchsorted(columns["cell"], np.arange(len(cells.cells) + 1))
        self._slice = [slice(a, b) for a, b in pairwise(bounds)]
        self._by_host = lru_cache(maxsize=2)(self._sort_by_host)

    @property
    def n(self) -> int:
        """Values in all cells."""
        return int(self._count.sum())

    def sample(self, cell: int, scope: Scope = FLEET) -> BlockedSample:
        """The values of a cell in the fleet, on hosts of one class, or on one host."""
        part = self._slice[cell]
        if scope.kind != "host":
            counts = self.cells.counting(cell, scope)
            return self._sample(np.flatnonzero(counts[self._host[part]]) + part.start)
        order, bounds = self._by_host(cell)
        host = min(scope.codes or ())
        return self._sample(order[bounds[host] : bounds[host + 1]] + part.start)

    def _sample(self, rows: Ints) -> BlockedSample:
        host, block = self._host[rows], self._block[rows]
        return sorted_sample(self._value[rows], block, host, self._count[rows])

    def _sort_by_host(self, cell: int) -> tuple[Ints, Ints]:
        """Places of a cell's values by host, still by value within each, and where each host begins."""
        hosts = self._host[self._slice[cell]]
        order = np.argsort(hosts, kind="stable")
        bounds = np.searchsorted(hosts[order], np.arange(len(self.cells.hosts) + 1))
        return order, bounds


class BinnedDistribution:
    """Values in buckets of 0.1 %, counted by trial; they are put in order when a sample is asked for."""

    grain = GRAIN

    def __init__(self, histograms: Histograms, cells: Cells) -> None:
        self.cells = cells
        self._counted = histograms
        members = cells.memberships
        self._cell, self._host, self._block = (
            np.array([getattr(m, name) for m in members], dtype=np.int64)
            for name in ("cell", "host", "block")
        )

    @property
    def n(self) -> int:
        """Values in all cells."""
        return int(self._counted.count.sum(dtype=np.int64))

    def sample(self, cell: int, scope: Scope = FLEET) -> BlockedSample:
        """The values of a cell in the fleet, on hosts of one class, or on one host."""
        here = self._cell == cell
        if scope.kind != "host":
            here &= self.cells.counting(cell, scope)[self._host]
        else:
            here &= self._host == min(scope.codes or ())
        trials = np.flatnonzero(here)
        counted = self._counted.some(trials)
        order = np.argsort(counted.bucket, kind="stable")
        trial = counted.trial[order]
        return sorted_sample(
            middles(counted.bucket[order]),
            self._block[trial],
            self._host[trial],
            counted.count[order].astype(np.int64),
            self.grain,
        )


class Reduction:
    """All that statistics need of one experiment's instance rows."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self._expected: tuple[Stage, ...] = ()
        self._dataset = cells.dataset
        self._experiment = {"experiment": cells.experiment}

    def expect(self, stages: Iterable[Stage]) -> None:
        """Say which stages will be asked for, in this order: of many rows they are read together."""
        self._expected = tuple(stages)

    @cached_property
    def _rows(self) -> int:
        sql = "SELECT count(*) AS n FROM instances i WHERE i.experiment = $experiment"
        return int(self._dataset.rows(sql, self._experiment)[0]["n"])

    @property
    def rounded(self) -> bool:
        """Whether there are so many rows that values are rounded to steps of 0.1 %."""
        return self._rows > EXACT_ROWS

    def distribution(self, stage: Stage) -> Distribution:
        """The stage's values in all trials that count."""
        if self.rounded:
            return BinnedDistribution(self._histograms(stage), self.cells)
        sql = f"""
            WITH timed AS (
                SELECT m.cell, m.host, m.block, {stage.sql()} AS v
                FROM instances i JOIN members m USING (trial_id)
                WHERE {_MEASURED} AND {_ATTEMPTED}
            )
            SELECT cell, host, block, v AS value, 1 AS count
            FROM timed WHERE v IS NOT NULL
            ORDER BY cell, value, host, block
        """  # noqa: S608 - built of this module's own text
        members = self.cells.table("timed", "failed")
        found = self._dataset.query(sql, self._experiment, members=members)
        columns = {name: found[name].to_numpy() for name in found.column_names}
        return ExactDistribution(columns, self.cells)

    def _histograms(self, stage: Stage) -> Histograms:
        """Those of one stage; if they have to be read, those of the stages after it are read as well."""
        whole = next((one for one in self._expected if one.reached == stage), None)
        if whole is not None:
            return self._histograms(whole).finite()
        kept = self._dataset.kept
        found: Histograms | None = kept.get((self.cells.experiment, stage))
        if found is not None:
            return found
        later = self._expected[self._expected.index(stage) + 1 :] if stage in self._expected else ()
        wholes = {one.reached for one in self._expected}
        unknown = [s for s in later if s not in wholes and kept.get((self.cells.experiment, s)) is None]
        source = self._source("timed", "failed")
        together = [stage, *unknown][: source.most_at_once(self._rows)]
        read = source.read([s.sql() for s in together])
        for one, histograms in zip(reversed(together), reversed(read), strict=True):
            kept.put((self.cells.experiment, one), histograms)
        return read[0]

    def _source(self, *roles: Role) -> Source:
        where = f"{_MEASURED} AND {_ATTEMPTED}"
        trials = len(self.cells.memberships)
        return Source(self._dataset, self.cells.experiment, self.cells.table(*roles), trials, where)

    def firsts(self, stage: Stage) -> list[dict[str, Any]]:
        """The first values of every trial beside the others: cell, host, median first and rest, ns.

        The first are as many as the plan let begin at once. Only values that are finite and above 0
        count, and only trials with at least four times as many others.
        """
        if self.rounded:
            counted, source = self._histograms(stage), self._source("timed")
            return firsts_of_many(self.cells, source, stage.sql(), counted)
        sql = f"""
            WITH timed AS (
                SELECT m.cell, m.host, m.trial_id, i.instance, {stage.sql()} AS v,
                    greatest(coalesce(i.concurrency, 1), 1) AS at_once
                FROM instances i JOIN members m USING (trial_id)
                WHERE {_MEASURED} AND {_ATTEMPTED}
            ), placed AS (
                SELECT *, row_number() OVER (PARTITION BY trial_id ORDER BY instance) AS place
                FROM timed WHERE v > 0 AND isfinite(v)
            )
            SELECT cell, host, median(v) FILTER (WHERE place <= at_once) AS first,
                median(v) FILTER (WHERE place > at_once) AS rest
            FROM placed GROUP BY cell, host, trial_id
            HAVING count(*) FILTER (WHERE place > at_once) >= {OTHERS} * min(at_once)
            ORDER BY cell, host, trial_id
        """  # noqa: S608 - built of this module's own text
        members = self.cells.table("timed")
        return self._dataset.rows(sql, self._experiment, members=members)

    def counts(self) -> list[dict[str, Any]]:
        """Measured rows per cell, host, block and role, by how they ended, and the time they took.

        ``span_ns`` is the time from the first intent to the last ready, summed over trials; 0 for
        imported ones, whose instances each begin at their own zero.
        """
        return self._counts

    @cached_property
    def _counts(self) -> list[dict[str, Any]]:
        sql = f"""
            WITH ended AS (
                SELECT i.trial_id, i.outcome, i.error_class, count(*) AS n, count(i.t_ready) AS ready,
                    min(i.t_intent) AS first_ns, max(i.t_ready) AS last_ns
                FROM instances i WHERE {_MEASURED} GROUP BY ALL
            ), per_trial AS (
                SELECT m.cell, m.host, m.block, m.role, m.trial_id, sum(i.n) AS planned,
                    sum(i.n) FILTER ({_ATTEMPTED}) AS attempted,
                    sum(i.n) FILTER (i.outcome = 'ok') AS ok,
                    sum(i.ready) AS ready,
                    sum(i.n) FILTER (i.outcome = 'skipped') AS skipped,
                    sum(i.n) FILTER (i.outcome = 'lost') AS lost,
                    max(i.last_ns) - min(i.first_ns) AS span_ns
                FROM ended i JOIN members m USING (trial_id) GROUP BY ALL
            ), imported AS (SELECT trial_id FROM trials WHERE {MARK})
            SELECT cell, host, block, role, count(*) AS trials, {_SUMS},
                coalesce(sum(span_ns) FILTER (i.trial_id IS NULL), 0)::BIGINT AS span_ns
            FROM per_trial LEFT JOIN imported i USING (trial_id) GROUP BY ALL ORDER BY ALL
        """  # noqa: S608 - built of this module's own text
        members = self.cells.table("timed", "failed", "set aside")
        return self._dataset.rows(sql, self._experiment, members=members)

    def reasons(self) -> list[dict[str, Any]]:
        """Why measured instances did not end well, by cell, outcome and error class, with an example."""
        sql = f"""
            SELECT m.cell, i.outcome, coalesce(i.error_class, 'not said') AS error_class,
                count(*) AS instances, count(DISTINCT m.host) AS hosts,
                count(*) FILTER (WHERE m.role = 'set aside' OR NOT ({_ATTEMPTED})) AS not_counted,
                coalesce(min(left(i.error_text, 300)), '') AS example
            FROM instances i JOIN members m USING (trial_id)
            WHERE {_MEASURED} AND i.outcome <> 'ok'
            GROUP BY ALL ORDER BY cell, instances DESC, i.outcome, error_class
        """  # noqa: S608 - built of this module's own text
        members = self.cells.table("timed", "failed", "set aside")
        return self._dataset.rows(sql, self._experiment, members=members)
