"""Tables of density as the report shows them."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from analysis import quantities
from analysis.section import ShownTable
from analysis.shown import MOST_FAR_HOSTS, MOST_ROWS, Row, assemble, key_of, marked, over

STOPS = {
    "count": "the campaign asked for no more",
    "memory_floor": "the host's memory came near its floor",
    "memory_pressure": "the host's tasks waited for memory",
    "swap": "the host read memory back from swap",
    "start_failures": "starts failed",
    "slo": "the probes missed their objective",
    "pids": "process numbers ran short",
    "deadline": "another step would not have ended in time",
    "not said": "the trial ended without saying why",
}
"""What ended a climb, by the names of the experiment's rules."""
LIMITING = {
    "memory": "memory",
    "cpu": "processors",
    "pids": "process numbers",
    "start": "starting",
    "slo": "latency",
    "none": "none",
}

Rows = Sequence[Row]


def costs(slopes: Rows) -> ShownTable | None:
    """What one instance more costs by every measure, with intervals."""
    of_cell: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for r in slopes:
        if r["scope"] == "fleet":
            of_cell[r["conditions"], marked(r)][r["measure"]] = r
    body = [
        (
            *key,
            quantities.count(max(r["staircases"] for r in found.values())),
            *(_cost(found.get(name)) for name in ("mem_used", "pss", "instances_pss")),
            _cost(found.get("instances_cgroup")),
            _cost(found.get("cpu_busy"), quantities.processors, quantities.processors_range),
            quantities.size(found["mem_used"]["base"] if "mem_used" in found else None),
        )
        for key, found in of_cell.items()
    ]
    heads = (
        *("Conditions", "Variant", "Staircases", "Host's memory", "PSS of all", "PSS of instances"),
        *("Control groups", "Processors", "Empty host"),
    )
    caption = (
        "Slope per instance on the way up; second line: 95 % interval over staircases. Host's memory: "
        "fall of MemAvailable, which counts what no process is charged for. PSS of all: all "
        "processes of the host, engines included. Control groups: what the instances' own groups are "
        "charged with, page cache included. Empty host: memory in use before the climb."
    )
    return assemble("What one instance more costs", caption, heads, body, "slopes")


def limits(rows: Rows, knees: Rows) -> ShownTable | None:
    """How far the staircases went and what ended them."""
    of_cell = {(r["conditions"], r["variant"], r["measure"]): r for r in knees if r["scope"] == "fleet"}
    body = [
        (
            r["conditions"],
            marked(r),
            quantities.count(r["staircases"]),
            quantities.count(r["not_counted"]),
            over(quantities.count(r["peak"]), _spread(r["peak_least"], r["peak_most"])),
            in_words(r["stop_rules"], STOPS),
            in_words(r["limiting"], LIMITING),
            _objective(r),
            *(
                _knee(of_cell.get((r["conditions"], r["variant"], name)), r)
                for name in ("probe_p50", "probe_p99", "mem_used")
            ),
            over(
                quantities.size(r["left_bytes"]),
                quantities.size_range(r["left_bytes_low"], r["left_bytes_high"]),
            ),
        )
        for r in rows
        if r["scope"] == "fleet"
    ]
    heads = (
        *("Conditions", "Variant", "Staircases", "Not counted", "Held at once", "Ended because"),
        *("Limiting resource", "Within objective", "Knee of median latency", "Knee of p99"),
        *("Knee of memory", "Left after descent"),
    )
    caption = (
        "Held at once: median over staircases, and their range below it. Limiting resource: what ended "
        "the climb or, by the trial's own slopes, would have ended it first. Within objective: most "
        "instances whose probes met the campaign's p99 with 99.9 % answered. A knee is where two lines "
        "fit better than one by more than 6 in BIC; ≥ says that the climb ended before one showed. Left "
        "after descent: memory of the empty host then, less that before. Second line: 95 % interval."
    )
    return assemble("How many were held, and what ended it", caption, heads, body, "limits")


def steps(rows: Rows) -> ShownTable | None:
    """Every step: medians over staircases."""
    alike: dict[tuple[str, str, str, float], list[Row]] = defaultdict(list)
    for r in rows:
        if r["counted"]:
            key = r["conditions"], marked(r), r["direction"], r["instances"]
            alike[key].append(r)
    body = [
        (
            conditions,
            variant,
            f"{quantities.count(n)} {direction}",
            quantities.count(len(some)),
            quantities.size(_median(some, "mem_used_bytes")),
            quantities.size(_median(some, "pss_bytes")),
            quantities.processors(_median(some, "cpu_busy")),
            quantities.duration(_median(some, "p50_ns")),
            quantities.duration(_median(some, "p99_ns")),
            _of(sum(r["lost"] or 0 for r in some), sum(r["probes"] or 0 for r in some)),
            _of(_sum(some, "start_failures"), _sum(some, "asked")),
        )
        for (conditions, variant, direction, n), some in alike.items()
    ]
    heads = (
        *("Conditions", "Variant", "Instances", "Staircases", "Host's memory", "PSS of all"),
        *("Processors", "Median latency", "p99", "Probes lost", "Starts failed"),
    )
    caption = (
        "Medians over staircases, in the order in which the steps were taken. > deadline: the quantile "
        "lies among lost probes."
    )
    return assemble("Step by step", caption, heads, body, "steps")


