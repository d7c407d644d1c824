"""Rows of the recovery tables: how many came back, how fast, at what cost."""

import math
from typing import Any

import numpy as np

from analysis.cells import Cell, Cells, condition_words
from analysis.latency import SCOPE_FIELDS, describe, scopes
from analysis.recovery.injections import AllInjections, Injections, deadline_ns
from analysis.scopes import FLEET, Scope
from analysis.section import Field
from analysis.statistics.proportions import Estimate, estimate_share
from analysis.statistics.quantiles import QuantileEstimate, estimate_quantile
from analysis.statistics.survival import median_time, restricted_mean, survival_curve

SEED = 20_261_126
"""Fixes all bootstrap draws, so that one dataset gives one report."""
CURVE_POINTS = 200

TREATMENT_FIELDS = (
    Field("fault", "string", "what was done to the instances"),
    Field("supervision", "string", "who was to bring them back"),
    Field("beside", "string", "conditions besides these two that tell the cell from others"),
)
OUTCOME_FIELDS = (
    *SCOPE_FIELDS,
    *TREATMENT_FIELDS,
    Field("trials", "Int64", "trials behind the row"),
    Field("blocks", "Int64", "blocks behind the row, over all hosts"),
    Field("injections", "Int64", "faults that were injected"),
    Field("recovered", "Int64", "of them, those that recovered within the deadline"),
    Field("censored", "Int64", "of them, those that had not when nobody waited any longer"),
    Field("cut_short", "Int64", "of the censored, those that were not watched until the deadline"),
    Field("failed", "Int64", "of the censored, those that an error ended, not the deadline"),
    Field("unrecovered_share", "Float64", "censored / injections"),
    Field(
        "unrecovered_share_low", "Float64", "lower end of its 95 % Wilson interval at the effective n"
    ),
    Field("unrecovered_share_high", "Float64", "upper end of it"),
    Field("deadline_ns", "Float64", "how long recovery was waited for, ns"),
    Field("median_ns", "Float64", "Kaplan–Meier median time to recover, ns; inf: not reached"),
    Field("median_low_ns", "Float64", "lower end of its 95 % interval, ns"),
    Field("median_high_ns", "Float64", "upper end of it, ns"),
    Field("down_ns", "Float64", "restricted mean: expected time until recovery within the deadline, ns"),
    Field("down_low_ns", "Float64", "lower end of its 95 % interval over blocks, ns"),
    Field("down_high_ns", "Float64", "upper end of it, ns"),
    Field("outage_ns", "Float64", "probes without a good reply times their period, median, ns"),
    Field("outage_low_ns", "Float64", "lower end of its 95 % interval, ns"),
    Field("outage_high_ns", "Float64", "upper end of it, ns"),
    Field("lost_requests", "Float64", "probes without a good reply, median"),
    Field("died", "Int64", "injections after which the victim's process died"),
    Field("not_injected", "Int64", "planned injections that never happened"),
    Field("set_aside", "Int64", "injections in trials that are not believed"),
)
CURVE_FIELDS = (
    *(f for f in SCOPE_FIELDS if f.name in ("variant", "conditions", "evidence")),
    *TREATMENT_FIELDS,
    Field("value_ns", "Float64", "time since the fault, ns"),
    Field("share", "Float64", "Kaplan–Meier share that had not recovered by then"),
    Field("share_low", "Float64", "lower end of its pointwise 95 % log-log interval"),
    Field("share_high", "Float64", "upper end of it"),
    Field("at_risk", "Int64", "injections that were still waited for just before"),
)


def outcome_rows(found: AllInjections) -> list[dict[str, Any]]:
    """How many came back and how fast in every cell, in every scope."""
    cells = found.cells
    return [
        describe(cells, cell, scope) | treatment(cells, cell) | _outcomes(found, cell, scope)
        for cell in cells.cells
        for scope in scopes(cells, cell)
    ]


def treatment(cells: Cells, cell: Cell) -> dict[str, str]:
    """Fault and supervision of a cell: conditions that every number is shown with."""
    names = "fault", "supervision"
    others = {name: cell.conditions.get(name) for name in cells.varying if name not in names}
    given = {name: str(cell.conditions.get(name, "not said")) for name in names}
    return given | {"beside": condition_words(others) or "same for all"}


def _outcomes(found: AllInjections, cell: Cell, scope: Scope) -> dict[str, Any]:
    some = found.of(cell, scope)
    rng = np.random.default_rng([SEED, cell.index])
    life, deadline = some.lifetimes(), deadline_ns(cell)
    median = median_time(life, rng)
    down = restricted_mean(life, _horizon(some, deadline), rng)
    share = estimate_share(*some.unrecovered())
    outage = estimate_quantile(some.outage.sample(), 0.5)
    return {
        "trials": _trials(found, cell, scope),
        "blocks": life.blocks,
        "injections": some.n,
        "recovered": some.number(some.recovered),
        "censored": some.number(~some.recovered),
        "cut_short": some.number(some.cut_short),
        "failed": some.number(some.failed),
        **_ends("unrecovered_share{}", share),
        "deadline_ns": deadline if math.isfinite(deadline) else None,
        **_ends("median{}_ns", median),
        **_ends("down{}_ns", down),
        **_ends("outage{}_ns", outage),
        "lost_requests": some.lost_requests.median(),
        "died": some.number(some.died),
        **found.others(cell, scope),
    }


def _ends(pattern: str, found: Estimate | QuantileEstimate) -> dict[str, float | None]:
    ends = {"": found.value, "_low": found.low, "_high": found.high}
    return {pattern.format(end): value for end, value in ends.items()}


def _trials(found: AllInjections, cell: Cell, scope: Scope) -> int:
    counts = found.cells.counting(cell.index, scope)
    return sum(
        m.cell == cell.index and m.role != "set aside" and bool(counts[m.host])
        for m in found.cells.memberships
    )


def _horizon(some: Injections, deadline: float) -> float:
    """The deadline; without one the longest time that anything was watched."""
    return deadline if math.isfinite(deadline) else some.longest_ns


def curve_rows(found: AllInjections) -> list[dict[str, Any]]:
    """Points of the survival curve of every cell: at most ``CURVE_POINTS``, and the last moment."""
    cells = found.cells
    rows = []
    for cell in cells.cells:
        some = found.of(cell)
        if not some.n:
            continue
        curve = survival_curve(some.lifetimes())
        named = treatment(cells, cell) | {
            "variant": cell.variant,
            "conditions": cells.condition(cell),
            "evidence": cells.evidence.get((cell.index, FLEET)),
        }
        chosen = np.unique(np.linspace(0, curve.times.size - 1, CURVE_POINTS).round().astype(int))
        rows += [
            named
            | {"value_ns": float(curve.times[i]), "share": float(curve.share[i])}
            | {"share_low": _known(curve.low[i]), "share_high": _known(curve.high[i])}
            | {"at_risk": int(curve.at_risk[i])}
            for i in (chosen if curve.times.size else ())
        ]
        last = some.longest_ns
        if not curve.times.size or last > curve.times[-1]:
            left = float(curve.share[-1]) if curve.times.size else 1.0
            waiting = some.number(some.waited.values >= last)
            rows.append(named | {"value_ns": last, "share": left, "at_risk": waiting})
    return rows


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
