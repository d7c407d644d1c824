"""The capability matrix: which verbs every variant has, by what call, and what was seen of them."""

import json
from collections import Counter, defaultdict
from typing import Any

from analysis.cells import Cells
from analysis.management.operations import AllOperations, verbs_of
from analysis.section import Field
from contract.verbs import Verb

_KNOWN = {str(verb) for verb in Verb}

MATRIX_FIELDS = (
    Field("variant", "string", "driver, and profile where it is not the default"),
    Field("verb", "string", "what is done"),
    Field("support", "string", "native, emulated or none; missing where trials disagree"),
    Field("how", "string", "the call or calls that do it; of none, why"),
    Field("trials", "Int64", "trials that told"),
    Field("attempts", "Int64", "attempts in trials that count"),
    Field("seen", "Int64", "of them, those whose effect was seen"),
    Field("emulated", "boolean", "instances ran on an emulated CPU"),
    Field("virtual", "boolean", "time was simulated: nothing is real"),
)


def matrix_rows(found: AllOperations) -> list[dict[str, Any]]:
    """A row per variant and verb: every trial tells of all verbs, also of those that it did not do."""
    cells = found.cells
    told = _told(cells)
    attempts, seen = _observed(found)
    kinds = {cell.variant: {"emulated": cell.emulated, "virtual": cell.virtual} for cell in cells.cells}
    rows = []
    for variant in cells.variants():
        if variant not in told:
            continue
        for verb in Verb:
            each = told[variant][verb]
            if not each:
                continue
            support = next(iter(each))[0] if len({kind for kind, _ in each}) == 1 else None
            rows.append(
                {"variant": variant, "verb": str(verb), "support": support}
                | {"how": "; or: ".join(dict.fromkeys(how for _, how in each))}
                | {"trials": each.total()}
                | {"attempts": attempts[variant, verb], "seen": seen[variant, verb]}
                | kinds[variant]
            )
    return rows


def supports(rows: list[dict[str, Any]]) -> dict[tuple[str, str], str | None]:
    """Support by variant and verb."""
    return {(row["variant"], row["verb"]): row["support"] for row in rows}


def _told(cells: Cells) -> dict[str, dict[Verb, Counter[tuple[str, str]]]]:
    """What trials say of every verb: kind and call, with the number of trials that say so.

    A doubted trial is as good a witness of what an engine has as any.
    """
    variant_of = {m.trial_id: cells.cells[m.cell].variant for m in cells.memberships}
    sql = "SELECT trial_id, facts FROM trials WHERE experiment = $experiment ORDER BY trial_id"
    found: dict[str, dict[Verb, Counter[tuple[str, str]]]] = defaultdict(
        lambda: {verb: Counter() for verb in Verb}
    )
    for row in cells.dataset.rows(sql, {"experiment": cells.experiment}):
        variant = variant_of.get(row["trial_id"])
        for name, support in _matrix_in(row["facts"]).items():
            if variant is not None and name in _KNOWN:
                found[variant][Verb(name)][str(support["kind"]), str(support["how"])] += 1
    return found


def _matrix_in(text: str) -> dict[str, Any]:
    """The matrix among a trial's facts; empty when it has none that can be read."""
    try:
        matrix = json.loads(text)["findings"]["management"]
        return {name: told for name, told in matrix.items() if {"kind", "how"} <= told.keys()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _observed(found: AllOperations) -> tuple[Counter[tuple[str, Verb]], Counter[tuple[str, Verb]]]:
    """Attempts, and those whose effect was seen, by variant and verb."""
    attempts: Counter[tuple[str, Verb]] = Counter()
    seen: Counter[tuple[str, Verb]] = Counter()
    for cell in found.cells.cells:
        for verb in verbs_of(cell):
            done = found.verb(cell, verb)
            attempts[cell.variant, verb] += done.n
            seen[cell.variant, verb] += done.seen
    return attempts, seen
