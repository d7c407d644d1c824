"""How long an instance was not to be reached, as its open-loop probe saw it. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from workers.prober import Slot


def is_good(slot: Slot, patience_ns: int) -> bool:
    """Whether a probe was answered in time."""
    return slot.latency_ns is not None and slot.latency_ns <= patience_ns


def longest_silence_ns(
    slots: Sequence[Slot], begin_ns: int, end_ns: int, patience_ns: int, period_ns: int
) -> int | None:
    """The longest time between two good answers, less the probe's period, never below 0.

    Looked for from the last good answer before ``begin_ns`` to the last one by ``end_ns``. So it is 0
    where nothing was interrupted, and wrong by one period at most where something was. None: there were
    no two good answers to look between.
    """
    heard = sorted(s.t_answered for s in slots if s.t_answered is not None and is_good(s, patience_ns))
    before = [t_ns for t_ns in heard if t_ns < begin_ns][-1:]
    within = [t_ns for t_ns in heard if begin_ns <= t_ns <= end_ns]
    found = [*before, *within]
    if len(found) < 2:
        return None
    longest = max(later - earlier for earlier, later in pairwise(found))
    return max(0, longest - period_ns)


def lost(slots: Sequence[Slot], begin_ns: int, end_ns: int, patience_ns: int) -> int:
    """Probes that were planned for the time between, and not answered in time."""
    return sum(begin_ns <= s.t_due <= end_ns and not is_good(s, patience_ns) for s in slots)


def first_good_run(
    slots: Sequence[Slot], since_ns: int, length: int, patience_ns: int
) -> Sequence[Slot] | None:
    """The first ``length`` probes in a row, planned since then, that were all answered in time."""
    run: list[Slot] = []
    for slot in slots:
        if slot.t_due < since_ns:
            continue
        run = [*run, slot] if is_good(slot, patience_ns) else []
        if len(run) == length:
            return run
    return None
