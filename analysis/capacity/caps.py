"""What else than memory and processors bounds the instances on a host: objectives, and walls."""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.capacity.demand import Slo
from analysis.capacity.evidence import Cap, CapKind
from analysis.capacity.resample import Resample
from analysis.capacity.units import bound
from analysis.density.staircases import Staircase
from analysis.statistics.blocks import MINIMUM_BLOCKS, Floats
from analysis.statistics.knees import Reached, limit_of

SEED = 20_261_128
"""Fixes the draws of the intervals of caps."""
MISSED_SHARE = 0.01
"""Of the starts that may take longer than a 99 % objective."""
FEWEST_STARTS = 20
"""With fewer starts in a climb nothing is said of their 99 % point."""

WALLS = {
    "start_failures": "starts that fail",
    "memory_pressure": "tasks that wait for memory",
    "swap": "memory that comes back from swap",
    "pids": "process numbers",
}
"""Stop rules by which the host itself showed its end, and what it was. The floor under the memory is a
guard rail and none of them: the memory line and the headroom say where memory ends."""


def probe_cap(some: Sequence[Staircase], slo: Slo, draws: Resample) -> Cap | None:
    """Most instances with which the probes met their objective; None without objective or probes."""
    if slo.probe_p99 is None:
        return None
    bound_ns = slo.probe_p99 * 1e9
    reached = {place: r for place, s in enumerate(some) if (r := s.reached(bound_ns)) is not None}
    steps = [step.p99_ns for s in some for step in s.ups if step.n and step.p99_ns is not None]
    best = min((p99 for p99 in steps if np.isfinite(p99)), default=None)
    name = f"probe p99 within {bound(slo.probe_p99)}"
    return _cap((name, "objective"), reached, draws, None if best is None else best / 1e9)


def start_cap(waits: Mapping[int, Floats], slo: Slo, draws: Resample) -> Cap | None:
    """Most instances with which starts met their objective.

    ``waits`` has, by place of the staircase, how long each start of the climb took in the order of the
    starts, seconds; infinite where it failed. None without objective or starts.
    """
    if slo.start_p99 is None:
        return None
    usable = {place: values for place, values in waits.items() if values.size >= FEWEST_STARTS}
    reached = {place: _starts_within(values, slo.start_p99) for place, values in usable.items()}
    best = min((_p99(values) for values in usable.values()), default=None)
    name = f"start p99 within {bound(slo.start_p99)}"
    known = best if best is not None and np.isfinite(best) else None
    return _cap((name, "objective"), reached, draws, known)


def _starts_within(waits: Floats, bound_s: float) -> Reached:
    """The largest n for which at most 1 in 100 of the starts from n/2 to n took longer.

    One slow start is allowed however few there are: the 99 % point of fewer than 100 is their longest.
    """
    missed = np.concatenate([[0], np.cumsum(waits > bound_s)])
    n = np.arange(1, waits.size + 1)
    late = missed[n] - missed[n // 2]
    met = late <= np.maximum(1, np.floor(MISSED_SHARE * (n - n // 2)))
    few = n < FEWEST_STARTS
    held = n[met & ~few]
    # as few starts as these say nothing by themselves: they share the fate of the first that do
    most = int(held.max()) if held.size else 0
    return Reached(float(most), most == waits.size)


def _p99(values: Floats) -> float:
    return float(np.quantile(values, 0.99, method="inverted_cdf"))


def wall_caps(some: Sequence[Staircase], pids_kept: float, draws: Resample) -> list[Cap]:
    """Where hosts themselves refused to go on, by cause, where most climbs of a class ended so.

    ``pids_kept`` is what the plan may use of process numbers over what the trials might.
    """
    found = []
    for rule, words in WALLS.items():
        if rule == "pids":
            continue
        peaks = {
            place: Reached(float(s.peak), s.end != rule)
            for place, s in enumerate(some)
            if s.peak is not None
        }
        cap = _cap((words, "wall"), peaks, draws)
        if cap is not None and not cap.at_least:
            found.append(cap)
    return found + _pids_cap(some, pids_kept, draws)


def _pids_cap(some: Sequence[Staircase], kept: float, draws: Resample) -> list[Cap]:
    """Instances until process numbers end, from the line that each trial drew through its own steps."""
    rooms = {
        place: Reached(room * kept, at_least=False)
        for place, s in enumerate(some)
        if (room := _pids_room(s)) is not None
    }
    cap = _cap((WALLS["pids"], "wall"), rooms, draws)
    return [] if cap is None else [cap]


def _pids_room(one: Staircase) -> float | None:
    rooms = one.found.get("room_instances")
    room = rooms.get("pids") if isinstance(rooms, dict) else None
    return float(room) if isinstance(room, int | float) else None


def _cap(
    what: tuple[str, CapKind],
    reached: Mapping[int, Reached],
    draws: Resample,
    best_s: float | None = None,
) -> Cap | None:
    """Median over staircases with interval and replicates. None without staircases."""
    if not reached:
        return None
    every = list(reached.values())
    limit = limit_of(every)
    value = limit.value
    assert value is not None  # there is at least one
    low = limit.low.n if limit.low is not None else min(one.n for one in every)
    n = np.array([one.n for one in every], dtype=np.float64)
    of = draws.of(list(reached))
    drawn = np.maximum(0.0, of.around(value.n, of.medians(n)))
    if len(every) < MINIMUM_BLOCKS:
        drawn = np.minimum(drawn, value.n)
    return Cap(what[0], what[1], value.n, low, drawn, value.at_least, best_s)
