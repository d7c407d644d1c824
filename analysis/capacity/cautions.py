"""What limits belief in a plan, in sentences."""

import numpy as np

from analysis import quantities
from analysis.capacity.answer import Constraint
from analysis.capacity.evidence import Evidence
from analysis.capacity.situation import NAMES, Situation
from analysis.statistics.blocks import Floats

BUSY_SHARE = 0.1
"""Of its processors a host used so much before any instance came: other work was in the numbers."""
FAR = 2.0
"""Times the highest number that was measured: a line is not to be trusted beyond."""
_FLOOR = (
    "Detection was seen on single instances, not on lost hosts, which are noticed later: the time to "
    "restore is a floor. Give 'detect', or measure failover."
)


def cautions_of(
    now: Situation, density: int, hosts: Floats, binding: Constraint | None
) -> tuple[str, ...]:
    """Everything to know before the plan for ``density`` instances a host and its draws is relied on."""
    evidence = now.evidence
    flat = [NAMES[line.resource] for line in now.lines() if line.flat]
    lost = float(np.isinf(hosts).mean())
    unrecovered = evidence.unrecovered_share or 0.0
    floor = evidence.detection is not None and evidence.detection.source == "recovery"
    said = (
        (evidence.virtual, "Time was simulated: nothing here is real."),
        (evidence.emulated, "Measured on an emulated CPU: on a real one everything is faster."),
        (evidence.belief != "valid", f"The numbers rest on trials that are {evidence.belief}."),
        (_was_busy(evidence), _busy(evidence)),
        (density > evidence.peak, _beyond(density, evidence.peak)),
        (binding is not None and binding.at_least, _ended_first(binding)),
        (
            bool(flat),
            f"No use of {' and '.join(flat)} could be seen that surely grows with the instances.",
        ),
        (floor and now.demand.rto is not None, _FLOOR),
        (
            unrecovered > 0,
            f"After some faults {quantities.share(unrecovered)} of the instances were not brought back.",
        ),
        (0 < lost < 1, f"In {quantities.share(lost)} of the draws no number of hosts would do."),
    )
    return tuple(text for is_so, text in said if is_so)


def _was_busy(evidence: Evidence) -> bool:
    cpu, count = evidence.line("cpu"), evidence.cpu_count
    return cpu is not None and count is not None and cpu.base > BUSY_SHARE * count


def _busy(evidence: Evidence) -> str:
    cpu = evidence.line("cpu")
    used = quantities.processors(cpu.base if cpu else None)
    return (
        f"Without any instance its hosts used {used} of {quantities.count(evidence.cpu_count or 0)} "
        "processors, and the plan leaves that to whatever it was. If it will not run there, measure "
        "again while it does not."
    )


def _ended_first(binding: Constraint | None) -> str:
    what = binding.name if binding is not None else ""
    return (
        f"What binds is {what}, and the climbs ended before it was missed: hosts may hold more. "
        "Measure higher to know."
    )


def _beyond(density: int, peak: int) -> str:
    planned, held = quantities.count(density), quantities.count(peak)
    if density <= FAR * peak:
        return (
            f"{planned} instances on a host are more than the {held} that were ever held at once: "
            "beyond what was measured."
        )
    return (
        f"{planned} instances on a host are {density / peak:.1f} times the {held} that were ever held "
        f"at once: beyond {FAR:g} times that number no line is to be trusted. Measure higher, or set "
        "'extrapolate'."
    )
