"""Rows of the density tables: what one instance more costs, and where every staircase ended."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.cells import Cell
from analysis.density.staircases import SLO_PARAM, Staircase, Staircases, Step
from analysis.latency import SCOPE_FIELDS, describe, scopes
from analysis.scopes import FLEET, Scope
from analysis.section import Field
from analysis.statistics.knees import Limit, Reached, knee_of, latency_knee_of, limit_of
from analysis.statistics.resampling import mean_of_blocks
from analysis.statistics.slopes import slope_of

SEED = 20_261_125
"""Fixes all bootstrap draws, so that one dataset gives one report."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that grows with the number of instances."""

    name: str
    unit: str
    meaning: str


MEMORY = Measure("mem_used", "bytes", "host's memory: MemTotal less MemAvailable")
MEASURES = (
    MEMORY,
    Measure("pss", "bytes", "PSS of all processes of the host"),
    Measure("instances_pss", "bytes", "PSS of the instances' own processes"),
    Measure("instances_cgroup", "bytes", "what the instances' control groups are charged with"),
    Measure("cpu_busy", "cpus", "processors in use on the host"),
)
BENDING = (
    MEMORY,
    Measure("probe_p50", "ns", "median of the probes"),
    Measure("probe_p99", "ns", "99th percentile of the probes"),
)

SLOPE_FIELDS = (
    *SCOPE_FIELDS,
    Field("measure", "string", "what grows: " + "; ".join(f"{m.name}: {m.meaning}" for m in MEASURES)),
    Field("unit", "string", "unit of the slope, per instance, and of base and intercept"),
    Field("slope", "Float64", "Theil–Sen slope over steps of the same staircase, per instance"),
    Field("slope_low", "Float64", "lower end of its 95 % interval over staircases"),
    Field("slope_high", "Float64", "upper end of it"),
    Field("base", "Float64", "on the empty host before the climb, median over staircases"),
    Field("intercept", "Float64", "where the line meets no instance"),
    Field("staircases", "Int64", "staircases behind the slope"),
    Field("points", "Int64", "steps behind it"),
)
KNEE_FIELDS = (
    *SCOPE_FIELDS,
    Field("measure", "string", "what may bend: " + "; ".join(f"{m.name}: {m.meaning}" for m in BENDING)),
    Field("found", "boolean", "two lines that meet fit better than one by a BIC margin of 6"),
    Field("bic_gain", "Float64", "by how much they improve the BIC; missing with fewer than 6 steps"),
    Field("knee", "Float64", "instances at the bend"),
    Field("knee_low", "Float64", "lower end of its 95 % interval over staircases"),
    Field("knee_high", "Float64", "upper end of it"),
    Field("below", "Float64", "slope before it, per instance: bytes, or share of mean latency"),
    Field("above", "Float64", "slope after it"),
)
LIMIT_FIELDS = (
    *SCOPE_FIELDS,
    Field("staircases", "Int64", "believed staircases"),
    Field("not_counted", "Int64", "staircases of trials that failed or are set aside"),
    Field("peak_least", "Int64", "most instances held at once, in the lowest staircase"),
    Field("peak", "Int64", "the same in the median staircase"),
    Field("peak_most", "Int64", "the same in the highest staircase"),
    Field("stop_rules", "string", "which rules ended the climbs and how many of them, JSON"),
    Field("limiting", "string", "which resources the experiment named and how often, JSON"),
    Field("knee", "string", "in how many climbs the host itself showed its end, JSON"),
    Field("slo_ns", "Float64", "the objective for p99 of the probes, ns; missing: there was none"),
    Field("slo_n", "Float64", "most instances that met it, median over staircases"),
    Field("slo_n_low", "Float64", "lower end of its 95 % interval over staircases"),
    Field("slo_n_high", "Float64", "upper end of it"),
    Field("slo_at_least", "boolean", "the climb ended first: it could have been more"),
    Field("slo_high_at_least", "boolean", "the same for the upper end of the interval"),
    Field("slo_missed_below", "Int64", "steps that missed it though a higher one met it"),
    Field("deaths", "Int64", "instances that ended by themselves while they were held"),
    Field("unsettled_steps", "Int64", "steps that were sampled before the host had come to rest"),
    Field("hidden_processes", "Int64", "processes that PSS of all lacks, at most in a staircase"),
    Field("room_bytes", "Float64", "memory between the empty host and the floor under it, median"),
    Field("left_bytes", "Float64", "host memory after the descent less that before the climb, mean"),
    Field("left_bytes_low", "Float64", "lower end of its 95 % interval over staircases"),
    Field("left_bytes_high", "Float64", "upper end of it"),
)
STEP_FIELDS = (
    Field("variant", "string", "driver, and profile where it is not the default"),
    Field("conditions", "string", "what tells the cell from others of its variant"),
    Field("evidence", "string", "verdicts of the trials that the cell's numbers rest on"),
    Field("host", "string", "host name"),
    Field("block", "Int64", "block on that host"),
    Field("counted", "boolean", "the trial is believed"),
    Field("step", "Int64", "step of the staircase; 0 is the empty host"),
    Field("direction", "string", "up or down"),
    Field("instances", "Float64", "instances that ran"),
    Field("mem_used_bytes", "Float64", "MemTotal less MemAvailable, median"),
    Field("pss_bytes", "Float64", "PSS of all processes, median"),
    Field("instances_pss_bytes", "Float64", "PSS of the instances' processes, median"),
    Field("instances_cgroup_bytes", "Float64", "charged to the instances' control groups, median"),
    Field("cpu_busy", "Float64", "processors in use, median"),
    Field("settle_ns", "Float64", "how long the host took to come to rest, ns"),
    Field("psi_memory_full", "Float64", "time in which all tasks waited for memory, percent"),
    Field("psi_memory_some", "Float64", "time in which some task waited for memory, percent"),
    Field("psi_cpu_some", "Float64", "time in which some task waited for a processor, percent"),
    Field("swap_in", "Float64", "read back from swap, bytes per second"),
    Field("asked", "Float64", "instances that the step asked for"),
    Field("start_failures", "Float64", "of them, those that did not become ready"),
    Field("probes", "Int64", "probes that were planned"),
    Field("lost", "Int64", "of them, those without an answer"),
    Field("p50_ns", "Float64", "median of the probes, lost ones infinite, ns"),
    Field("p99_ns", "Float64", "99th percentile, lost ones infinite, ns"),
)


