"""density: what one instance more costs, how many a host held, and with how many the objective held."""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from analysis.cells import Cell, Cells
from analysis.density.rows import MEASURES, SEED, limit_rows, objective_ns
from analysis.density.rows import Measure as Grows
from analysis.density.staircases import Staircase, Staircases
from analysis.metrics.base import (
    Measure,
    Measured,
    Metric,
    Row,
    Unit,
    estimate_in,
    fleet_rows,
    plain_blocks,
    row_of,
)
from analysis.statistics.comparison import BlockKey
from analysis.statistics.proportions import Estimate
from analysis.statistics.resampling import mean_of_blocks
from analysis.statistics.slopes import slope_of
from analysis.statistics.trends import theil_sen
from analysis.tables.density import EXPERIMENT

__all__ = ["EXPERIMENT", "measures"]

_BY_REQUEST = "count"
"""The stop rule of a climb that reached what the campaign asked for: the host could hold more."""


def measures(cells: Cells) -> list[Measure]:
    """What can be asked of how many instances a host holds."""
    staircases = Staircases(cells)

    @cache
    def limits() -> Mapping[tuple[str, str], Row]:
        return fleet_rows(limit_rows(staircases))

    peak = Metric("peak", "most instances held at once", "count", "higher")
    knee = Metric("slo_n", "most instances that met the objective", "count", "higher")
    return [
        *(_slope(staircases, place, grows) for place, grows in enumerate(MEASURES)),
        Measure(peak, lambda cell: _peak(staircases, cell)),
        Measure(knee, lambda cell: _knee(staircases, limits(), cell)),
    ]


def _slope(staircases: Staircases, place: int, grows: Grows) -> Measure:
    unit: Unit = "cpus" if grows.unit == "cpus" else "bytes"

    def of(cell: Cell) -> Measured | None:
        some = staircases.of(cell)
        rng = np.random.default_rng([SEED, cell.index, place])
        slope = slope_of([s.climb(grows.name) for s in some], rng)
        if slope.each.value is None:
            return None
        values = _by_block(some, lambda s: _own_slope(s, grows.name))
        return Measured(slope.each, slope.blocks, plain_blocks(values))

    metric = Metric(grows.name, f"{grows.meaning}, per instance", unit, main=place == 0)
    return Measure(metric, of)


def _own_slope(staircase: Staircase, name: str) -> float | None:
    climb = staircase.climb(name)
    return theil_sen(climb.n, climb.value)


def _peak(staircases: Staircases, cell: Cell) -> Measured | None:
    some = staircases.of(cell)
    values = _by_block(some, lambda s: s.peak)
    if not values:
        return None
    by_request = sum(s.end == _BY_REQUEST for s in some)
    unsure = f"{by_request} climbs ended where the campaign asked to" if by_request else None
    mean = mean_of_blocks(np.array(list(values.values()), dtype=np.float64))
    grain = _grain(some, values)
    return Measured(mean, len(values), plain_blocks(values), grain=grain, unsure=unsure)


def _knee(staircases: Staircases, limits: Mapping[tuple[str, str], Row], cell: Cell) -> Measured | None:
    slo_ns, row = objective_ns(cell), row_of(staircases.cells, limits, cell)
    if slo_ns is None or row is None or row["slo_n"] is None:
        return None
    some = staircases.of(cell)
    reached = {s.trial_id: r for s in some if (r := s.reached(slo_ns)) is not None}
    values = _by_block(some, lambda s: reached[s.trial_id].n if s.trial_id in reached else None)
    open_ended = sum(r.at_least for r in reached.values())
    unsure = f"{open_ended} climbs ended before the objective was missed" if open_ended else None
    estimate = estimate_in(row, "slo_n{}")
    if row["slo_high_at_least"]:
        estimate = Estimate(estimate.value, estimate.low, None)
    return Measured(
        estimate, len(values), plain_blocks(values), grain=_grain(some, values), unsure=unsure
    )


def _grain(some: list[Staircase], values: Mapping[BlockKey, float]) -> float:
    """One step of the climb as a share of what was reached: within a step nobody looked."""
    steps = [float(np.diff(np.unique([step.n for step in s.ups])).max(initial=0.0)) for s in some]
    reached = float(np.mean(list(values.values()))) if values else 0.0
    return max(steps, default=0.0) / reached if reached > 0 else 0.0


def _by_block(
    some: list[Staircase], value: Callable[[Staircase], float | None]
) -> dict[BlockKey, float]:
    known = {(s.host, s.block): value(s) for s in some}
    return {key: float(found) for key, found in known.items() if found is not None}
