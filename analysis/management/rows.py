"""Rows of the management tables: time to effect and success of verbs, interruption of operations."""

from collections.abc import Iterator
from typing import Any

from analysis.cells import Cell, Cells, condition_words
from analysis.latency import SCOPE_FIELDS, describe, scopes
from analysis.management.matrix import supports
from analysis.management.operations import (
    AllOperations,
    Done,
    Noticed,
    operation_of,
    probe_period_ns,
    verbs_of,
)
from analysis.scopes import Scope
from analysis.section import Field, interval_fields
from analysis.statistics.blocks import BlockedSample
from analysis.statistics.proportions import estimate_share
from analysis.statistics.quantiles import estimate_quantile
from contract.verbs import OPERATIONS, Verb

_PROBE = frozenset(
    {
        *("probe_rate_per_s", "patience_ms", "good_replies", "calm_s"),
        *("effect_deadline_s", "ready_deadline_s"),
    }
)
"""Parameters that say how it is looked, and not at what."""
_ONLY_OF = {
    "updated": ("update",),
    "update_order": ("update",),
    "shrink_to": ("cpu", "memory"),
    "graceful": ("stop", "restart"),
    "hold_s": ("pause", "stop"),
}
"""Parameters that only some operations heed."""

VERB_FIELDS = (
    *SCOPE_FIELDS,
    Field("verb", "string", "what was done"),
    Field("support", "string", "native or emulated; missing where trials disagree"),
    Field("beside", "string", "conditions besides the verb that tell the cell from others"),
    Field("trials", "Int64", "trials behind the row"),
    Field("blocks", "Int64", "blocks behind the row, over all hosts"),
    Field("attempts", "Int64", "times that it was done"),
    Field("seen", "Int64", "of them, those whose effect was seen, and that left an answering instance"),
    *interval_fields("failed_share{}", "share of the attempts that came to nothing"),
    *interval_fields("effect{}_ns", "from the call to the effect, median, failures infinite, ns"),
    *interval_fields("effect_p95{}_ns", "the same, 95 % quantile, ns"),
    Field("call_ns", "Float64", "from the call until it returned, median, ns"),
    Field("memory_kept", "Float64", "restored: share that had its memory, not only its files"),
    Field("not_tried", "Int64", "planned, and not done"),
    Field("set_aside", "Int64", "attempts in trials that are not believed"),
)
OPERATION_FIELDS = (
    *SCOPE_FIELDS,
    Field("operation", "string", "what was done, and undone where that is possible"),
    Field("beside", "string", "conditions besides that tell the cell from others"),
    Field("hold_ns", "Float64", "pause that was meant to be between the two, ns"),
    Field("period_ns", "Float64", "the probe's period: the interruption's resolution, ns"),
    Field("blocks", "Int64", "blocks behind the row, over all hosts"),
    Field("operations", "Int64", "operations that were probed"),
    Field("not_back", "Int64", "of them, those after which the instance did not answer"),
    *interval_fields("interruption{}_ns", "longest silence less the probe's period, median, ns"),
    Field("interruption_max_ns", "Float64", "the longest of all, ns"),
    Field("jitter_ns", "Float64", "the same just before, when nothing was done, median, ns"),
    *interval_fields("lost_requests{}", "probes without a good reply, median"),
    Field("lost_requests_mean", "Float64", "the same, mean"),
)


