"""Tables as the report shows them: formatted, in plain words, and short; exports hold everything."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from analysis import quantities
from analysis.latency import QUANTILES
from analysis.section import ShownTable

MOST_ROWS = 150
MOST_FAR_HOSTS = 40
MOST_EXAMPLE = 160
"""Characters of an error's example."""
_NUMBER = re.compile(r"^(-?[0-9]|n/a|≥ [0-9]|not reached|> deadline)")

Row = dict[str, Any]
Tables = Mapping[str, Sequence[Row]]
Metric = tuple[str, str]


def quantiles(title: str, meaning: str, rows: Sequence[Row], metric: Metric) -> ShownTable | None:
    """Quantiles of one stage in the fleet, with intervals and failures."""
    body = [
        (
            r["conditions"],
            marked(r),
            quantities.count(r["n"]),
            quantities.count(r["unreached"]),
            *(with_interval(r, name) for name in QUANTILES),
            effective(r["p50_n_eff"]),
        )
        for r in of_metric(rows, metric)
        if r["scope"] == "fleet"
    ]
    names = [f"{p:.0%}".replace("%", " %") for p in QUANTILES.values()]
    heads = ("Conditions", "Variant", "Attempts", "Never", "Median", *names[1:], "Effective n")
    caption = (
        f"{meaning[0].upper()}{meaning[1:]}: the time within which this share of all attempts got "
        "there, and below it the 95 % interval, where there is one. Never: attempts that did not get "
        "there. n/a: too few independent values to say."
    )
    return assemble(title, caption, heads, body, "latency")


def outcomes(rows: Sequence[Row]) -> ShownTable | None:
    """How attempts ended, and how many became ready per second."""
    body = [
        (
            r["conditions"],
            marked(r),
            quantities.count(r["trials"]),
            quantities.count(r["blocks"]),
            quantities.count(r["planned"]),
            quantities.count(r["attempted"]),
            quantities.count(r["failed"]),
            over(
                quantities.share(r["failed_share"]),
                quantities.share_range(r["failed_share_low"], r["failed_share_high"]),
            ),
            quantities.count(r["skipped"] + r["lost"]),
            quantities.count(r["set_aside"]),
            over(
                quantities.rate(r["rate_per_s"]),
                quantities.rate_range(r["rate_per_s_low"], r["rate_per_s_high"]),
            ),
        )
        for r in rows
        if r["scope"] == "fleet"
    ]
    heads = (
        *("Conditions", "Variant", "Trials", "Blocks", "Planned", "Attempted", "Failed"),
        *("Failed share", "Not attempted", "Set aside", "Ready per second and host"),
    )
    caption = (
        "Measured instances, warm-ups and residents left out. Set aside: attempts in trials that are "
        "suspect or invalid. Second line: 95 % interval."
    )
    return assemble("How attempts ended", caption, heads, body, "outcomes")


def comparison(rows: Sequence[Row], metrics: Mapping[str, str]) -> ShownTable | None:
    """Paired ratios with verdict words."""
    body = [
        (
            r["conditions"],
            metrics[r["metric"]],
            f"{r['other']} against {r['baseline']}",
            r["verdict"] + (f": {r['why']}" if r["why"] else ""),
            over(quantities.ratio(r["ratio"]), quantities.ratio_range(r["ratio_low"], r["ratio_high"])),
            quantities.ratio_range(r["host_low"], r["host_high"]) if r["hosts"] > 1 else "one host",
            quantities.count(r["blocks"]),
            quantities.count(r["n"]),
        )
        for r in rows
    ]
    heads = (
        *("Conditions", "What", "Which", "Verdict"),
        *("Ratio of medians", "Single hosts", "Blocks", "Values"),
    )
    caption = (
        "Paired by block; second line: 95 % interval. Faster or slower needs a significant difference "
        "after Holm's correction, equivalent an interval within 0.95 to 1.05."
    )
    return assemble("Compared", caption, heads, body, "comparison")


def stages(rows: Sequence[Row], parts: Mapping[str, str]) -> ShownTable | None:
    """Median of every stage, one column each."""
    medians: dict[tuple[str, str], dict[str, str]] = {}
    for r in rows:
        if r["scope"] == "fleet" and r["metric"] in parts:
            of_cell = medians.setdefault((r["conditions"], marked(r)), {})
            of_cell.setdefault(r["metric"], quantities.duration(r["p50_ns"]))
    body = [
        (*key, *(found.get(name, quantities.NOT_AVAILABLE) for name in parts))
        for key, found in medians.items()
    ]
    heads = ("Conditions", "Variant", *parts)
    caption = "Medians. " + "; ".join(f"{name}: {meaning}" for name, meaning in parts.items()) + "."
    return assemble("Every stage", caption, heads, body, "latency")


