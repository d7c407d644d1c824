"""Staircases of the density experiment: what was observed at every step of every trial."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from analysis.cells import Cell, Cells, Role
from analysis.portions import Portions
from analysis.scopes import FLEET, Scope
from analysis.statistics.knees import Reached
from analysis.statistics.slopes import Climb

SLO_PARAM = "slo_p99_ms"
"""Parameter of the experiment that holds the objective: p99 of the probes, milliseconds."""
SLO_SUCCESS = 0.999
"""Share of the probes that must be answered for the objective to be met."""


@dataclass(frozen=True)
class Step:
    """One step: medians over its window. What was not observed is not in ``values``."""

    number: int
    n: float
    """Instances that ran."""
    up: bool
    values: Mapping[str, float]
    """By metric, without the prefix ``density.``."""
    probes: int = 0
    lost: int = 0
    p50_ns: float | None = None
    """Quantiles of the probes, those that were lost infinite."""
    p99_ns: float | None = None

    def value(self, measure: str) -> float | None:
        """What was observed of a measure; the probes' quantiles are measures too."""
        if measure in ("probe_p50", "probe_p99"):
            found = self.p50_ns if measure == "probe_p50" else self.p99_ns
            return None if found is None or np.isinf(found) else found
        return self.values.get(measure)

    def meets(self, slo_ns: float) -> bool | None:
        """Whether the objective was met; None without probes."""
        if not self.probes or self.p99_ns is None:
            return None
        return self.p99_ns <= slo_ns and 1 - self.lost / self.probes >= SLO_SUCCESS


@dataclass(frozen=True)
class Staircase:
    """One trial."""

    trial_id: str
    cell: int
    host: int
    block: int
    role: Role
    found: Mapping[str, Any] = field(default_factory=dict)
    """What the experiment itself found: stop rule, limiting resource."""
    mem_total: float | None = None
    steps: tuple[Step, ...] = ()

    @cached_property
    def ups(self) -> tuple[Step, ...]:
        """Steps on the way up, the empty host first."""
        return tuple(step for step in self.steps if step.up)

    @property
    def peak(self) -> int | None:
        """Most instances that were held at once."""
        held = [int(step.n) for step in self.steps]
        said = self.said("peak_instances")
        return max([*held, *([] if said is None else [int(said)])], default=None)

    def said(self, name: str) -> float | None:
        """A number that the experiment found; None when it did not say."""
        found = self.found.get(name)
        return float(found) if isinstance(found, int | float) else None

    @property
    def room_bytes(self) -> float | None:
        """What instances could take before the host's memory meets the floor under it."""
        floor, base = self.said("memory_floor_bytes"), self.base("mem_used")
        if self.mem_total is None or floor is None or base is None:
            return None
        return self.mem_total - floor - base

    @property
    def end(self) -> str | None:
        """Name of the rule that ended the climb."""
        said = self.found.get("stop_rule")
        return None if said is None else str(said)

    def base(self, measure: str) -> float | None:
        """What was observed on the empty host, before the climb."""
        return next((s.value(measure) for s in self.ups if s.n == 0), None)

    def left_behind(self, measure: str) -> float | None:
        """What the empty host held more after the descent than before the climb; None without one."""
        after = next((s.value(measure) for s in reversed(self.steps) if not s.up and s.n == 0), None)
        before = self.base(measure)
        return None if after is None or before is None else after - before

    def climb(self, measure: str, scaled: Callable[[Any], Any] = np.asarray) -> Climb:
        """The way up in one measure, steps without it left out."""
        points = [(step.n, step.value(measure)) for step in self.ups]
        known = [(n, value) for n, value in points if value is not None]
        n = np.array([n for n, _ in known], dtype=np.float64)
        return Climb(n, scaled(np.array([value for _, value in known], dtype=np.float64)))

    def reached(self, slo_ns: float) -> Reached | None:
        """The most instances with which the objective was met, and whether it could have been more."""
        judged = [(step.n, step.meets(slo_ns)) for step in self.ups if step.n]
        known = [(n, met) for n, met in judged if met is not None]
        if not known:
            return None
        most = max((n for n, met in known if met), default=0.0)
        return Reached(most, most == max(n for n, _ in known))

    def missed_below(self, slo_ns: float) -> int:
        """Steps that missed the objective though a higher one met it: a sign of noise."""
        most = self.reached(slo_ns)
        return sum(s.meets(slo_ns) is False for s in self.ups if most is not None and s.n < most.n)


