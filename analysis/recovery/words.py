"""Sentences about recovery: what came back, how fast, and what did not."""

import math
from collections.abc import Sequence

from analysis import quantities
from analysis.figures import by
from analysis.recovery.figures import panel
from analysis.shown import Row, Tables, marked
from analysis.words import doubtful, few_blocks, not_real

MOST_GROUPS = 12

METHOD = (
    (
        "Time to recover runs from just before the fault to the first of several good replies in a row. "
        "What had not come back by the deadline is censored there, never dropped: medians are those of "
        "Kaplan–Meier curves, and expected downtime is the area under the curve up to the deadline "
        "(restricted mean). Faults and supervisions are never pooled."
    ),
    (
        "Intervals come from resampled blocks, since injections of one block resemble each other; there "
        "are none below three. That of a median is the wider one of that and of Greenwood's; that of "
        "expected downtime holds Wilson's for the share that did not recover, seen or not."
    ),
)


def sentences(rows: Sequence[Row]) -> list[str]:
    """What was found, one sentence per fault and supervision."""
    fleet = [r for r in rows if r["scope"] == "fleet"]
    if not any(r["injections"] for r in fleet):
        return ["No fault was injected."]
    groups = by([r | {"treated": _treated(r)} for r in fleet], "treated")
    said = [f"{name}: {'; '.join(_found(r) for r in some)}." for name, some in groups[:MOST_GROUPS]]
    if len(groups) > MOST_GROUPS:
        more = quantities.plural(len(groups) - MOST_GROUPS, "further combination")
        said.append(f"The tables below hold {more} of fault and supervision.")
    return said


def caveats(tables: Tables) -> tuple[str, ...]:
    """What limits belief in the numbers."""
    fleet = [r for r in tables["outcomes"] if r["scope"] == "fleet"]
    tried = [r for r in fleet if r["injections"]]
    found = [*few_blocks(tried), *doubtful(fleet), *not_real(fleet)]
    cut = sum(r["cut_short"] for r in fleet)
    if cut:
        found.append(
            f"{quantities.plural(cut, 'injection')} could not be watched until the deadline: they count "
            "as not recovered for as long as they were watched."
        )
    failed = sum(r["failed"] for r in fleet)
    if failed:
        found.append(
            f"{quantities.plural(failed, 'injection')} ended in an error instead of a result: they "
            "count as not recovered, and 'Why instances did not recover' says why."
        )
    never = sum(r["not_injected"] for r in fleet)
    if never:
        found.append(f"{quantities.plural(never, 'planned injection')} never happened.")
    aside = sum(r["set_aside"] for r in fleet)
    if aside:
        found.append(
            f"{quantities.plural(aside, 'injection')} count nowhere, because their trials are suspect "
            "or invalid; 'Trials and verdicts' says why."
        )
    found += _unsupervised(tried)
    return tuple(found)


def _unsupervised(fleet: Sequence[Row]) -> list[str]:
    """That a supervision is no property of a technology."""
    some = [
        name
        for name, own in by([r | {"panel": panel(r)} for r in fleet], "panel")
        if len({r["supervision"] for r in own}) > 1
    ]
    if not some:
        return []
    return [
        "Compare variants under the same supervision only: who restarts decides more than what runs."
    ]


def _treated(row: Row) -> str:
    return f"After {panel(row)} with supervision {row['supervision'].replace('_', ' ')}"


def _found(row: Row) -> str:
    what, number = marked(row), quantities.count(row["injections"])
    if not row["injections"]:
        return f"no injection into {what} can be counted"
    waited = quantities.duration(row["deadline_ns"])
    if not row["recovered"]:
        return f"{what} recovered within {waited} in none of {number} cases"
    down = f"with an expected downtime of {_interval(row, 'down')} within {waited} of the fault"
    if math.isinf(row["median_ns"]):
        return f"{what} recovered by the deadline in {_all(row)} of {number} cases, {down}"
    half = f"recovered within {_interval(row, 'median')} in half of {number} cases"
    return f"{what} {half} and by the deadline in {_all(row)}, {down}"


def _all(row: Row) -> str:
    return quantities.count(row["recovered"]) if row["censored"] else "all"


def _interval(row: Row, name: str) -> str:
    value, low, high = (row[f"{name}{end}_ns"] for end in ("", "_low", "_high"))
    if low is None:
        return quantities.duration(value)
    return f"{quantities.duration(value)} (95 % interval {quantities.duration_range(low, high)})"
