"""Every metric of the Prometheus endpoints, declared once: name, kind, labels, meaning.

Names follow https://prometheus.io/docs/practices/naming/: base units, ``_total`` for counters, which
stands in the names here as it is queried. No label takes a value that grows with a campaign, such as a
trial's id.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class MetricName:
    """One metric as it is exposed."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    """Beside the label that every metric of its side has: ``host`` or ``campaign``."""
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's."""


TRIAL_BUCKETS_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

_WHAT = ("experiment", "driver")

WORKER_METRICS = (
    MetricName(
        "tonnage_worker_build_info",
        "gauge",
        "1; which version of Tonnage, contract and Python the worker is",
        ("version", "contract", "python"),
    ),
    MetricName(
        "tonnage_worker_hosts", "gauge", "hosts that the worker stands for: 1, or those simulated"
    ),
    MetricName(
        "tonnage_worker_start_time_seconds", "gauge", "when the worker began, Unix time in seconds"
    ),
    MetricName("tonnage_broker_up", "gauge", "1 while the last heartbeat reached the broker, else 0"),
    MetricName(
        "tonnage_heartbeat_age_seconds", "gauge", "since the last heartbeat that reached the broker"
    ),
    MetricName(
        "tonnage_clock_offset_seconds", "gauge", "the broker's clock minus the host's, as last compared"
    ),
    MetricName("tonnage_clock_error_seconds", "gauge", "by how much that may be wrong, either way"),
    MetricName(
        "tonnage_trials_total",
        "counter",
        "trials that became a record here",
        (*_WHAT, "outcome", "verdict"),
    ),
    MetricName(
        "tonnage_trial_duration_seconds",
        "histogram",
        "from a trial's lease to its packed part: preparing, waiting for quiet and sweeps are in it",
        _WHAT,
        TRIAL_BUCKETS_S,
    ),
    MetricName("tonnage_trial_running", "gauge", "1 while a trial is being measured", _WHAT),
    MetricName(
        "tonnage_trial_running_seconds", "gauge", "how long the trial has been measured; 0 when none is"
    ),
    MetricName(
        "tonnage_orders_dropped_total",
        "counter",
        "orders of which no record came: `cancelled` before or during the trial, or `elsewhere`, since "
        "another worker is at it",
        ("reason",),
    ),
    MetricName(
        "tonnage_messages_refused_total",
        "counter",
        "messages that the worker refused, by cause",
        ("cause",),
    ),
    MetricName(
        "tonnage_leases_lost_total",
        "counter",
        "trials whose lease could not be renewed in time, so that they count as lost",
    ),
    MetricName(
        "tonnage_parts_delivered_total",
        "counter",
        "parts that their campaigns have; `late` ones had to wait in the spool",
        ("when",),
    ),
    MetricName("tonnage_parts_delivered_bytes_total", "counter", "their size"),
    MetricName("tonnage_spool_waiting_parts", "gauge", "parts in the spool that nobody has taken"),
    MetricName("tonnage_spool_waiting_bytes", "gauge", "their size"),
    MetricName(
        "tonnage_leftovers_swept_total",
        "counter",
        "instances and other things that earlier trials left, by when they were found: `before` or "
        "`after` a trial, or when `asked` by `tonnage sweep --fleet`",
        ("when",),
    ),
    MetricName(
        "tonnage_harness_cpu_seconds_total",
        "counter",
        "CPU time of the worker itself: `measuring` is its measuring process during trials, `presence` "
        "the process that speaks to the broker and answers scrapes",
        ("process",),
    ),
)

COORDINATOR_METRICS = (
    MetricName(
        "tonnage_coordinator_build_info",
        "gauge",
        "1; which version of Tonnage, contract and Python the coordinator is",
        ("version", "contract", "python"),
    ),
    MetricName(
        "tonnage_campaign_start_time_seconds", "gauge", "when this run of it began, Unix time in seconds"
    ),
    MetricName(
        "tonnage_campaign_trials_planned", "gauge", "trials that this run is to have in the end", _WHAT
    ),
    MetricName(
        "tonnage_campaign_trials_done",
        "gauge",
        "those that have a record by now, whatever its outcome, earlier runs' included",
        _WHAT,
    ),
    MetricName(
        "tonnage_campaign_trials_ended_total",
        "counter",
        "trials that ended during this run; those with outcome `lost` or `skipped`, and some that "
        "`failed`, were recorded by the coordinator itself",
        (*_WHAT, "outcome", "verdict"),
    ),
    MetricName(
        "tonnage_campaign_trials_lost_total",
        "counter",
        "attempts that had neither message nor lease nor part any more",
        _WHAT,
    ),
    MetricName(
        "tonnage_campaign_trials_resent_total", "counter", "those that were sent once more", _WHAT
    ),
    MetricName(
        "tonnage_campaign_hosts",
        "gauge",
        "hosts of the campaign by state: `alive`, `away`, or `quarantined` during this run",
        ("state",),
    ),
    MetricName(
        "tonnage_campaign_parts_received_total",
        "counter",
        "parts that came in for a trial that had not ended, the coordinator's own records included",
    ),
    MetricName("tonnage_campaign_parts_received_bytes_total", "counter", "their size"),
    MetricName(
        "tonnage_campaign_stream_waiting",
        "gauge",
        "completion records on the broker that the coordinator has not taken yet",
    ),
    MetricName(
        "tonnage_campaign_left_seconds",
        "gauge",
        "time left at the rate so far; absent before the first trial has ended",
    ),
)