class Staircases:
    """All staircases of a dataset."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        members = {m.trial_id: m for m in cells.memberships}
        steps, found = self._steps(), self._found()
        self.all = [
            Staircase(
                m.trial_id, m.cell, m.host, m.block, m.role, *found.get(m.trial_id, ({}, None)),
                steps=tuple(steps.get(m.trial_id, ())),
            )
            for m in members.values()
        ]  # fmt: skip

    def of(self, cell: Cell, scope: Scope = FLEET) -> list[Staircase]:
        """Believed staircases of a cell in a scope."""
        counts = self.cells.counting(cell.index, scope)
        return [s for s in self.all if s.cell == cell.index and s.role == "timed" and counts[s.host]]

    def _steps(self) -> dict[str, list[Step]]:
        values: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
        portions = Portions(self.cells, self.cells.table(*_ROLES), _ROWS)
        for row in portions.rows(_VALUES):
            values[row["trial_id"], row["step"]][row["metric"].removeprefix("density.")] = row["value"]
        probed = {(row.pop("trial_id"), row.pop("step")): row for row in portions.rows(_PROBES)}
        steps: dict[str, list[Step]] = defaultdict(list)
        for (trial_id, number), found in sorted(values.items()):
            if (n := found.pop("instances", None)) is not None:
                up = found.pop("direction", 1.0) >= 0
                steps[trial_id].append(Step(number, n, up, found, **probed.get((trial_id, number), {})))
        return steps

    def _found(self) -> dict[str, tuple[Mapping[str, Any], float | None]]:
        """What each trial's experiment said of itself, and its host's memory, bytes."""
        sql = "SELECT trial_id, facts FROM trials WHERE experiment = $experiment"
        rows = self.cells.dataset.rows(sql, {"experiment": self.cells.experiment})
        return {row["trial_id"]: _found_in(row["facts"]) for row in rows}


def _found_in(text: str) -> tuple[Mapping[str, Any], float | None]:
    try:
        facts = json.loads(text)
    except ValueError:
        return {}, None
    findings = facts.get("findings") if isinstance(facts, dict) else None
    found = findings.get("density") if isinstance(findings, dict) else None
    total = facts.get("mem_bytes") if isinstance(facts, dict) else None
    known = float(total) if isinstance(total, int | float) else None
    return (found if isinstance(found, dict) else {}), known


_ROLES: tuple[Role, ...] = ("timed", "failed", "set aside")
_ROWS = "samples WHERE experiment = $experiment AND step IS NOT NULL"
_VALUES = """
    SELECT trial_id, step, metric, median(value) AS value
    FROM samples
    WHERE experiment = $experiment AND list_contains($hosts, host)
        AND trial_id IN (SELECT trial_id FROM members)
        AND step IS NOT NULL AND value IS NOT NULL
        AND starts_with(metric, 'density.') AND metric <> 'density.probe'
    GROUP BY ALL ORDER BY ALL
"""
_PROBES = """
    WITH probes AS (
        SELECT trial_id, step, value, coalesce(value, 'infinity'::DOUBLE) AS ns
        FROM samples
        WHERE experiment = $experiment AND list_contains($hosts, host)
            AND trial_id IN (SELECT trial_id FROM members)
            AND step IS NOT NULL AND metric = 'density.probe'
    )
    SELECT trial_id, step, count(*) AS probes, count(*) - count(value) AS lost,
        quantile_disc(ns, 0.5) AS p50_ns, quantile_disc(ns, 0.99) AS p99_ns
    FROM probes GROUP BY ALL ORDER BY ALL
"""
