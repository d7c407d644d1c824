"""Sentences about density: what one instance more costs, how many were held, what ended it."""

import json
import math
from collections.abc import Callable, Sequence

from analysis import quantities
from analysis.density.shown import STOPS, in_words
from analysis.shown import Row, Tables, marked
from analysis.words import MOST_SENTENCES, doubtful, few_blocks, not_real

NOUNS = {
    **dict.fromkeys(("docker", "podman", "libvirt_lxc"), "container"),
    **dict.fromkeys(("libvirt", "libvirt_vbox", "libvirt_vmware", "libvirt_esx"), "virtual machine"),
    "process": "process",
}
"""What an instance of a driver is called; of any other one it is an instance."""

_SLOPES_FOUND = (
    "Memory per instance is the median slope between any two steps of the same staircase (Theil and "
    "Sen), so that a host's base, and a few odd steps, do not matter. Intervals come from resampled "
    "staircases, since steps of one staircase resemble each other; there are none below three."
)
_KNEES_FOUND = (
    "A knee is a bend between two lines that fit better than one by more than 6 in BIC: in memory, or "
    "in latency, as it is or on a logarithm, whichever two lines fit better. What a guard rail ended "
    "first is not a capacity: '≥' says so. How many an objective allows has an interval from six "
    "staircases on."
)
METHOD = (_SLOPES_FOUND, _KNEES_FOUND)


def sentences(tables: Tables) -> list[str]:
    """What was found, one sentence per variant and condition."""
    fleet = [r for r in tables["limits"] if r["scope"] == "fleet"]
    if not fleet:
        return ["No staircase was climbed."]
    said = [_found(r, tables) for r in fleet[:MOST_SENTENCES]]
    if len(fleet) > MOST_SENTENCES:
        more = quantities.plural(len(fleet) - MOST_SENTENCES, "further combination")
        said.append(f"The tables below hold {more}.")
    return said


def caveats(tables: Tables) -> tuple[str, ...]:
    """What limits belief in the numbers."""
    fleet = [r | {"blocks": r["staircases"]} for r in tables["limits"] if r["scope"] == "fleet"]
    believed = [r for r in fleet if r["staircases"]]
    found = [*few_blocks(believed), *doubtful(fleet), *not_real(fleet)]
    aside = sum(r["not_counted"] for r in fleet)
    if aside:
        found.append(
            f"{quantities.plural(aside, 'staircase')} count nowhere, because their trials failed or are "
            "set aside; 'Trials and verdicts' says why."
        )
    found += _noisy(fleet)
    if any(r["slo_ns"] is None for r in believed):
        found.append(
            "Without an objective for latency (slo_p99_ms) a number of instances says what fits, not "
            "what still works well."
        )
    return tuple(found)


def _noisy(fleet: Sequence[Row]) -> list[str]:
    """What the experiment, or its steps, say against themselves."""
    found = []
    missed, unsettled, deaths = (
        sum(r[name] or 0 for r in fleet) for name in ("slo_missed_below", "unsettled_steps", "deaths")
    )
    if missed:
        steps = quantities.plural(missed, "step")
        found.append(f"{steps} missed the objective though a higher one met it: latency was noisy.")
    if unsettled:
        steps = quantities.plural(unsettled, "step")
        found.append(f"{steps} were sampled before the host had come to rest: memory may be too low.")
    if deaths:
        found.append(
            f"{quantities.plural(deaths, 'instance')} ended by themselves while they were held."
        )
    hidden = max((r["hidden_processes"] or 0 for r in fleet), default=0)
    if hidden:
        number = quantities.count(hidden)
        found.append(f"PSS of all lacks what the worker might not look at: up to {number} processes.")
    return found


def _found(limit: Row, tables: Tables) -> str:
    given = "" if limit["conditions"] == "same for all" else f"With {limit['conditions']}, "
    if not limit["staircases"]:
        text = f"{given}no staircase of {marked(limit)} can be believed"
    else:
        ended = f"{_staircases(limit['staircases'])} ended because {_ended(limit)}"
        text = f"{given}{_cost(limit, tables)}; {_held(limit)}; {ended}; {_knees(limit, tables)}"
    return f"{text[0].upper()}{text[1:]}."