def hosts(slopes: Rows, rows: Rows) -> ShownTable | None:
    """Memory per instance and instances held on every host; None with a single host."""
    held = {(r["conditions"], r["variant"], r["host"]): r for r in rows if r["scope"] == "host"}
    every = [r for r in slopes if r["scope"] == "host" and r["measure"] == "mem_used"]
    body = []
    for r in _farthest(every, slopes):
        limit = held[r["conditions"], r["variant"], r["host"]]
        peak = over(quantities.count(limit["peak"]), _spread(limit["peak_least"], limit["peak_most"]))
        ended = in_words(limit["stop_rules"], STOPS)
        named = r["conditions"], r["host"], marked(r)
        body.append((*named, quantities.count(r["staircases"]), _cost(r), peak, ended))
    if len({row[1] for row in body}) < 2:
        return None
    heads = (
        "Conditions",
        "Host",
        "Variant",
        "Staircases",
        "Host's memory",
        "Held at once",
        "Ended because",
    )
    which = "" if len(body) == len(every) else ", on the hosts farthest from the fleet"
    caption = (
        f"Memory that one instance more takes{which}; second line: 95 % interval, or range over "
        "staircases."
    )
    found = assemble("Density host by host", caption, heads, body, "slopes")
    return found and replace(found, left_out=len(every) - len(found.rows))


def _farthest(of_hosts: Rows, slopes: Rows) -> Rows:
    """All hosts, or where they are many those whose slope is farthest from the fleet's."""
    if len(of_hosts) <= MOST_ROWS:
        return of_hosts
    fleet = {
        key_of(r): r["slope"] for r in slopes if r["scope"] == "fleet" and r["measure"] == "mem_used"
    }
    far = sorted(of_hosts, key=lambda r: -abs(r["slope"] - fleet.get(key_of(r), r["slope"])))
    return far[:MOST_FAR_HOSTS]


def in_words(counted: str, words: dict[str, str]) -> str:
    """Words with how often each applied, from JSON; a single one without its number."""
    found: dict[str, int] = json.loads(counted)
    named = [(words.get(name, name.replace("_", " ")), number) for name, number in found.items()]
    if len(named) == 1:
        return named[0][0]
    return "; ".join(f"{word} ({number} of {sum(found.values())})" for word, number in named) or "n/a"


def _cost(
    row: Row | None,
    shown: Callable[[Any], str] = quantities.size,
    spread: Callable[[Any, Any], str] = quantities.size_range,
) -> str:
    if row is None:
        return quantities.NOT_AVAILABLE
    return over(shown(row["slope"]), spread(row["slope_low"], row["slope_high"]))


def _objective(row: Row) -> str:
    if row["slo_ns"] is None or row["slo_n"] is None:
        return quantities.NOT_AVAILABLE
    value = at_least(row["slo_n"], cut=row["slo_at_least"])
    if row["slo_n_low"] is None or row["slo_n_low"] == row["slo_n_high"]:
        return value
    high = at_least(row["slo_n_high"], cut=row["slo_high_at_least"])
    return f"{value}\n{quantities.count(row['slo_n_low'])} to {high}"


def at_least(n: float, *, cut: bool) -> str:
    """A number of instances, marked when it could have been more."""
    return f"≥ {quantities.count(n)}" if cut else quantities.count(n)


def _knee(knee: Row | None, limit: Row) -> str:
    if knee is None or limit["peak"] is None:
        return quantities.NOT_AVAILABLE
    if not knee["found"]:
        return at_least(limit["peak"], cut=True)
    return over(quantities.count(knee["knee"]), _spread(knee["knee_low"], knee["knee_high"]))


def _spread(low: float | None, high: float | None) -> str:
    if low is None or high is None or low == high:
        return quantities.NOT_AVAILABLE
    return f"{quantities.count(low)} to {quantities.count(high)}"


def _median(rows: Rows, name: str) -> float | None:
    known = [r[name] for r in rows if r[name] is not None]
    return median(known) if known else None


def _sum(rows: Rows, name: str) -> float:
    return sum(r[name] or 0 for r in rows)


def _of(part: float, whole: float) -> str:
    return (
        f"{quantities.count(part)} of {quantities.count(whole)}" if whole else quantities.NOT_AVAILABLE
    )