def slope_rows(staircases: Staircases) -> list[dict[str, Any]]:
    """What one instance more costs by every measure, in every scope."""
    found = []
    for cell, scope, some in _scoped(staircases):
        for place, measure in enumerate(MEASURES):
            rng = np.random.default_rng([SEED, cell.index, place])
            slope = slope_of([s.climb(measure.name) for s in some], rng)
            if slope.each.value is None:
                continue
            bases = [base for s in some if (base := s.base(measure.name)) is not None]
            found.append(
                describe(staircases.cells, cell, scope)
                | {"measure": measure.name, "unit": measure.unit, "slope": slope.each.value}
                | {"slope_low": slope.each.low, "slope_high": slope.each.high}
                | {"base": float(np.median(bases)) if bases else None, "intercept": slope.intercept}
                | {"staircases": slope.blocks, "points": slope.points}
            )
    return found


def knee_rows(staircases: Staircases) -> list[dict[str, Any]]:
    """Whether memory and latency bend, and where, in every scope."""
    found = []
    for cell, scope, some in _scoped(staircases):
        for place, measure in enumerate(BENDING):
            rng = np.random.default_rng([SEED + 1, cell.index, place])
            climbs = [s.climb(measure.name) for s in some]
            usable = [c for c in climbs if c.n.size and np.isfinite(c.value).all()]
            if measure.unit == "ns":
                knee = latency_knee_of([c for c in usable if (c.value > 0).all()], rng)
            else:
                knee = knee_of(usable, rng)
            if knee.below is None:
                continue
            found.append(
                describe(staircases.cells, cell, scope)
                | {"measure": measure.name, "found": knee.found, "bic_gain": knee.gain}
                | {"knee": knee.at.value, "knee_low": knee.at.low, "knee_high": knee.at.high}
                | {"below": knee.below, "above": knee.above}
            )
    return found


def limit_rows(staircases: Staircases) -> list[dict[str, Any]]:
    """Where the staircases of every cell ended and why, in every scope."""
    cells = staircases.cells
    return [
        describe(cells, cell, scope) | _limits(staircases, cell, scope)
        for cell in cells.cells
        for scope in scopes(cells, cell)
    ]