def _cost(limit: Row, tables: Tables) -> str:
    found = {
        r["measure"]: r
        for r in tables["slopes"]
        if r["scope"] == "fleet" and _same(r, limit)
    }  # fmt: skip
    noun = NOUNS.get(limit["driver"], "instance")
    name = marked(limit)
    of = name.removeprefix(noun) if limit["variant"] == noun else f" of {name}"
    memory = found.get("mem_used")
    if memory is None:
        return f"what one more {noun}{of} costs cannot be said from these steps"
    cpu = f" and {_processors(found['cpu_busy'])}" if "cpu_busy" in found else ""
    spread = _spread(memory, quantities.size_range)
    costs = f"{quantities.size(memory['slope'])} of the host's memory ({spread})"
    return f"one more {noun}{of} costs {costs}{cpu}"


def _processors(busy: Row) -> str:
    """Steps that all sampled the same use tell less than an interval from 0 to 0 would say."""
    if busy["slope"] == busy["slope_low"] == busy["slope_high"] == 0:
        return "no use of processors that could be seen"
    return f"{quantities.processors(busy['slope'])} ({_spread(busy, quantities.processors_range)})"


def _spread(slope: Row, in_words: Callable[[float, float], str]) -> str:
    low, high = slope["slope_low"], slope["slope_high"]
    return "no interval" if low is None else f"95 % interval {in_words(low, high)}"


def _held(limit: Row) -> str:
    if limit["peak"] is None:
        return "how many were held is not known"
    least, most = quantities.count(limit["peak_least"]), quantities.count(limit["peak_most"])
    held = most if least == most else f"{least} to {most}"
    return f"{held} were held at once"


def _staircases(number: int) -> str:
    return "the staircase" if number == 1 else f"the {quantities.count(number)} staircases"


def _ended(limit: Row) -> str:
    return in_words(limit["stop_rules"], STOPS)


def _knees(limit: Row, tables: Tables) -> str:
    """The objective first, then bends; without either, that none was reached."""
    found = []
    if limit["slo_n"] is not None:
        n = quantities.count(limit["slo_n"])
        n = f"at least {n}" if limit["slo_at_least"] else n
        found.append(f"p99 stayed within {quantities.duration(limit['slo_ns'])} up to {n}")
    elif limit["slo_ns"] is not None:
        found.append("whether latency met its objective is not known")
    bends = [r for r in tables["knees"] if r["scope"] == "fleet" and r["found"]]
    found += [_bend(r) for r in bends if _same(r, limit)]
    if found:
        return "; ".join(found)
    if limit["peak"] is None:
        return "no knee was reached"
    if set(json.loads(limit["knee"])) == {"reached"}:
        return "neither memory nor latency bends below that"
    return f"no knee was reached: if there is one, it is at {quantities.count(limit['peak'])} or above"


def _bend(knee: Row) -> str:
    at = quantities.count(knee["knee"])
    if knee["knee_low"] is not None:
        ends = f"{quantities.count(knee['knee_low'])} to {quantities.count(knee['knee_high'])}"
        at += f" (95 % interval {ends})"
    if knee["measure"] == "mem_used":
        slopes = f"{quantities.size(knee['below'])} to {quantities.size(knee['above'])}"
        return f"memory per instance goes from {slopes} at {at}"
    name = "median latency" if knee["measure"] == "probe_p50" else "p99 latency"
    before, after = (quantities.share(math.expm1(10 * knee[part])) for part in ("below", "above"))
    return f"{name} bends at {at}: ten more instances change it by {before} below that, by {after} above"


def _same(row: Row, limit: Row) -> bool:
    return bool((row["conditions"], row["variant"]) == (limit["conditions"], limit["variant"]))