def verb_rows(found: AllOperations, matrix: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every verb that was tried, in every cell and scope. One that a variant lacks has no row."""
    support = supports(matrix)
    rows = [
        describe(found.cells, cell, scope)
        | {"verb": str(verb), "support": support.get((cell.variant, str(verb)))}
        | {"beside": beside(found.cells, cell)}
        | _verb(found.verb(cell, verb, scope))
        | found.others(cell, verb, scope)
        | {"trials": _trials(found.cells, cell, scope)}
        for cell, scope in _places(found)
        for verb in verbs_of(cell)
        if found.verb(cell, verb, scope).n or found.others(cell, verb, scope)["set_aside"]
    ]
    return _sorted(found.cells, rows, "verb", [str(verb) for verb in Verb])


def operation_rows(found: AllOperations) -> list[dict[str, Any]]:
    """What was noticed of every operation, in every cell and scope."""
    rows = [
        describe(found.cells, cell, scope)
        | {"operation": operation_of(cell), "beside": beside(found.cells, cell)}
        | _times(cell)
        | _noticed(found.noticed(cell, scope))
        for cell, scope in _places(found)
        if found.noticed(cell, scope).n
    ]
    return _sorted(found.cells, rows, "operation", list(OPERATIONS))


def beside(cells: Cells, cell: Cell) -> str:
    """What tells the cell from others of its operation, as far as it has to do with that.

    How the probe is set tells cells of one variant apart. Between variants it is no condition.
    """
    alike = [c for c in cells.cells if operation_of(c) == operation_of(cell)]
    own = [c for c in alike if c.variant == cell.variant]
    names = [
        name
        for name in cells.varying
        if operation_of(cell) in _ONLY_OF.get(name, (operation_of(cell),))
        and _vary(name, own if name in _PROBE else alike)
    ]
    return condition_words({name: cell.conditions.get(name) for name in names}) or "same for all"


def _sorted(
    cells: Cells, rows: list[dict[str, Any]], name: str, order: list[str]
) -> list[dict[str, Any]]:
    """What is done in the order of its kinds, under each condition the baseline first."""
    variants = cells.variants()
    conditions = list(dict.fromkeys(row["beside"] for row in rows))

    def place(row: dict[str, Any]) -> tuple[int, int, int]:
        known = order.index(row[name]) if row[name] in order else len(order)
        return known, conditions.index(row["beside"]), variants.index(row["variant"])

    return sorted(rows, key=place)


def _vary(name: str, some: list[Cell]) -> bool:
    return len({str(c.conditions.get(name)) for c in some}) > 1


def _places(found: AllOperations) -> Iterator[tuple[Cell, Scope]]:
    for cell in found.cells.cells:
        for scope in scopes(found.cells, cell):
            yield cell, scope


def _times(cell: Cell) -> dict[str, float | None]:
    held = cell.conditions.get("hold_s") if operation_of(cell) in ("pause", "stop") else 0
    return {
        "hold_ns": float(held) * 1e9 if isinstance(held, int | float) else None,
        "period_ns": probe_period_ns(cell) or None,
    }


def _verb(done: Done) -> dict[str, Any]:
    share = estimate_share(*done.effect.shares())
    sample = done.effect.sample()
    return {
        "blocks": int(sample.blocks.sizes.size),
        "attempts": done.n,
        "seen": done.seen,
        "failed_share": share.value,
        "failed_share_low": share.low,
        "failed_share_high": share.high,
        **_quantile("effect{}_ns", sample, 0.5),
        **_quantile("effect_p95{}_ns", sample, 0.95),
        "call_ns": done.call.median(),
        "memory_kept": done.memory_kept.mean(),
    }


def _noticed(noticed: Noticed) -> dict[str, Any]:
    sample, lost = noticed.interruption.sample(), noticed.lost.sample()
    return {
        "blocks": int(sample.blocks.sizes.size),
        "operations": noticed.n,
        "not_back": noticed.interruption.infinite,
        **_quantile("interruption{}_ns", sample, 0.5),
        "interruption_max_ns": float(noticed.interruption.values.max()),
        "jitter_ns": noticed.jitter.median(),
        **_quantile("lost_requests{}", lost, 0.5),
        "lost_requests_mean": noticed.lost.mean(),
    }


def _quantile(pattern: str, sample: BlockedSample, p: float) -> dict[str, float | None]:
    found = estimate_quantile(sample, p)
    ends = {"": found.value, "_low": found.low, "_high": found.high}
    return {pattern.format(end): value for end, value in ends.items()}


def _trials(cells: Cells, cell: Cell, scope: Scope) -> int:
    counts = cells.counting(cell.index, scope)
    return sum(
        m.cell == cell.index and m.role != "set aside" and bool(counts[m.host])
        for m in cells.memberships
    )
