"""What a staircase was limited by, as far as one trial can tell. Pure; intervals are the analysis's.

The resource that would end first comes from straight lines through the steps (Theil-Sen: the median of
the slopes of all pairs, Sen 1968), which a few odd steps do not move.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Literal

from workers.experiments.stop_rules import Rails, RuleName, Stop
from workers.gauge import Gauge

Resource = Literal["memory", "cpu", "pids", "start", "slo", "none"]

_OF_RULE: dict[RuleName, Resource] = {
    "memory_floor": "memory",
    "memory_pressure": "memory",
    "swap": "memory",
    "start_failures": "start",
    "slo": "slo",
    "pids": "pids",
}
_ENDS_OF_THE_HOST = frozenset[RuleName]({"slo", "memory_pressure", "swap", "start_failures"})


@dataclass(frozen=True, slots=True)
class Level:
    """One step up: medians over its window."""

    instances: int
    mem_used_bytes: float
    cpus_busy: float
    tasks: float


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Median slope of all pairs of points with different x; None when there is no such pair."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if a[0] != b[0]]
    return median(slopes) if slopes else None


def room(levels: Sequence[Level], gauge: Gauge, rails: Rails) -> dict[str, int]:
    """How many instances each resource would carry by its own line, for those whose use grows."""
    ends = {
        "memory": ([lv.mem_used_bytes for lv in levels], gauge.mem_total_bytes - rails.floor_bytes),
        "cpu": ([lv.cpus_busy for lv in levels], gauge.cpu_count),
        "pids": ([lv.tasks for lv in levels], gauge.pids_max - rails.pids_reserve),
    }
    found = {}
    for name, (used, end) in ends.items():
        rise = slope([(level.instances, use) for level, use in zip(levels, used, strict=True)])
        if rise is not None and rise > 0:
            base = median(use - rise * lv.instances for lv, use in zip(levels, used, strict=True))
            found[name] = max(0, int((end - base) / rise))
    return found


def limiting(stop: Stop, carried: dict[str, int]) -> str:
    """The resource whose rule ended the staircase; else the one that would end first; else none."""
    if stop.rule in _OF_RULE:
        return _OF_RULE[stop.rule]
    return min(carried, key=lambda name: carried[name], default="none")


def knee(stop: Stop) -> Literal["reached", "censored"]:
    """Whether the host itself showed its end, or a guard rail ended the climb before it did."""
    return "reached" if stop.rule in _ENDS_OF_THE_HOST else "censored"
