"""What a plan cannot know, in plain sentences: a step without evidence is left out, never guessed."""

from analysis import quantities
from analysis.capacity.demand import Demand
from analysis.capacity.evidence import Evidence
from analysis.statistics.blocks import MINIMUM_BLOCKS


def what_is_missing(found: Evidence, demand: Demand) -> tuple[str, ...]:
    """What the evidence lacks for this demand, a sentence each."""
    capped = " ".join(cap.name for cap in found.caps)
    mem, cpu = found.line("mem"), found.line("cpu")
    climbs = quantities.plural(found.staircases, "climb")
    said = (
        (mem is None, "the use of memory was not sampled, so memory bounds nothing"),
        (cpu is None, "the use of processors was not sampled, so they bound nothing"),
        (
            mem is not None and found.mem_bytes is None,
            "nobody knows how much memory its hosts have, so memory bounds nothing",
        ),
        (
            cpu is not None and found.cpu_count is None,
            "nobody knows how many processors its hosts have, so they bound nothing",
        ),
        (
            demand.slo.probe_p99 is not None and "probe p99" not in capped,
            "no probes were sent, so whether the objective for them is met is not known",
        ),
        (
            demand.slo.start_p99 is not None and "start p99" not in capped,
            "too few starts were seen to say whether the objective for them is met",
        ),
        (demand.rto is not None and found.starts is None, f"no start was timed, {_NO_RTO}"),
        (demand.rto is not None and found.detection is None, _NO_LOSS),
        (
            demand.rto is not None and not demand.images.prepulled and found.image_bytes is None,
            f"no deployment was measured, {_NO_RTO}",
        ),
        (found.staircases < MINIMUM_BLOCKS, f"with {climbs} {_NO_SPREAD}"),
    )
    return tuple(f"{found.variant} on {found.host_class}: {text}." for is_so, text in said if is_so)


_NO_RTO = "so nothing can be said of the RTO"
_NO_LOSS = (
    f"no loss was observed, so how long it takes to notice one is not known, and {_NO_RTO[3:]}; give "
    "'detect' in the demand, or measure failover or recovery"
)
_NO_SPREAD = (
    "nothing is known of how much hosts and blocks differ, so the spread of the answer is too narrow"
)