def hosts(rows: Sequence[Row], metric: Metric, what: str = "Time to ready") -> ShownTable | None:
    """Median and tail of every host, or of those farthest from the fleet where there are many."""
    chosen = of_metric(rows, metric)
    of_fleet = {key_of(r): r["p50_ns"] for r in chosen if r["scope"] == "fleet"}
    of_hosts = [
        r | {"against": against(r["p50_ns"], of_fleet.get(key_of(r)))}
        for r in chosen
        if r["scope"] == "host"
    ]
    if len({r["host"] for r in of_hosts}) < 2:
        return None
    some = of_hosts
    if len(of_hosts) > MOST_ROWS:
        far = sorted(of_hosts, key=lambda r: -abs(math.log(r["against"] or 1)))
        some = far[:MOST_FAR_HOSTS]
    body = [
        (
            r["conditions"],
            r["host"],
            marked(r),
            quantities.count(r["n"]),
            quantities.count(r["unreached"]),
            with_interval(r, "p50"),
            quantities.ratio(r["against"]),
            with_interval(r, "p95"),
        )
        for r in some
    ]
    heads = ("Conditions", "Host", "Variant", "Attempts", "Never", "Median", "Against fleet", "95 %")
    which = "on each host" if some is of_hosts else "on the hosts farthest from the fleet"
    caption = f"{what} {which}; second line: 95 % interval."
    found = assemble("Host by host", caption, heads, body, "latency")
    return found and replace(found, left_out=len(of_hosts) - len(found.rows))


def reasons(rows: Sequence[Row], title: str = "Why instances failed") -> ShownTable | None:
    """Why instances did not end well."""
    body = [
        (
            r["conditions"],
            r["variant"],
            r["outcome"],
            r["error_class"],
            quantities.count(r["instances"]),
            quantities.count(r["not_counted"]),
            quantities.count(r["hosts"]),
            shortened(r["example"]),
        )
        for r in rows
    ]
    heads = ("Conditions", "Variant", "Outcome", "Cause", "Instances", "Not counted", "Hosts", "Example")
    caption = "Not counted: never attempted, or part of a trial that is set aside."
    return assemble(title, caption, heads, body, "reasons")


def of_metric(rows: Sequence[Row], metric: Metric) -> list[Row]:
    """Rows of one stage on one basis."""
    return [r for r in rows if (r["metric"], r["basis"]) == metric]


def key_of(row: Row) -> tuple[Any, ...]:
    """What tells a row's cell from all others."""
    what = row["driver"], row["profile"], row["params"], row["image"], row["limits"]
    return (*what, row["emulated"], row["virtual"])


def place_of(row: Row) -> tuple[Any, ...]:
    """What tells a row's cell and scope from all others."""
    return row["scope"], row["host_class"], row["host"], key_of(row)


def marked(row: Row) -> str:
    """A variant's name, with a warning when its numbers do not rest on valid trials."""
    warning = {
        "suspect": "suspect trials only",
        "valid and suspect": "suspect trials included",
        "failed": "nothing became ready",
        "invalid": "invalid trials only",
    }.get(row["evidence"])
    return f"{row['variant']} ({warning})" if warning else str(row["variant"])


def with_interval(row: Row, name: str) -> str:
    """A quantile over its interval; a tail without an interval is not worth printing."""
    value, low, high = row[f"{name}_ns"], row[f"{name}_low_ns"], row[f"{name}_high_ns"]
    if low is None and name != "p50":
        return quantities.NOT_AVAILABLE
    return over(quantities.duration(value), quantities.duration_range(low, high))


def over(estimate: str, interval: str) -> str:
    """An estimate with its interval on the line below, or nothing below where there is none."""
    return estimate if interval == quantities.NOT_AVAILABLE else f"{estimate}\n{interval}"


def effective(n_eff: float | None) -> str:
    """An effective number of values."""
    return quantities.NOT_AVAILABLE if n_eff is None else quantities.count(int(n_eff))


def shortened(text: str | None) -> str:
    """An error's words on one line, cut to a bearable length."""
    flat = " ".join((text or "").split())
    return flat if len(flat) <= MOST_EXAMPLE else f"{flat[: MOST_EXAMPLE - 1]}…"


def against(host_ns: float, fleet_ns: float | None) -> float | None:
    """A host's median over the fleet's, where both are numbers."""
    if not fleet_ns or not host_ns or math.isinf(host_ns) or math.isinf(fleet_ns):
        return None
    return host_ns / fleet_ns


def assemble(
    title: str, caption: str, heads: tuple[str, ...], body: Sequence[tuple[str, ...]], full: str
) -> ShownTable | None:
    """The table without the columns that say nothing, cut to ``MOST_ROWS``; None when it is empty."""
    if not body:
        return None
    silent = {
        "Conditions": {"same for all"},
        "Single hosts": {"one host"},
        "Ready per second and host": {quantities.NOT_AVAILABLE},
    }
    kept = [i for i, head in enumerate(heads) if not {row[i] for row in body} <= silent.get(head, set())]
    rows = [tuple(row[i] for i in kept) for row in body[:MOST_ROWS]]
    return ShownTable(
        title=title,
        caption=caption,
        columns=tuple(heads[i] for i in kept),
        rows=tuple(rows),
        numeric=tuple(all(_NUMBER.match(cell) for cell in column) for column in zip(*rows, strict=True)),
        full=full,
        left_out=max(0, len(body) - MOST_ROWS),
    )
