"""Sentences about failover: what came back, how fast, and what did not."""

import math
from collections.abc import Sequence

from analysis import quantities
from analysis.shown import Row, Tables, marked
from analysis.words import MOST_SENTENCES, doubtful, few_blocks, not_real

METHOD = (
    (
        "One host of the fleet, drawn anew in every block, is lost at a moment that all hosts have "
        "agreed on "
        "through the broker. The others notice it by its missing signs of life, share its instances "
        "among "
        "them by rank without asking anybody, and start them. Times count from the planned moment, on "
        "the "
        "clock of the host that takes the instance; the error bound of that is in the table 'losses'."
    ),
    (
        "What was not back by the deadline is censored there, never dropped: because no host had room, "
        "its "
        "turn did not come, or its start failed. A loss counts when the trials of all hosts do. "
        "Intervals "
        "come from resampled blocks, since instances of one loss resemble each other; none below three."
    ),
)


def sentences(fleet: Sequence[Row], stages: Sequence[Row]) -> list[str]:
    """What was found."""
    if not any(r["instances"] for r in fleet):
        return ["No host was lost in trials that can be believed."]
    said = [_cell(r, stages) for r in fleet[:MOST_SENTENCES] if r["instances"]]
    if len(fleet) > MOST_SENTENCES:
        said.append(f"The tables hold {quantities.plural(len(fleet) - MOST_SENTENCES, 'further cell')}.")
    return said


def caveats(tables: Tables) -> tuple[str, ...]:
    """What limits belief in the numbers."""
    fleet = tables["fleet"]
    found = [*few_blocks(fleet), *doubtful(fleet), *not_real(fleet)]
    if any(r["virtual"] for r in fleet):
        found.append("Simulated hosts imagine each other: every one of them shows its own share only.")
    aside = sum(not r["counted"] for r in tables["losses"])
    if aside:
        found.append(
            f"What followed when a host was lost counts nowhere {quantities.plural(aside, 'time')}, "
            "because "
            "a host's trial of it is missing, has failed or is not believed; 'Trials and verdicts' "
            "says why."
        )
    alarms = sum(r["false_alarms"] for r in fleet)
    if alarms:
        found.append(
            f"Hosts that lived were taken for lost {quantities.plural(alarms, 'time')} before the loss: "
            "'detect_after_s' is short for this fleet."
        )
    return tuple(found)


def _cell(row: Row, stages: Sequence[Row]) -> str:
    given = "" if row["conditions"] == "same for all" else f"With {row['conditions']}: "
    some = (
        f"{given}a host with {marked(row)} was lost {quantities.plural(row['blocks'], 'time')}, and "
        f"{quantities.count(row['back'])} of {quantities.plural(row['instances'], 'instance')} came "
        "back "
        f"elsewhere within {quantities.duration(row['deadline_ns'])}"
    )
    if row["unplaced"]:
        some += f", {quantities.count(row['unplaced'])} found no place"
    if row["median_ns"] is not None and not math.isinf(row["median_ns"]):
        between = quantities.duration_range(row["median_low_ns"], row["median_high_ns"])
        interval = "" if row["median_low_ns"] is None else f" (95 % interval {between})"
        some += f"; half were back after {quantities.duration(row['median_ns'])}{interval}"
    return f"{some}{_phases(row, stages)}."


def _phases(row: Row, stages: Sequence[Row]) -> str:
    """Where the median time went."""
    found = {
        s["metric"]: s["p50_ns"]
        for s in stages
        if (s["scope"], s["conditions"], s["variant"]) == ("fleet", row["conditions"], row["variant"])
    }
    if "detect" not in found or "ready" not in found:
        return ""
    detect, ready = (quantities.duration(found[name]) for name in ("detect", "ready"))
    return f": {detect} to notice, {ready} to be created, started and answer"
