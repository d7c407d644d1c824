"""Tables of an answer, with every column's meaning: exported as CSV, Parquet and JSON."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from analysis.capacity import mix_tables, services_shown
from analysis.capacity.answer import Answer, Plan
from analysis.capacity.checks import MOST_ERROR
from analysis.section import Field, frame

MOST_CURVE = 60
"""Points of the shortfall curve of one plan."""

_WHICH = (
    Field("shape", "string", "shape of the demand"),
    Field("variant", "string", "what it runs as: driver, and profile where it is not the default"),
    Field("host_class", "string", "kind of host"),
    Field("basis", "string", "'measured': by what instances used; 'guaranteed': by what is reserved"),
    Field("emulated", "boolean", "measured on an emulated CPU"),
    Field("virtual", "boolean", "time was simulated: nothing is real"),
)
FIELDS = {
    "plans": (
        *_WHICH,
        Field("instances", "Float64", "demand, median, growth included"),
        Field("density", "Int64", "most instances on one host"),
        Field("density_measured", "Int64", "the same, never above what was held at once"),
        Field("binding", "string", "what bounds the instances on a host first"),
        Field("hosts_p50", "Float64", "hosts that suffice in half of the draws; inf: none would do"),
        Field("hosts_p90", "Float64", "hosts that suffice in 90 % of the draws"),
        Field("hosts_p95", "Float64", "hosts that suffice in 95 % of the draws"),
        Field("hosts", "Float64", "recommended: hosts that suffice with the demand's confidence"),
        Field("hosts_measured", "Float64", "the same, if no host may hold more than was measured"),
        Field("spread", "string", "recommended hosts by failure domain, fullest first"),
        Field("price", "Float64", "of the recommended hosts"),
        Field("restore_s", "Float64", "until all that a loss took runs elsewhere, s"),
        Field("rto_s", "Float64", "longest time that the demand allows for it, s"),
        Field("infeasible", "string", "why it cannot be, and what would make it so"),
        Field("cautions", "string", "what limits belief in the plan"),
    ),
    "constraints": (
        *_WHICH,
        Field("constraint", "string", "what bounds the instances on a host"),
        Field("density", "Float64", "most instances by it; inf: it does not bound"),
        Field("density_low", "Float64", "lower end of its 95 % interval"),
        Field("density_high", "Float64", "upper end of it"),
        Field("binding", "boolean", "it is the tightest"),
        Field("beyond", "boolean", "density lies above what was measured"),
        Field("at_least", "boolean", "climbs ended before it showed: it could be more"),
    ),
    "steps": (
        *_WHICH,
        Field("step", "string", "step of the model: demand, domains, failures, RTO"),
        Field("hosts", "Float64", "hosts after it, everything at its point; inf: none would do"),
        Field("meaning", "string", "what the step is for"),
    ),
    "shortfall": (
        *_WHICH,
        Field("hosts", "Int64", "hosts"),
        Field("shortfall", "Float64", "share of draws in which more are needed"),
        Field("price", "Float64", "of so many hosts"),
    ),
    "influences": (
        *_WHICH,
        Field("input", "string", "what the model reckons with"),
        Field("low", "Float64", "lower end of its 95 % interval"),
        Field("high", "Float64", "upper end of it"),
        Field("unit", "string", "unit of both"),
        Field("hosts_at_low", "Float64", "hosts with it at its lower end, all others at their point"),
        Field("hosts_at_high", "Float64", "hosts with it at its upper end"),
    ),
    "what_if": (
        *_WHICH,
        Field("change", "string", "what is different"),
        Field("hosts", "Float64", "recommended hosts then; inf: none would do"),
        Field("more", "Float64", "by how many more than now"),
        Field("price", "Float64", "of them"),
    ),
    "checks": (
        *_WHICH,
        Field("held_out", "string", "what the model was not shown"),
        Field("quantity", "string", "what it foretells"),
        Field("predicted", "Float64", "what it foretold"),
        Field("measured", "Float64", "what was measured"),
        Field("unit", "string", "unit of both"),
        Field("error", "Float64", "predicted / measured - 1"),
        Field("flagged", "boolean", "the error is above 10 %"),
    ),
    "differences": (
        Field("shape", "string", "shape of the demand"),
        Field("host_class", "string", "kind of host"),
        Field("basis", "string", "'measured' or 'guaranteed'"),
        Field("variant", "string", "variant that is set against the baseline"),
        Field("baseline", "string", "the baseline"),
        Field("more_p5", "Float64", "hosts that it needs more: passed in 95 % of the draws"),
        Field("more_p50", "Float64", "median"),
        Field("more_p95", "Float64", "passed in 5 % of the draws"),
        Field("more_share", "Float64", "share of draws in which it needs more"),
        Field("less_share", "Float64", "share of draws in which it needs fewer"),
        Field("withheld", "string", "why nothing may be said"),
    ),
    **mix_tables.FIELDS,
    **services_shown.FIELDS,
    "notes": (
        Field("kind", "string", "assumption, or missing"),
        Field("text", "string", "a sentence"),
    ),
}


def tables_of(answer: Answer) -> dict[str, pd.DataFrame]:
    """Every table of ``FIELDS``."""
    rows: dict[str, list[dict[str, Any]]] = {
        "plans": [_which(p) | _plan(p) for p in answer.plans],
        "constraints": _each(answer, _constraints),
        "steps": _each(answer, _steps),
        "shortfall": _each(answer, _shortfall),
        "influences": _each(answer, _influences),
        "what_if": _each(answer, _what_ifs),
        "checks": _each(answer, _checks),
        "differences": _differences(answer),
        **mix_tables.rows_of(answer.mixes),
        **services_shown.rows_of(answer),
        "notes": [
            *({"kind": "assumption", "text": text} for text in answer.assumptions),
            *({"kind": "missing", "text": text} for text in answer.missing),
        ],
    }
    return {name: frame(FIELDS[name], rows[name]) for name in FIELDS}


def as_json(answer: Answer) -> dict[str, Any]:
    """Everything as plain data for scripts: rows by table. Infinite is the text ``inf``."""
    frames = tables_of(answer)
    rows = {name: _plain_rows(table) for name, table in frames.items() if name != "notes"}
    head = {"demand": answer.demand, "campaign": answer.campaign, "confidence": answer.confidence}
    said = {"assumptions": list(answer.assumptions), "missing": list(answer.missing)}
    return head | rows | said


def _plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    plain = table.astype(object).where(table.notna(), None)
    return [
        {str(k): str(v) if isinstance(v, float) and math.isinf(v) else v for k, v in row.items()}
        for row in plain.to_dict("records")
    ]


def _each(answer: Answer, rows_of: Any) -> list[dict[str, Any]]:
    return [_which(plan) | row for plan in answer.plans for row in rows_of(plan)]


def _which(plan: Plan) -> dict[str, Any]:
    names = ("shape", "variant", "host_class", "basis", "emulated", "virtual")
    return {name: getattr(plan, name) for name in names}


def _plan(p: Plan) -> dict[str, Any]:
    recovery = p.recovery
    return {
        "instances": p.instances,
        "density": p.density,
        "density_measured": p.density_measured,
        "binding": p.binding.name if p.binding else None,
        **{f"hosts_{name}": hosts for name, hosts in p.hosts.items()},
        "hosts": p.recommended,
        "hosts_measured": p.hosts_measured,
        "spread": " + ".join(map(str, p.spread)) or None,
        "price": p.price,
        "restore_s": recovery.total_s if recovery else None,
        "rto_s": recovery.rto_s if recovery else None,
        "infeasible": " ".join(p.infeasible) or None,
        "cautions": " ".join(p.warnings) or None,
    }


def _constraints(p: Plan) -> Iterable[dict[str, Any]]:
    for c in p.constraints:
        yield {
            "constraint": c.name,
            "density": c.density,
            "density_low": c.low,
            "density_high": c.high,
            "binding": c is p.binding,
            "beyond": c.beyond,
            "at_least": c.at_least,
        }


def _steps(p: Plan) -> Iterable[dict[str, Any]]:
    return ({"step": n.step, "hosts": n.hosts, "meaning": n.words} for n in p.needs)


def _shortfall(p: Plan) -> Iterable[dict[str, Any]]:
    """The curve from where nearly every draw falls short to where nearly none does."""
    finite = np.sort(p.draws[np.isfinite(p.draws)])
    if not finite.size:
        return
    low, high = (int(finite[round(share * (finite.size - 1))]) for share in (0.005, 0.999))
    low, high = max(1, low - 1), high + 1
    chosen = np.unique(np.linspace(low, high, MOST_CURVE).round().astype(int))
    if math.isfinite(p.recommended):
        chosen = np.union1d(chosen, [int(p.recommended)])
    for hosts in chosen.tolist():
        price = p.price_per_host * hosts if p.price_per_host is not None else None
        yield {"hosts": hosts, "shortfall": float((p.draws > hosts).mean()), "price": price}


def _influences(p: Plan) -> Iterable[dict[str, Any]]:
    for one in p.influences:
        yield {
            "input": one.name,
            "low": one.low,
            "high": one.high,
            "unit": one.unit,
            "hosts_at_low": one.hosts_low,
            "hosts_at_high": one.hosts_high,
        }


def _what_ifs(p: Plan) -> Iterable[dict[str, Any]]:
    for one in p.what_ifs:
        known = math.isfinite(one.hosts) and math.isfinite(p.recommended)
        more = one.hosts - p.recommended if known else None
        yield {"change": one.change, "hosts": one.hosts, "more": more, "price": one.price}


def _checks(p: Plan) -> Iterable[dict[str, Any]]:
    for one in p.checks:
        yield {
            "held_out": one.held_out,
            "quantity": one.quantity,
            "predicted": one.predicted,
            "measured": one.measured,
            "unit": one.unit,
            "error": one.error,
            "flagged": abs(one.error) > MOST_ERROR,
        }


def _differences(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "shape": d.shape,
            "host_class": d.host_class,
            "basis": d.basis,
            "variant": d.variant,
            "baseline": d.baseline,
            "more_p5": d.p5,
            "more_p50": d.p50,
            "more_p95": d.p95,
            "more_share": d.more,
            "less_share": d.fewer,
            "withheld": d.withheld,
        }
        for d in answer.differences
    ]
