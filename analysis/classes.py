"""Tables by host class, where a dataset has more than one class of hosts."""

from collections.abc import Sequence

from analysis import quantities
from analysis.section import ShownTable
from analysis.shown import Metric, Row, against, assemble, key_of, marked, of_metric, over, with_interval

_NOTE = "Numbers of different classes are not those of one machine; second line: 95 % interval."


def latencies(rows: Sequence[Row], metric: Metric, what: str) -> ShownTable | None:
    """Median and tail of a stage in every class of hosts, beside the fleet's."""
    chosen = of_metric(rows, metric)
    of_fleet = {key_of(r): r["p50_ns"] for r in chosen if r["scope"] == "fleet"}
    body = [
        (
            r["conditions"],
            marked(r),
            r["host_class"],
            quantities.count(r["n"]),
            quantities.count(r["unreached"]),
            with_interval(r, "p50"),
            quantities.ratio(against(r["p50_ns"], of_fleet.get(key_of(r)))),
            with_interval(r, "p95"),
        )
        for r in chosen
        if r["scope"] == "class"
    ]
    heads = (
        *("Conditions", "Variant", "Host class", "Attempts", "Never", "Median"),
        *("Against fleet", "95 %"),
    )
    return assemble(f"{what} by host class", _NOTE, heads, body, "latency")


def densities(slopes: Sequence[Row], limits: Sequence[Row]) -> ShownTable | None:
    """What an instance takes, and how many were held, in every class of hosts."""
    memory = {
        (r["host_class"], key_of(r)): r
        for r in slopes
        if r["scope"] == "class" and r["measure"] == "mem_used"
    }
    body = []
    for r in limits:
        if r["scope"] != "class":
            continue
        cost = memory.get((r["host_class"], key_of(r)))
        each = quantities.NOT_AVAILABLE
        if cost is not None:
            spread = quantities.size_range(cost["slope_low"], cost["slope_high"])
            each = over(quantities.size(cost["slope"]), spread)
        ends = f"{quantities.count(r['peak_least'])} to {quantities.count(r['peak_most'])}"
        held = quantities.count(r["peak"])
        body.append(
            (
                r["conditions"],
                marked(r),
                r["host_class"],
                quantities.count(r["staircases"]),
                each,
                held if r["peak_least"] == r["peak_most"] else over(held, ends),
                quantities.size(r["room_bytes"]),
            )
        )
    heads = (
        *("Conditions", "Variant", "Host class", "Staircases", "Memory per instance"),
        *("Held at once", "Room for instances"),
    )
    caption = f"Room: memory between the empty host and the floor under it. {_NOTE}"
    return assemble("Density by host class", caption, heads, body, "limits")


def recoveries(rows: Sequence[Row]) -> ShownTable | None:
    """How many came back and how fast, in every class of hosts."""
    body = [
        (
            r["conditions"],
            marked(r),
            r["host_class"],
            quantities.count(r["injections"]),
            quantities.count(r["recovered"]),
            over(
                quantities.duration(r["median_ns"]),
                quantities.duration_range(r["median_low_ns"], r["median_high_ns"]),
            ),
            over(
                quantities.duration(r["down_ns"]),
                quantities.duration_range(r["down_low_ns"], r["down_high_ns"]),
            ),
        )
        for r in rows
        if r["scope"] == "class"
    ]
    heads = (
        *("Conditions", "Variant", "Host class", "Injections", "Recovered", "Median"),
        "Expected downtime",
    )
    return assemble("Recovery by host class", _NOTE, heads, body, "outcomes")