def _limits(staircases: Staircases, cell: Cell, scope: Scope) -> dict[str, Any]:
    some = staircases.of(cell, scope)
    every = [s for s in staircases.all if s.cell == cell.index and scope.has(s.host)]
    peaks = sorted(s.peak for s in some if s.peak is not None)
    slo_ns = objective_ns(cell)
    reached = [r for s in some if slo_ns is not None and (r := s.reached(slo_ns)) is not None]
    left = [b for s in some if (b := s.left_behind("mem_used")) is not None]
    after = mean_of_blocks(np.array(left, dtype=np.float64))
    return {
        "staircases": len(some),
        "not_counted": len(every) - len(some),
        "peak_least": peaks[0] if peaks else None,
        "peak": peaks[(len(peaks) - 1) // 2] if peaks else None,
        "peak_most": peaks[-1] if peaks else None,
        "stop_rules": _counted([s.end for s in some]),
        "limiting": _counted([s.found.get("limiting") for s in some]),
        "knee": _counted([s.found.get("knee") for s in some]),
        "slo_ns": slo_ns,
        **_slo(limit_of(reached)),
        "slo_missed_below": sum(s.missed_below(slo_ns) for s in some) if slo_ns else None,
        "deaths": int(sum(s.said("deaths") or 0 for s in some)),
        "unsettled_steps": int(sum(s.said("unsettled_steps") or 0 for s in some)),
        "hidden_processes": int(max((s.said("hidden_processes") or 0 for s in some), default=0)),
        "room_bytes": _room(some),
        "left_bytes": after.value,
        "left_bytes_low": after.low,
        "left_bytes_high": after.high,
    }


def _room(some: Sequence[Staircase]) -> float | None:
    """What instances could take before the host's memory meets its floor."""
    rooms = [room for s in some if (room := s.room_bytes) is not None]
    return float(np.median(rooms)) if rooms else None


def _slo(limit: Limit) -> dict[str, Any]:
    def of(reached: Reached | None) -> tuple[float | None, bool | None]:
        return (None, None) if reached is None else (reached.n, reached.at_least)

    (value, more), (low, _), (high, high_more) = of(limit.value), of(limit.low), of(limit.high)
    numbers = {"slo_n": value, "slo_n_low": low, "slo_n_high": high}
    return numbers | {"slo_at_least": more, "slo_high_at_least": high_more}


def objective_ns(cell: Cell) -> float | None:
    """The cell's objective for p99 of the probes, ns; None when the campaign set none."""
    wanted = cell.conditions.get(SLO_PARAM)
    return wanted * 1e6 if isinstance(wanted, int | float) and math.isfinite(wanted) else None


def step_rows(staircases: Staircases) -> list[dict[str, Any]]:
    """Every step of every staircase."""
    cells = staircases.cells
    return [
        {
            "variant": cells.cells[s.cell].variant,
            "conditions": cells.condition(cells.cells[s.cell]),
            "evidence": cells.evidence.get((s.cell, FLEET)),
            "host": cells.hosts[s.host],
            "block": s.block,
            "counted": s.role == "timed" and cells.in_fleet(s.cell, s.host),
        }
        | _step(step)
        for s in staircases.all
        for step in s.steps
    ]


def _step(step: Step) -> dict[str, Any]:
    values = step.values
    named = {f"{m}_bytes": values.get(m) for m in ("mem_used", "pss", "instances_pss")}
    plain = ("psi_memory_full", "psi_memory_some", "psi_cpu_some", "swap_in", "asked", "start_failures")
    return (
        {"step": step.number, "direction": "up" if step.up else "down", "instances": step.n}
        | named
        | {"instances_cgroup_bytes": values.get("instances_cgroup")}
        | {"cpu_busy": values.get("cpu_busy"), "settle_ns": values.get("settle")}
        | {name: values.get(name) for name in plain}
        | {"probes": step.probes, "lost": step.lost, "p50_ns": step.p50_ns, "p99_ns": step.p99_ns}
    )


def _scoped(staircases: Staircases) -> list[tuple[Cell, Scope, Sequence[Staircase]]]:
    cells = staircases.cells
    return [
        (cell, scope, staircases.of(cell, scope))
        for cell in cells.cells
        for scope in scopes(cells, cell)
    ]


def _counted(words: Sequence[str | None]) -> str:
    """How often each word was said, the most frequent first, JSON."""
    said = Counter("not said" if word is None else str(word) for word in words)
    return json.dumps(dict(sorted(said.items(), key=lambda item: (-item[1], item[0]))))
