"""Sentences about isolation: who suffers beside whom, and what limits change."""

import math
from collections.abc import Sequence

from analysis import quantities
from analysis.figures import by
from analysis.isolation.figures import named
from analysis.isolation.shown import percent, percent_range
from analysis.shown import Row, Tables, marked
from analysis.words import doubtful, few_blocks, not_real

MOST_GROUPS = 12

METHOD = (
    (
        "A victim is asked at a steady rate, whatever its answers do, and latency counts from the "
        "planned moment. Its neighbours rest, are stressed, and rest again within one trial, so each "
        "victim is its own control: ratios are taken within the trial and averaged over blocks "
        "(geometric mean), intervals come from a hierarchical bootstrap over blocks and requests. The "
        "beginning of each phase is left out. A request without an answer in time counts as slower "
        "than every other one, and is no failure of the trial: that the victim did not report is a "
        "result."
    ),
    (
        "Degradation says what one kind of work suffers beside one kind of stress of this strength on "
        "this host. It depends on how many stressors there are for its processors, and stressors of "
        "memory and disk use processors too."
    ),
)


def sentences(tables: Tables) -> list[str]:
    """What was found, one sentence per stress and limits, then what limits change."""
    fleet = [r for r in tables["degradation"] if r["scope"] == "fleet" and r["n_on"]]
    if not fleet:
        return ["No victim was measured beside stress."]
    groups = by([r | {"group": named(r)} for r in fleet], "group")
    said = [f"Beside {name}: {'; '.join(_found(r) for r in some)}." for name, some in groups]
    if len(said) > MOST_GROUPS:
        more = quantities.plural(len(said) - MOST_GROUPS, "further combination")
        said[MOST_GROUPS:] = [f"The tables below hold {more} of stress and limits."]
    return [*said, *_reliefs(tables["relief"])]


def caveats(tables: Tables) -> tuple[str, ...]:
    """What limits belief in the numbers."""
    fleet = [r for r in tables["degradation"] if r["scope"] == "fleet"]
    measured = [r for r in fleet if r["n_on"]]
    found = [*few_blocks(measured), *doubtful(fleet), *not_real(fleet)]
    silent = sum(r["stressors_silent"] for r in fleet)
    if silent:
        told = sum(r["stressors"] for r in fleet)
        found.append(
            f"{quantities.count(silent)} of {quantities.plural(told, 'stressor')} did not say that they "
            "had ended, and were killed."
        )
    if any((r["unanswered_off_share"] or 0) > 0 for r in measured):
        found.append(
            "Some victims left requests unanswered before any stress: they were asked for more than "
            "they can do, and their ratios say little. Lower 'rate_per_s' or 'amount'."
        )
    return tuple(found)


def _found(row: Row) -> str:
    what = marked(row)
    if row["silent_blocks"]:
        blocks = quantities.plural(row["blocks"], "block")
        return f"the victim of {what} did not report in {row['silent_blocks']} of {blocks}"
    if row["degradation"] is None:
        return f"nothing can be said of {what}"
    interval = percent_range(row["degradation_low"], row["degradation_high"])
    given = "" if interval == quantities.NOT_AVAILABLE else f" (95 % interval {interval})"
    return f"{what} {percent(row['degradation'])}{given}, {row['verdict']}{_returned(row)}"


def _returned(row: Row) -> str:
    value = row["return_ns"]
    if row["verdict"] != "harmed" or value is None:
        return ""
    if math.isinf(value):
        return ", not back to normal while it was watched"
    return f", back to normal {quantities.duration(value)} after the stress was told to end"


def _reliefs(rows: Sequence[Row]) -> list[str]:
    """What limits change, one sentence per variant."""
    said = []
    for variant, own in by([r | {"who": marked(r)} for r in rows], "who"):
        known = [r for r in own if r["relief"] is not None]
        if known:
            each = [f"{r['stress']} {quantities.ratio(r['relief'])} ({r['verdict']})" for r in known]
            said.append(
                f"Without limits the stressors of {variant} harm by so many times what limited ones "
                f"do: {quantities.listed(each)}."
            )
    return said
