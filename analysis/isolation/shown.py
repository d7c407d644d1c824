"""Tables of isolation as the report shows them."""

import math
from collections.abc import Sequence

from analysis import quantities
from analysis.section import ShownTable
from analysis.shown import Row, assemble, marked, over

SILENT = "DNR"
"""Did not report: the word of the isolation benchmark suite."""


def matrix(rows: Sequence[Row]) -> ShownTable | None:
    """The good and the bad: rows of stress, columns of variant and limits."""
    fleet = [r for r in rows if r["scope"] == "fleet"]
    columns = sorted({_column(r) for r in fleet}, key=[_column(r) for r in fleet].index)
    lines = list(dict.fromkeys((r["stress"], r["beside"]) for r in fleet))
    cell = {(r["stress"], r["beside"], _column(r)): r for r in fleet}
    body = [
        (beside, stress, *(_good_and_bad(cell.get((stress, beside, column))) for column in columns))
        for stress, beside in lines
    ]
    caption = (
        "Good / bad. Good: how much longer the victim's median is under stress than before it, with "
        "its 95 % interval below. Bad: whether the stressors said themselves that they had ended. "
        f"{SILENT}: did not report; of the victim, in so many blocks more than half of the requests "
        "were never answered."
    )
    heads = ("Conditions", "Stress", *columns)
    return assemble("The victim and its bad neighbours", caption, heads, body, "degradation")


def details(rows: Sequence[Row]) -> ShownTable | None:
    """Degradation, tail, silence and return of every cell."""
    body = [
        (
            r["beside"],
            str(r["stress"]),
            _bounds(r),
            marked(r),
            quantities.count(r["blocks"]),
            quantities.duration(r["p50_off_ns"]),
            _or_silent(r["p50_on_ns"]),
            over(
                quantities.ratio(r["degradation"]),
                quantities.ratio_range(r["degradation_low"], r["degradation_high"]),
            ),
            r["verdict"],
            _tail(r),
            over(
                quantities.share(r["unanswered_share"]),
                quantities.share_range(r["unanswered_share_low"], r["unanswered_share_high"]),
            ),
            _return(r),
        )
        for r in rows
        if r["scope"] == "fleet" and r["n_on"]
    ]
    heads = (
        *("Conditions", "Stress", "Stressors", "Variant", "Blocks", "Median before", "Median under"),
        *("Degradation", "Verdict", "Tail", "Did not report", "Return to normal"),
    )
    caption = (
        "Degradation: ratio of medians, paired within each trial. Tail: the same of the quantile that "
        "is named. Did not report: share of requests under stress without an answer in time. Return to "
        "normal: from telling the stressors to end to the first of five answers in a row as good as "
        "before, median over trials. Second line: 95 % interval."
    )
    return assemble("Degradation, tail and return", caption, heads, body, "degradation")


def relief(rows: Sequence[Row]) -> ShownTable | None:
    """What limits change."""
    body = [
        (
            r["beside"],
            str(r["stress"]),
            marked(r),
            over(
                quantities.ratio(r["relief"]), quantities.ratio_range(r["relief_low"], r["relief_high"])
            ),
            r["verdict"],
            quantities.count(r["blocks"]),
        )
        for r in rows
    ]
    heads = ("Conditions", "Stress", "Variant", "Unlimited over limited", "Verdict", "Blocks")
    caption = (
        "Degradation beside stressors without limits over that beside limited ones, paired by block; "
        "above 1 limits help. Second line: 95 % interval."
    )
    return assemble("What limits on the stressors change", caption, heads, body, "relief")


def percent(ratio: float | None) -> str:
    """A ratio as what comes on top: ``+52 %``."""
    if ratio is None:
        return quantities.NOT_AVAILABLE
    more = 100 * (ratio - 1)
    return f"{'+' if more > 0 else '−' if more < 0 else ''}{quantities.digits(abs(more))} %"


def percent_range(low: float | None, high: float | None) -> str:
    """An interval of the same."""
    if low is None or high is None:
        return quantities.NOT_AVAILABLE
    return f"{percent(low)} to {percent(high)}"


def _good_and_bad(row: Row | None) -> str:
    if row is None or not row["n_on"]:
        return quantities.NOT_AVAILABLE
    good = f"{SILENT} in {row['silent_blocks']} of {row['blocks']} blocks"
    if not row["silent_blocks"]:
        good = percent(row["degradation"])
    silent = row["stressors_silent"]
    bad = f"{SILENT} {silent} of {row['stressors']}" if silent else "reported"
    return over(f"{good} / {bad}", percent_range(row["degradation_low"], row["degradation_high"]))


def _column(row: Row) -> str:
    return f"{marked(row)}, {_bounds(row)}"


def _bounds(row: Row) -> str:
    return "limited" if row["limited"] else "unlimited"


def _or_silent(ns: float | None) -> str:
    return SILENT if ns is not None and math.isinf(ns) else quantities.duration(ns)


def _tail(row: Row) -> str:
    if row["tail_p"] is None:
        return quantities.NOT_AVAILABLE
    interval = quantities.ratio_range(row["tail_ratio_low"], row["tail_ratio_high"])
    shown = SILENT if row["tail_ratio"] is None else quantities.ratio(row["tail_ratio"])
    return over(f"{shown} (p{100 * row['tail_p']:.0f})", interval).replace(" ", "\N{NO-BREAK SPACE}")


def _return(row: Row) -> str:
    value = row["return_ns"]
    if value is not None and math.isinf(value):
        return "not reached"
    interval = quantities.duration_range(row["return_low_ns"], row["return_high_ns"])
    return over(quantities.duration(value), interval)
