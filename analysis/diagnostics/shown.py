"""Tables of the diagnostics as the report shows them."""

from collections.abc import Sequence

from analysis import quantities
from analysis.diagnostics.rows import ALL
from analysis.diagnostics.words import chance, notable
from analysis.section import ShownTable
from analysis.shown import Row, assemble, marked, over

FARTHEST = 20


def course(rows: Sequence[Row]) -> ShownTable | None:
    """Signs that are more than chance, and those of all variants together."""
    several = {(r["experiment"], r["measure"]) for r in rows if r["variant"] == ALL}
    body = [
        (
            r["experiment"],
            r["measure"],
            r["conditions"] or "same for all",
            marked(r),
            r["sign"],
            quantities.count(r["n"]),
            over(quantities.ratio(r["ratio"]), quantities.ratio_range(r["ratio_low"], r["ratio_high"])),
            _strength(r["strength"]),
            chance(r["p_adjusted"]),
            "yes" if notable(r) else "no",
        )
        for r in rows
        if r["p_value"] is not None
        and (notable(r) or r["variant"] == ALL or (r["experiment"], r["measure"]) not in several)
    ]
    heads = (
        *("Experiment", "Measure", "Conditions", "Variant", "Sign", "Blocks or trials"),
        *("Ratio", "Strength", "p", "Worth a word"),
    )
    caption = (
        "Ratio: last block over first, or the first over the rest; second line: 95 % interval. "
        "Strength: "
        "Kendall's τ of a drift, autocorrelation of neighbours. p: after Holm's correction. Worth a "
        "word: p at most 0.05, and a ratio beyond ±5 %."
    )
    return assemble("Over the campaign", caption, heads, body, "course")


def hosts(rows: Sequence[Row]) -> ShownTable | None:
    """Hosts farthest from the median host of their class."""
    judged = [r for r in rows if r["z"] is not None]
    far = sorted(judged, key=lambda r: (not r["outlier"], -abs(r["z"])))[:FARTHEST]
    body = [
        (
            r["host"],
            r["host_class"],
            r["experiment"],
            r["measure"],
            quantities.count(r["blocks"]),
            quantities.ratio(r["ratio"]),
            "beyond measure" if abs(r["z"]) > 1000 else quantities.digits(r["z"], 2),
            chance(r["p_adjusted"]),
            "yes" if r["outlier"] else "no",
        )
        for r in far
    ]
    heads = (
        *("Host", "Class", "Experiment", "Measure", "Blocks", "Against its class"),
        *("Modified z", "p", "Outlier"),
    )
    caption = f"At most {FARTHEST} hosts, the farthest from the median host of their class first."
    return assemble("Hosts that are not like the others", caption, heads, body, "hosts")


def variance(rows: Sequence[Row]) -> ShownTable | None:
    """Shares of hosts, blocks and what is within them in the variance."""
    body = [
        (
            r["experiment"],
            r["measure"],
            r["conditions"],
            marked(r),
            quantities.count(r["hosts"]),
            quantities.count(r["blocks"]),
            quantities.count(r["n"]),
            *(_part(r, name) for name in ("between_hosts", "between_blocks", "within_blocks")),
            "n/a" if r["icc_block"] is None else quantities.digits(r["icc_block"], 2),
        )
        for r in rows
    ]
    heads = (
        *("Experiment", "Measure", "Conditions", "Variant", "Hosts", "Blocks", "Values"),
        *("Between hosts", "Between blocks", "Within blocks", "ICC of a block"),
    )
    caption = (
        "Shares of the variance of logarithms; n/a: the design cannot tell, and the share is in "
        "the next "
        "column that has one. ICC: how much values of one block resemble each other, from 0 to 1."
    )
    return assemble("Where the variance is", caption, heads, body, "variance")


def agreement(rows: Sequence[Row]) -> ShownTable | None:
    """Whether hosts agree about every comparison."""
    body = [
        (
            r["experiment"],
            r["measure"],
            r["conditions"],
            f"{r['other']} against {r['baseline']}",
            quantities.count(r["hosts"]),
            quantities.ratio_range(r["ratio_least"], r["ratio_most"]),
            quantities.count(r["slower"]),
            quantities.count(r["faster"]),
            quantities.count(r["unclear"]),
            chance(r["p_adjusted"]),
            r["against"] or "none",
        )
        for r in rows
    ]
    heads = (
        *("Experiment", "Measure", "Conditions", "Which", "Hosts", "Single hosts", "More on"),
        *("Less on", "Neither on", "p", "Contradicting hosts"),
    )
    caption = (
        "Single hosts: smallest and largest ratio. More on, less on: hosts whose own interval "
        "lies above "
        "1.05, or below 0.95. p: of hosts that differ so, if the ratio were the same on all."
    )
    return assemble("The same on every host?", caption, heads, body, "agreement")


def _strength(value: float | None) -> str:
    return quantities.NOT_AVAILABLE if value is None else quantities.digits(value, 2)


def _part(row: Row, name: str) -> str:
    parts = [row[part] or 0.0 for part in ("between_hosts", "between_blocks", "within_blocks")]
    if row[name] is None or sum(parts) == 0:
        return quantities.NOT_AVAILABLE if row[name] is None else "none"
    return quantities.share(row[name] / sum(parts))
