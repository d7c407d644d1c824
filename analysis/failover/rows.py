"""Rows of the failover tables: each loss, each cell over its losses, and survival curves."""

import math
from typing import Any

import numpy as np

from analysis.cells import Cell
from analysis.failover.returns import DEADLINE_PARAM, Losses, Returns, is_back
from analysis.section import Field, interval_fields
from analysis.statistics.blocks import Floats
from analysis.statistics.proportions import Estimate, estimate_share
from analysis.statistics.resampling import mean_of_blocks
from analysis.statistics.survival import Bools, median_time, restricted_mean, survival_curve
from analysis.together import COUNT_FIELDS, FLEET_FIELDS, Measurement

SEED = 20_261_125
"""Fixes all bootstrap draws, so that one dataset gives one report."""
CURVE_POINTS = 200


CELL_FIELDS = (
    *FLEET_FIELDS,
    *COUNT_FIELDS,
    Field("instances", "Int64", "instances that had to return"),
    Field("back", "Int64", "of them, those that did by the deadline"),
    Field("unplaced", "Int64", "of the others, those for which no host had room"),
    *interval_fields("back_share{}", "back / instances; Wilson's interval at the effective n"),
    Field("deadline_ns", "Float64", "how long a return was waited for, ns"),
    *interval_fields("median{}_ns", "Kaplan–Meier median time to return, ns; inf: not reached"),
    *interval_fields("down{}_ns", "restricted mean: expected time away within the deadline, ns"),
    *interval_fields("last{}_ns", "last return of a loss from which all came back, mean, ns"),
    *interval_fields("capacity_left{}", "free places on all survivors afterwards, mean"),
    Field("false_alarms", "Int64", "hosts that were taken for lost before the loss"),
)
LOSS_FIELDS = (
    *FLEET_FIELDS,
    Field("block", "Int64", "block of the measurement"),
    Field("instances", "Int64", "instances that had to return"),
    Field("back", "Int64", "of them, those that did by the deadline"),
    Field("first_ns", "Float64", "first return, ns after the planned loss"),
    Field("last_ns", "Float64", "last return, ns; missing when not all came back"),
    Field("detect_ns", "Float64", "until the last survivor had noticed, ns"),
    Field("capacity_left", "Float64", "free places on all survivors afterwards"),
    Field("loss_ns", "Float64", "from the planned moment until the host was lost, ns"),
    Field("clock_error_ns", "Float64", "largest bound of the planned moment's error on a host, ns"),
    Field("false_alarms", "Float64", "hosts that were taken for lost before the loss"),
    Field("counted", "boolean", "whether the row enters the other tables"),
)
CURVE_FIELDS = (
    *(f for f in FLEET_FIELDS if f.name in ("variant", "conditions", "evidence")),
    Field("value_ns", "Float64", "time since the planned loss, ns"),
    Field("share", "Float64", "Kaplan–Meier share that had not returned by then"),
    Field("share_low", "Float64", "lower end of its pointwise 95 % log-log interval"),
    Field("share_high", "Float64", "upper end of it"),
    Field("at_risk", "Int64", "instances that were still waited for just before"),
)


def loss_rows(losses: Losses) -> list[dict[str, Any]]:
    """One row per loss, counted or not."""
    together = losses.together
    return [
        together.describe(one.cell)
        | {"evidence": one.evidence, "block": one.block, "cell": one.cell.index}
        | {"counted": together.counts(one)}
        | _loss(losses, one, number)
        for number, one in enumerate(together.all)
    ]


def _loss(losses: Losses, one: Measurement, number: int) -> dict[str, Any]:
    rows, costs = losses.rows.get(number, []), losses.costs.get(number, {})
    deadline = float(one.cell.conditions[DEADLINE_PARAM]) * 1e9
    back = [r["back_ns"] for r in rows if is_back(r, deadline)]
    noticed = [r["detect_ns"] for r in rows if r["detect_ns"] is not None]
    return {
        "instances": len(rows),
        "back": len(back),
        "first_ns": min(back, default=None),
        "last_ns": max(back) if back and len(back) == len(rows) else None,
        "detect_ns": max(noticed, default=None),
    } | {name: costs.get(name) for name in _COSTS}


_COSTS = ("capacity_left", "loss_ns", "clock_error_ns", "false_alarms")


def cell_rows(losses: Losses, of_losses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every cell over its losses."""
    together = losses.together
    return [
        together.describe(cell)
        | _returns(losses.of(cell), cell)
        | _means([r for r in of_losses if r["cell"] == cell.index and r["counted"]])
        for cell in together.cells.cells
        if together.evidence(cell) is not None
    ]


def _returns(some: Returns, cell: Cell) -> dict[str, Any]:
    rng = np.random.default_rng([SEED, cell.index])
    deadline = float(cell.conditions[DEADLINE_PARAM]) * 1e9
    life = some.lifetimes()
    sizes, hits = (_per_block(some, weights) for weights in (np.ones(some.n), some.back))
    share = estimate_share(hits, sizes, np.zeros(sizes.size))
    return {
        "instances": some.n,
        "back": int(some.back.sum()),
        "unplaced": int(some.unplaced.sum()),
        "deadline_ns": deadline,
        **_named("back_share{}", Estimate(share.value, share.low, share.high)),
        **_named("median{}_ns", median_time(life, rng)),
        **_named("down{}_ns", restricted_mean(life, deadline, rng)),
    }


def _per_block(some: Returns, weights: Floats | Bools) -> Floats:
    return np.bincount(some.block, weights=weights.astype(np.float64)).astype(np.float64)


def _means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"false_alarms": sum(r["false_alarms"] or 0 for r in rows)}
    for pattern in ("last{}_ns", "capacity_left{}"):
        known = [r[pattern.format("")] for r in rows]
        values = np.array([value for value in known if value is not None], dtype=np.float64)
        row |= _named(pattern, mean_of_blocks(values))
    return row


def _named(pattern: str, found: Estimate) -> dict[str, float | None]:
    ends = {"": found.value, "_low": found.low, "_high": found.high}
    lowest = {name: value if value is None else max(0.0, value) for name, value in ends.items()}
    return {pattern.format(name): value for name, value in lowest.items()}


def curve_rows(losses: Losses) -> list[dict[str, Any]]:
    """Points of every cell's survival curve: at most ``CURVE_POINTS``, and the last moment."""
    rows = []
    for cell in losses.together.cells.cells:
        some = losses.of(cell)
        if not some.n:
            continue
        curve, named = survival_curve(some.lifetimes()), losses.together.describe(cell)
        chosen = np.unique(np.linspace(0, curve.times.size - 1, CURVE_POINTS).round().astype(int))
        rows += [
            named
            | {"value_ns": float(curve.times[i]), "share": float(curve.share[i])}
            | {"share_low": _known(curve.low[i]), "share_high": _known(curve.high[i])}
            | {"at_risk": int(curve.at_risk[i])}
            for i in (chosen if curve.times.size else ())
        ]
        last = float(some.waited_ns.max())
        if not curve.times.size or last > curve.times[-1]:
            left = float(curve.share[-1]) if curve.times.size else 1.0
            waiting = int((some.waited_ns >= last).sum())
            rows.append(named | {"value_ns": last, "share": left, "at_risk": waiting})
    return rows


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
