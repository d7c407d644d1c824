"""When a staircase ends: each rule as a pure function of what was seen. None means: go on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from workers.gauge import Gauge

RuleName = Literal[
    "memory_floor", "memory_pressure", "swap", "start_failures", "slo", "count", "deadline", "pids"
]

MARGIN_SHARE = 0.0025
"""Of the host's memory: kept free above the floor, for what others on the host may take meanwhile."""
SUCCESS_SHARE = 0.999
"""Of the probes of a step: what must be answered for the objective to be met."""
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the staircase goes no higher."""

    rule: RuleName
    text: str
    urgent: bool = False
    """The host is in need now: nothing more is measured at this height."""


@dataclass(frozen=True, slots=True)
class Rails:
    """The bounds that protect the host, for one host and trial."""

    floor_bytes: int
    """Least MemAvailable."""
    pids_reserve: int
    """Process and thread numbers that stay free."""
    psi_memory_full_percent: float | None
    swap_in_bytes_per_s: float | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What starts that are under way, and the next one, will still take."""

    memory_bytes: float = 0.0
    pids: float = 0.0


def memory_floor(gauge: Gauge, rails: Rails, expected: Expected | None = None) -> Stop | None:
    """MemAvailable has fallen below the floor; or, with ``expected``, would come too near to it."""
    available = gauge.mem_available_bytes
    if available < rails.floor_bytes:
        words = f"MemAvailable is {_mib(available)}, below the floor of {_mib(rails.floor_bytes)}"
        return Stop("memory_floor", words, urgent=True)
    if expected is None:
        return None
    margin = MARGIN_SHARE * gauge.mem_total_bytes
    if available - expected.memory_bytes - margin >= rails.floor_bytes:
        return None
    words = (
        f"MemAvailable is {_mib(available)}; what is being started would take about "
        f"{_mib(expected.memory_bytes)}, too near to the floor of {_mib(rails.floor_bytes)}"
    )
    return Stop("memory_floor", words)


def pids(gauge: Gauge, rails: Rails, expected: Expected) -> Stop | None:
    """Too few process and thread numbers would be left."""
    left = gauge.pids_max - gauge.tasks
    if left - expected.pids >= rails.pids_reserve:
        return None
    words = (
        f"{gauge.tasks} of {gauge.pids_max} process and thread numbers are in use, and "
        f"{rails.pids_reserve} stay free"
    )
    return Stop("pids", words, urgent=left < rails.pids_reserve)


def memory_pressure(gauge: Gauge, rails: Rails) -> Stop | None:
    """All tasks stood still for want of memory for too large a share of the last 10 s."""
    bound, stalled = rails.psi_memory_full_percent, gauge.psi_memory_full
    if bound is None or stalled is None or stalled <= bound:
        return None
    words = f"all tasks waited for memory in {stalled:.1f} % of the last 10 s, more than {bound:g} %"
    return Stop("memory_pressure", words, urgent=True)


def swap(swapped_in_bytes_per_s: float | None, rails: Rails) -> Stop | None:
    """The host reads memory back from swap."""
    bound = rails.swap_in_bytes_per_s
    if bound is None or swapped_in_bytes_per_s is None or swapped_in_bytes_per_s <= bound:
        return None
    words = f"{_mib(swapped_in_bytes_per_s)} per second come back from swap, more than {_mib(bound)}"
    return Stop("swap", words, urgent=True)


def start_failures(went_well: Sequence[bool], most: int, among: int) -> Stop | None:
    """``most`` of the last ``among`` instances did not become ready, or died."""
    failed = sum(not good for good in went_well[-among:])
    if failed < most:
        return None
    return Stop("start_failures", f"{failed} of the last {min(among, len(went_well))} starts failed")


def slo(latencies_ns: Sequence[int | None], p99_ns: float | None) -> Stop | None:
    """The objective is missed: p99 of the probes, or the share that was answered (None: not)."""
    if p99_ns is None or not latencies_ns:
        return None
    lost = sum(latency is None for latency in latencies_ns)
    if lost > (1 - SUCCESS_SHARE) * len(latencies_ns):
        return Stop("slo", f"{lost} of {len(latencies_ns)} probes were not answered in time")
    found = quantile([math.inf if ns is None else ns for ns in latencies_ns], 0.99)
    if found <= p99_ns:
        return None
    words = f"p99 of {len(latencies_ns)} probes is {found / 1e6:.1f} ms, more than {p99_ns / 1e6:g} ms"
    return Stop("slo", words)


def count(asked: int, most: int) -> Stop | None:
    """As many instances were asked for as the campaign wants at most."""
    return Stop("count", f"all {most} instances were asked for") if asked >= most else None


def deadline(now_ns: int, step_ns: int, deadline_ns: int) -> Stop | None:
    """Another step as long as the last one would not end in time."""
    if now_ns + step_ns <= deadline_ns:
        return None
    words = f"another step of {step_ns / 1e9:.1f} s would not end within {deadline_ns / 1e9:.1f} s"
    return Stop("deadline", words)


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest-rank quantile: the smallest value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _mib(amount: float) -> str:
    return f"{amount / _MIB:.0f} MiB"
