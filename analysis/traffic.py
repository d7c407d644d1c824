"""What came and went in trials of churn: throughput, growth of the backlog, leaks, by trial and cell."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.cells import Cells
from analysis.portions import Portions
from analysis.scopes import Scope
from analysis.statistics.blocks import Floats
from analysis.statistics.trends import theil_sen

STEADY_FROM = 0.25
"""Share of the arrivals' time after which growth is looked at: before it, the host fills up."""
FEWEST_POINTS = 5
"""Of a line in time, for its slope to be worth anything."""

SERIES = ("arrived", "backlog", "in_flight", "readied", "removed", "shed")


@dataclass(frozen=True)
class Traffic:
    """One trial. Times in seconds since its arrivals began."""

    cell: int
    host: int
    block: int
    rate_per_s: float
    duration_s: float
    hold_s: float
    seconds: Floats
    series: dict[str, Floats]
    """What was counted, at each of ``seconds``."""
    leaked: dict[str, float] = field(default_factory=dict)

    def total(self, name: str) -> float:
        """What a running count comes to in the end."""
        return float(self.series[name][-1]) if self.seconds.size else 0.0

    def at_end(self, name: str) -> float | None:
        """A count when the last arrival was due."""
        place = self._place(self.duration_s)
        return None if place is None else float(self.series[name][place])

    def passed(self, name: str) -> tuple[float, float]:
        """By how much a running count grew in the steady part, and the seconds that this took."""
        first, last = self._place(self.steady_s), self._place(self.duration_s)
        if first is None or last is None or last <= first:
            return 0.0, 0.0
        grown = self.series[name][last] - self.series[name][first]
        return float(grown), float(self.seconds[last] - self.seconds[first])

    def steady(self, name: str) -> tuple[Floats, Floats] | None:
        """A count over the steady part, until arrivals ended or were turned away.

        None when too little of it is there to have a slope.
        """
        shed = np.flatnonzero(self.series["shed"] > 0)
        end_s = float(self.seconds[shed[0]]) if shed.size else self.duration_s
        start_s = max(STEADY_FROM * end_s, self.hold_s)
        chosen = (self.seconds >= start_s) & (self.seconds <= end_s)
        if int(chosen.sum()) < FEWEST_POINTS:
            return None
        return self.seconds[chosen], self.series[name][chosen]

    @cached_property
    def growth(self) -> dict[str, float | None]:
        """By how much counts grow in a second of the steady part; None where too little is known."""
        lines = {name: self.steady(name) for name in ("backlog", "in_flight")}
        return {name: None if line is None else theil_sen(*line) for name, line in lines.items()}

    @property
    def steady_s(self) -> float:
        """When the steady part begins: not before the first ones may have gone again."""
        return min(max(STEADY_FROM * self.duration_s, self.hold_s), self.duration_s)

    def _place(self, second: float) -> int | None:
        """The last observation until then."""
        place = int(np.searchsorted(self.seconds, second + 1e-9, side="right")) - 1
        return place if place >= 0 else None


class TrafficReduction:
    """All trials of churn in a dataset that count."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells

    @cached_property
    def trials(self) -> list[Traffic]:
        """Every trial that has been observed, in the order of cell, host and block."""
        params = {t["trial_id"]: json.loads(t["params"]) for t in self.cells.trials}
        leaks = self._leaks()
        found = []
        for trial_id, (cell, host, block), seconds, series in self._observed():
            asked = params[trial_id]
            found.append(
                Traffic(
                    cell,
                    host,
                    block,
                    float(asked["rate_per_s"]),
                    float(asked["duration_s"]),
                    float(asked["hold_s"]),
                    seconds,
                    series,
                    leaks.get(trial_id, {}),
                )
            )
        return sorted(found, key=lambda trial: (trial.cell, trial.host, trial.block))

    def of(self, cell: int, scope: Scope) -> list[Traffic]:
        """Trials of a cell in a scope."""
        counts = self.cells.counting(cell, scope)
        return [t for t in self._of_cell[cell] if counts[t.host]]

    @cached_property
    def _of_cell(self) -> dict[int, list[Traffic]]:
        found: dict[int, list[Traffic]] = defaultdict(list)
        for trial in self.trials:
            found[trial.cell].append(trial)
        return found

    def _observed(self) -> Iterator[tuple[str, tuple[int, int, int], Floats, dict[str, Floats]]]:
        columns = ", ".join(
            f"max(s.value) FILTER (WHERE s.metric = 'churn.{name}') AS {name}" for name in SERIES
        )
        counted = """
            s.experiment = $experiment AND s.metric LIKE 'churn.%'
                AND s.metric NOT LIKE 'churn.leaked%'
        """
        sql = f"""
            SELECT m.trial, s.t_ns, {columns}
            FROM samples s JOIN members m USING (trial_id)
            WHERE {counted} AND list_contains($hosts, s.host)
            GROUP BY ALL HAVING count(*) FILTER (WHERE s.metric = 'churn.backlog') > 0
            ORDER BY m.trial, s.t_ns
        """  # noqa: S608 - built of this module's own text
        members = self.cells.table("timed", "failed")
        for part in Portions(self.cells, members, f"samples s WHERE {counted}").read(sql):
            bounds = np.flatnonzero(np.diff(part["trial"], prepend=-1, append=-1))
            for begin, end in pairwise(bounds.tolist()):
                member = self.cells.memberships[part["trial"][begin]]
                t_ns = part["t_ns"][begin:end]
                series = {name: part[name][begin:end].astype(np.float64) for name in SERIES}
                key = member.cell, member.host, member.block
                yield member.trial_id, key, (t_ns - t_ns[0]) / 1e9, series

    def _leaks(self) -> dict[str, dict[str, float]]:
        sql = """
            SELECT m.trial_id, replace(s.metric, 'churn.leaked_', '') AS kind, s.value
            FROM samples s JOIN members m USING (trial_id)
            WHERE s.experiment = $experiment AND s.metric LIKE 'churn.leaked_%' AND s.value IS NOT NULL
        """
        found: dict[str, dict[str, float]] = defaultdict(dict)
        for row in self._ask(sql).to_pylist():
            found[row["trial_id"]][row["kind"]] = row["value"]
        return found

    def _ask(self, sql: str) -> pa.Table:
        members = self.cells.table("timed", "failed")
        return self.cells.dataset.query(sql, {"experiment": self.cells.experiment}, members=members)


def mean_lines(trials: Sequence[Traffic], most_points: int) -> list[dict[str, Any]]:
    """Backlog and instances in flight over time, averaged over trials that were observed then."""
    longest = max((float(t.seconds[-1]) for t in trials if t.seconds.size), default=0.0)
    found = []
    for second in np.unique(np.linspace(0, longest, most_points).round()):
        there = [t for t in trials if t.seconds.size and t.seconds[-1] + 1 >= second]
        places = [min(int(np.searchsorted(t.seconds, second)), t.seconds.size - 1) for t in there]
        row: dict[str, Any] = {"second": float(second), "trials": len(there)}
        for name in ("backlog", "in_flight"):
            values = [float(t.series[name][p]) for t, p in zip(there, places, strict=True)]
            row[name] = float(np.mean(values))
            row[f"{name}_least"], row[f"{name}_most"] = min(values), max(values)
        found.append(row)
    return found
