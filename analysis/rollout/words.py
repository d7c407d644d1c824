"""Sentences about rollouts: first and last host, bytes, and what holds the hosts up."""

from collections.abc import Sequence

from analysis import quantities
from analysis.rollout.shown import speed
from analysis.shown import Row, Tables, marked
from analysis.words import MOST_SENTENCES, doubtful, few_blocks, not_real

METHOD = (
    (
        "All hosts of a rollout begin at one moment that they agree on through the broker; each finds "
        "it on "
        "its own clock, and the error bound of that is in the table 'rollouts'. A rollout counts when "
        "the "
        "trials of all its hosts do, and is one value: intervals are Student's over blocks, none below "
        "three."
    ),
    (
        "Efficiency compares rollouts to many hosts with those to few in the same block. What holds "
        "hosts "
        "up may be the registry, the network, or anything else that they share: a fleet on one machine "
        "shares its processors and its disk, too."
    ),
)


def sentences(fleet: Sequence[Row], scaling: Sequence[Row]) -> list[str]:
    """What was found."""
    if not fleet:
        return ["No rollout reached all of its hosts in trials that can be believed."]
    said = [_cell(r) for r in fleet[:MOST_SENTENCES]]
    if len(fleet) > MOST_SENTENCES:
        said.append(f"The tables hold {quantities.plural(len(fleet) - MOST_SENTENCES, 'further cell')}.")
    return said + [_scale(r) for r in scaling[:MOST_SENTENCES]]


def caveats(tables: Tables) -> tuple[str, ...]:
    """What limits belief in the numbers."""
    fleet = tables["fleet"]
    found = [*few_blocks(fleet), *doubtful(fleet), *not_real(fleet)]
    if any(r["virtual"] for r in fleet):
        found.append("Simulated hosts share no registry: their rollouts say nothing about bottlenecks.")
    incomplete = sum(r["incomplete"] for r in fleet)
    if incomplete:
        found.append(
            f"{quantities.plural(incomplete, 'rollout')} left a host without a ready instance: there "
            "is no "
            "last host then, and no time of theirs is in a mean."
        )
    aside = sum(not r["counted"] for r in tables["rollouts"])
    if aside:
        found.append(
            f"{quantities.plural(aside, 'rollout')} count nowhere, because a host's trial of it is "
            "missing, "
            "has failed or is not believed; 'Trials and verdicts' says why."
        )
    late = [r["late_ns"] for r in tables["rollouts"] if r["counted"] and r["late_ns"]]
    if late:
        found.append(
            f"In {quantities.plural(len(late), 'rollout')} a host heard of the common moment after it, "
            "by "
            f"{quantities.duration(max(late))} at most: that counts as its time."
        )
    return tuple(found)


def _cell(row: Row) -> str:
    given = "" if row["conditions"] == "same for all" else f"With {row['conditions']}: "
    hosts = quantities.plural(row["hosts"], "host")
    if row["last_ns"] is None:
        return f"{given}no rollout of {marked(row)} to {hosts} was complete."
    if row["hosts"] == 1:
        ready = quantities.duration(row["last_ns"])
        return f"{given}one host alone with {marked(row)} was ready after {ready}."
    last = quantities.duration_range(row["last_low_ns"], row["last_high_ns"])
    interval = "" if row["last_low_ns"] is None else f" (95 % interval {last})"
    return (
        f"{given}of {hosts} with {marked(row)} the first was ready after "
        f"{quantities.duration(row['first_ns'])}, the last after {quantities.duration(row['last_ns'])}"
        f"{interval}; {quantities.size(row['bytes_wire'])} came at {speed(row['bytes_per_s'])}."
    )


def _scale(row: Row) -> str:
    given = "" if row["conditions"] == "same for all" else f" with {row['conditions']}"
    if row["slowdown"] is None:
        return f"{row['hosts']} hosts against {row['against']}{given}: no block has both."
    meaning = {
        "bottleneck": "what they share holds them up",
        "no bottleneck": "they do not hold each other up",
        "withheld": "no verdict on such trials",
        "undecided": "whether they hold each other up is undecided",
    }[row["verdict"]]
    return (
        f"{marked(row)}{given}: {row['hosts']} hosts at once take {quantities.ratio(row['slowdown'])} "
        "the "
        f"time of {row['against']} to pull: {meaning}."
    )
