"""Sentences about management: who has which verb, how long it takes, and what is noticed of it."""

import math
from collections.abc import Sequence

from analysis import quantities
from analysis.figures import by
from analysis.management.shown import said
from analysis.shown import Row, Tables, marked
from analysis.words import doubtful, few_blocks, not_real

MOST_GROUPS = 12

METHOD = (
    (
        "Time to effect runs from the call until its effect is seen by somebody else than the call: a "
        "new limit in the control group, silence of the paused instance on its console, its answer "
        "after resume, start or restore, the new name found by the engine, the snapshot listed. A "
        "restored instance must know a word that its agent was told before the snapshot, and not the "
        "later one. What never had its effect counts as infinite, and a verb that a variant lacks "
        "counts nowhere."
    ),
    (
        "The instance is probed at a steady rate all the while, whatever its answers do. Interruption "
        "is the longest time between two good replies less the probe's period; it is not known more "
        "closely than one period. The moment at which a pause takes hold is seen by the same probe, so "
        "that is not known more closely either."
    ),
)


def sentences(tables: Tables) -> list[str]:
    """What was found, one sentence per operation."""
    found = _capabilities(tables["matrix"])
    fleet = [r for r in tables["verbs"] if r["scope"] == "fleet" and r["attempts"]]
    if not fleet:
        return [*found, "No verb was tried."]
    noticed = {
        (r["operation"], r["beside"], r["variant"]): r
        for r in tables["operations"]
        if r["scope"] == "fleet"
    }
    groups = by([r | {"group": _group(r)} for r in fleet], "group")
    said_of = [
        f"{name[0].upper()}{name[1:]}: {'; '.join(_found(r) for r in some)}."
        for name, some in groups[:MOST_GROUPS]
    ]
    if len(groups) > MOST_GROUPS:
        more = quantities.plural(len(groups) - MOST_GROUPS, "further combination")
        said_of.append(f"The tables below hold {more}.")
    return [*found, *said_of, *_noticed(list(noticed.values()))]


def caveats(tables: Tables) -> tuple[str, ...]:
    """What limits belief in the numbers."""
    fleet = [r for r in tables["verbs"] if r["scope"] == "fleet"]
    tried = [r for r in fleet if r["attempts"]]
    found = [*few_blocks(tried), *doubtful(fleet), *not_real(fleet)]
    never = [r for r in tried if not r["seen"]]
    if never:
        names = [f"{said(r['verb'])} of {r['variant']}" for r in never]
        found.append(f"The effect was never seen: {quantities.listed(names)}.")
    failed = sum(r["attempts"] - r["seen"] for r in tried)
    if failed:
        of = quantities.plural(sum(r["attempts"] for r in tried), "attempt")
        found.append(
            f"{quantities.count(failed)} of {of} came to nothing; the table of reasons says why."
        )
    skipped = sum(r["not_tried"] for r in fleet)
    if skipped:
        found.append(f"{quantities.plural(skipped, 'planned verb')} could not be tried any more.")
    aside = sum(r["set_aside"] for r in fleet)
    if aside:
        found.append(
            f"{quantities.plural(aside, 'attempt')} count nowhere, because their trials are suspect or "
            "invalid; 'Trials and verdicts' says why."
        )
    disputed = [r for r in tables["matrix"] if r["support"] is None]
    if disputed:
        names = [f"{said(r['verb'])} of {r['variant']}" for r in disputed]
        found.append(f"Trials disagree about support: {quantities.listed(names)}.")
    return tuple(found)


def _capabilities(matrix: Sequence[Row]) -> list[str]:
    """Who lacks or emulates what, one sentence per variant."""
    found = []
    for variant, own in by(matrix, "variant"):
        emulated = [said(r["verb"]) for r in own if r["support"] == "emulated"]
        lacking = [said(r["verb"]) for r in own if r["support"] == "none"]
        native = sum(r["support"] == "native" for r in own)
        words = f"{variant} has {native} of {len(own)} verbs of its own"
        words += f"; emulated: {quantities.listed(emulated, 20)}" if emulated else ""
        words += f"; not to be had: {quantities.listed(lacking, 20)}" if lacking else ""
        found.append(f"{words}.")
    return found


def _group(row: Row) -> str:
    beside = "" if row["beside"] == "same for all" else f" ({row['beside']})"
    return f"{said(row['verb'])}{beside}"


def _found(row: Row) -> str:
    what = marked(row) + (" (emulated verb)" if row["support"] == "emulated" else "")
    if math.isinf(row["effect_ns"]):
        return f"{what} in most of {quantities.plural(row['attempts'], 'attempt')} without effect"
    interval = quantities.duration_range(row["effect_low_ns"], row["effect_high_ns"])
    given = "" if interval == quantities.NOT_AVAILABLE else f" (95 % interval {interval})"
    failed = row["attempts"] - row["seen"]
    lost = f", {failed} of {row['attempts']} failed" if failed else ""
    return f"{what} {quantities.duration(row['effect_ns'])}{given}{lost}"


def _noticed(rows: Sequence[Row]) -> list[str]:
    """What is noticed of which operation, one sentence per variant."""
    found = []
    for variant, own in by([r | {"who": marked(r)} for r in rows], "who"):
        unnoticed = [r for r in own if _is_unnoticed(r)]
        known = [r for r in own if not _is_unnoticed(r) and not math.isinf(r["interruption_ns"])]
        words = []
        if unnoticed:
            names = [_operation(r) for r in unnoticed]
            words.append(f"{quantities.listed(names, 20)}: nothing beyond one probe's period")
        words += [f"{_operation(r)} {_interruption(r)}" for r in known]
        words += [f"{_operation(r)}: not back" for r in own if math.isinf(r["interruption_ns"])]
        found.append(f"Interruption of {variant}: {'; '.join(words)}.")
    return found


def _is_unnoticed(row: Row) -> bool:
    value, period = row["interruption_ns"], row["period_ns"]
    return value is not None and period is not None and value < period


def _operation(row: Row) -> str:
    beside = "" if row["beside"] == "same for all" else f" ({row['beside']})"
    return f"{said(row['operation'])}{beside}"


def _interruption(row: Row) -> str:
    held = f", of which {quantities.duration(row['hold_ns'])} on purpose" if row["hold_ns"] else ""
    return f"{quantities.duration(row['interruption_ns'])}{held}"
