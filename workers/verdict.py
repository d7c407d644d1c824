"""Whether a trial may be believed: valid, suspect or invalid, with reasons in plain words. Pure."""

from dataclasses import dataclass
from statistics import median

from contract.rows import InstanceRow
from contract.trial import Outcome, VerdictWord

QUIET_CPU_SHARE = 0.2
"""Share of the host's processors that others may use just before a trial."""
HARNESS_CPUS = 0.7
"""Processors that the worker may use on average where instances are in flight together.

A busier harness then delays what it measures. With one instance at a time it cannot: it works in turn
with the engine, and for bare processes it is what makes them.
"""
LAG_FLOOR_NS = 5_000_000
LAG_SHARE = 0.05
"""The loop's p99 lateness may be this share of the trial's median latency, or the floor."""
CLOCK_DRIFT_NS = 50_000_000
"""Wall clock against monotonic clock over one trial: more is a jump."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict is found from."""

    outcome: Outcome
    rows: list[InstanceRow]
    planned: int
    busy_share_before: float
    foreign_instances: int
    harness_cpus: float
    lag_p99_ns: int
    clock_drift_ns: int
    swept: int
    """Leftovers of an earlier trial that had to be removed before this one."""
    left: int
    """Things that this trial left and the sweep after it removed."""
    voids: tuple[str, ...] = ()
    """Why its experiment says that it must not be believed."""


def judge(evidence: Evidence) -> tuple[VerdictWord, tuple[str, ...]]:
    """The verdict and its reasons. Reasons for invalid come first."""
    invalid = _why_invalid(evidence)
    suspect = [*_why_host_suspect(evidence), *_why_harness_suspect(evidence)]
    word: VerdictWord = "invalid" if invalid else "suspect" if suspect else "valid"
    return word, (*invalid, *suspect)


def _why_invalid(evidence: Evidence) -> list[str]:
    why = [*evidence.voids]
    if evidence.outcome in ("failed", "skipped", "lost"):
        why.append(f"the trial {evidence.outcome}" if evidence.outcome == "failed" else evidence.outcome)
    if len(evidence.rows) != evidence.planned:
        why.append(f"{len(evidence.rows)} instance rows for {evidence.planned} planned instances")
    if any(not _in_order(row) for row in evidence.rows):
        why.append("stamps out of order")
    if abs(evidence.clock_drift_ns) > CLOCK_DRIFT_NS:
        why.append(f"the wall clock jumped by {evidence.clock_drift_ns / 1e6:.0f} ms during the trial")
    return why


def _why_host_suspect(evidence: Evidence) -> list[str]:
    why = []
    if evidence.busy_share_before > QUIET_CPU_SHARE:
        why.append(
            f"host not quiet: {evidence.busy_share_before:.0%} of its CPU in use before the trial"
        )
    if evidence.foreign_instances:
        why.append(f"foreign instances on the host: {evidence.foreign_instances}")
    if evidence.swept:
        why.append(f"leftovers of an earlier trial that had to be removed first: {evidence.swept}")
    if evidence.left:
        why.append(f"left behind by the trial and swept: {evidence.left}")
    if evidence.outcome == "partial":
        why.append("the trial was cut short")
    return why


def _why_harness_suspect(evidence: Evidence) -> list[str]:
    why = []
    together = any(row.concurrency != 1 for row in evidence.rows)
    if together and evidence.harness_cpus > HARNESS_CPUS:
        why.append(f"the worker itself used {evidence.harness_cpus:.2f} CPUs")
    latencies = [r.t_ready - r.t_intent for r in evidence.rows if r.t_ready and r.t_intent is not None]
    allowed = max(LAG_FLOOR_NS, LAG_SHARE * median(latencies)) if latencies else LAG_FLOOR_NS
    if evidence.lag_p99_ns > allowed:
        late_ms, allowed_ms = evidence.lag_p99_ns / 1e6, allowed / 1e6
        why.append(f"the worker's loop ran {late_ms:.1f} ms late (p99; {allowed_ms:.1f} allowed)")
    return why


def _in_order(row: InstanceRow) -> bool:
    """Stamps that exist never go back in time, up and down each on their own."""
    up = (row.t_intent, row.t_call, row.t_created, row.t_started, row.t_beacon, row.t_ready)
    down = (row.t_stop_call, row.t_gone, row.t_reclaimed)
    return all(list(s) == sorted(s) for s in ([t for t in way if t is not None] for way in (up, down)))
