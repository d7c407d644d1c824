"""Tables of recovery as the report shows them."""

import math
from collections import defaultdict
from collections.abc import Sequence

from analysis import quantities
from analysis.recovery.injections import PHASES
from analysis.section import ShownTable
from analysis.shown import Row, assemble, marked, over, with_interval


def outcomes(rows: Sequence[Row]) -> ShownTable | None:
    """How many came back, how fast and at what cost."""
    body = [
        (
            *_named(r),
            marked(r),
            quantities.count(r["injections"]),
            quantities.count(r["recovered"]),
            over(
                quantities.share(r["unrecovered_share"]),
                quantities.share_range(r["unrecovered_share_low"], r["unrecovered_share_high"]),
            ),
            median(r),
            over(
                quantities.duration(r["down_ns"]),
                quantities.duration_range(r["down_low_ns"], r["down_high_ns"]),
            ),
            over(
                quantities.duration(r["outage_ns"]),
                quantities.duration_range(r["outage_low_ns"], r["outage_high_ns"]),
            ),
            quantities.count(r["lost_requests"]),
            quantities.count(r["died"]),
            quantities.count(r["not_injected"] + r["set_aside"]),
        )
        for r in rows
        if r["scope"] == "fleet"
    ]
    heads = (
        *("Fault", "Supervision", "Conditions", "Variant", "Injections", "Recovered"),
        *("Not recovered", "Median", "Expected downtime", "Outage", "Lost requests"),
        *("Process died", "Not counted"),
    )
    caption = (
        "Not recovered: share of the injections, by the deadline. Median: Kaplan–Meier. Expected "
        "downtime: mean time until recovery, every injection counted up to the deadline at most. "
        "Outage: probes without a good reply times their period, median. Not counted: never injected, "
        "or part of a trial that is set aside. Second line: 95 % interval."
    )
    return assemble("What came back, and when", caption, heads, body, "outcomes")


def stages(latency: Sequence[Row], rows: Sequence[Row]) -> ShownTable | None:
    """Detection, action and readiness apart, with intervals and tails."""
    fleet = {(r["conditions"], r["variant"]): r for r in rows if r["scope"] == "fleet"}
    cells: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for r in latency:
        if r["scope"] == "fleet" and r["basis"] == "successful":
            cells[r["conditions"], r["variant"]][r["metric"]] = r
    names = [phase.name for phase in PHASES]
    body = [
        (
            *_named(fleet[key]),
            marked(fleet[key]),
            quantities.count(max(found[name]["n"] for name in names if name in found)),
            *(_quantile(found.get(name), p) for name in names for p in ("p50", "p95")),
        )
        for key, found in cells.items()
        if key in fleet and set(names) & set(found)
    ]
    heads = (
        *("Fault", "Supervision", "Conditions", "Variant", "Injections"),
        *(f"{name.capitalize()}, {p}" for name in names for p in ("median", "95 %")),
    )
    meanings = "; ".join(f"{phase.name}: {phase.meaning}" for phase in PHASES)
    caption = f"{meanings}. Each counts from the end of the one before. Second line: 95 % interval."
    return assemble("Detect, act, ready", caption, heads, body, "latency")


def median(row: Row) -> str:
    """The median time to recover over its interval; where it was not reached, how long that took."""
    value, low, high = row["median_ns"], row["median_low_ns"], row["median_high_ns"]
    if value is None:
        return quantities.NOT_AVAILABLE
    if low is not None and math.isinf(low):
        return "not reached"
    shown = "not reached" if math.isinf(value) else quantities.duration(value)
    return over(shown, quantities.duration_range(low, high))


def _quantile(row: Row | None, name: str) -> str:
    return quantities.NOT_AVAILABLE if row is None else with_interval(row, name)


def _named(row: Row) -> tuple[str, str, str]:
    """Fault, supervision, and what else varied."""
    return row["fault"].replace("_", " "), row["supervision"].replace("_", " "), row["beside"]
