"""Stages of an instance's life as durations, laid end to end into the stamps that our tables hold."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

StageName = Literal[
    "e2e", "queue", "create", "start", "boot", "reply", "delete", "exit", "reclaim", "guest_uptime"
]

PHASES = ("queue", "create", "start", "boot", "reply")
"""One after another from the plan to ready; together they are ``e2e``."""
_UP = ("t_intent", "t_call", "t_created", "t_started", "t_beacon", "t_ready")
_DOWN = {"delete": "t_gone", "exit": "t_exited", "reclaim": "t_reclaimed"}

Durations = Mapping[str, int | None]
"""Nanoseconds by stage; None where an attempt did not get through it."""


class StagesDoNotFit(ValueError):
    """The stages of one row contradict each other."""


def check_stages(names: Sequence[str]) -> None:
    """Raise ValueError, saying what is allowed, for stages that cannot be laid end to end."""
    if len(set(names)) < len(names):
        raise ValueError("every stage once")
    phases = _phases(names)
    if phases and not _without_gap(phases):
        raise ValueError(
            f"phases without a gap between them, of {', '.join(PHASES)} (boot may be absent)"
        )
    ends = {"queue", "reply"} & set(phases)
    if "e2e" in names and phases and len(ends) != 1:
        raise ValueError(
            "beside e2e either the first phase, queue, or the last, reply, so that their place in it is "
            "known, and not both; where nothing waited, {stage: queue, value: 0, unit: ns} says so"
        )


def lay_out(durations: Durations) -> dict[str, int | None]:
    """Stamps of an instance row from its durations, ns since its own planned start.

    Only differences between the stamps of one instance mean something: nothing is known of when it
    began beside the others. Raises StagesDoNotFit when phases take longer than the whole.
    """
    stamps: dict[str, int | None] = {}
    phases = _phases(list(durations))
    whole = durations.get("e2e")
    if "e2e" in durations:
        stamps |= {"t_intent": 0, "t_ready": whole}
    if phases and "e2e" in durations and phases[-1] == "reply":
        stamps |= _from_the_end(phases, durations, whole)
    elif phases:
        stamps |= _from_the_beginning(phases, durations)
        latest = max((t for name, t in stamps.items() if t is not None and name != "t_ready"), default=0)
        if whole is not None and latest > whole:
            raise StagesDoNotFit(f"phases of {latest} ns in an e2e of {whole} ns")
    stamps |= _down(durations, stamps)
    if "guest_uptime" in durations:
        stamps["guest_uptime_ns"] = durations["guest_uptime"]
    return stamps


def _phases(names: Sequence[str]) -> list[str]:
    return [name for name in PHASES if name in names]


def _without_gap(phases: Sequence[str]) -> bool:
    steps = (PHASES.index(after) - PHASES.index(before) for before, after in pairwise(phases))
    skipped = [(a, b) for a, b in pairwise(phases) if PHASES.index(b) - PHASES.index(a) != 1]
    return all(step == 1 for step in steps) or skipped == [("start", "reply")]


def _from_the_beginning(phases: Sequence[str], durations: Durations) -> dict[str, int | None]:
    at: int | None = 0
    stamps: dict[str, int | None] = {_UP[PHASES.index(phases[0])]: 0}
    for phase in phases:
        took = durations[phase]
        at = None if at is None or took is None else at + took
        stamps[_UP[PHASES.index(phase) + 1]] = at
    return stamps


def _from_the_end(
    phases: Sequence[str], durations: Durations, whole: int | None
) -> dict[str, int | None]:
    stamps: dict[str, int | None] = {}
    at = whole
    for phase in reversed(phases):
        took = durations[phase]
        at = None if at is None or took is None else at - took
        stamps[_begin_of(phase, phases)] = at
    if at is not None and at < 0:
        raise StagesDoNotFit(f"phases that take {-at} ns longer than e2e")
    return stamps


def _begin_of(phase: str, phases: Sequence[str]) -> str:
    """The stamp at which a phase begins: without a boot, the reply is waited for from the start."""
    if phase == "reply" and "boot" not in phases and "start" in phases:
        return "t_started"
    return _UP[PHASES.index(phase)]


def _down(durations: Durations, stamps: Mapping[str, int | None]) -> dict[str, int | None]:
    """Removal begins where the way up ended; an attempt that never came up is not removed."""
    ways = [name for name in _DOWN if name in durations]
    last = None if any(at is None for at in stamps.values()) else max(stamps.values(), default=0)  # type: ignore[type-var]  # none is None
    if not ways or last is None:
        return {}
    ends = {_DOWN[name]: None if (took := durations[name]) is None else last + took for name in ways}
    return {"t_stop_call": last} | ends
