"""Tables of management as the report shows them."""

import math
from collections.abc import Sequence

from analysis import quantities
from analysis.section import ShownTable
from analysis.shown import Row, assemble, marked, over

SAME = "same for all"


def said(verb: str) -> str:
    """A verb or operation as a person says it."""
    return verb.replace("_", " ").replace("cpu", "CPU")


def matrix(rows: Sequence[Row]) -> ShownTable | None:
    """Which variant has which verb: rows of verbs, columns of variants."""
    if not rows:
        return None
    variants = list(dict.fromkeys(r["variant"] for r in rows))
    verbs = list(dict.fromkeys(r["verb"] for r in rows))
    cell = {(r["verb"], r["variant"]): r for r in rows}
    body = [
        (said(verb), *(_support(cell.get((verb, variant))) for variant in variants)) for verb in verbs
    ]
    caption = (
        "Native: the engine, or the kernel where there is none, has a call that does it. Emulated: put "
        "together of other calls. None: it cannot be had. Second line: attempts whose effect was really "
        "seen, of all attempts in trials that count; support without it is what the driver says."
    )
    return assemble("Who can do what", caption, ("Verb", *variants), body, "matrix")


def calls(rows: Sequence[Row]) -> ShownTable | None:
    """How each does it, or why it cannot."""
    body = [
        (said(r["verb"]), r["variant"], r["support"] or "varies", r["how"])
        for verb in dict.fromkeys(r["verb"] for r in rows)
        for r in rows
        if r["verb"] == verb
    ]
    heads = ("Verb", "Variant", "Support", "Call, or why not")
    return assemble("How it is done", "What the worker asks of each engine.", heads, body, "matrix")


def effects(rows: Sequence[Row]) -> ShownTable | None:
    """Time to effect of every verb."""
    body = [
        (
            said(r["verb"]),
            _beside(r, rows),
            marked(r),
            r["support"] or "varies",
            quantities.count(r["blocks"]),
            f"{quantities.count(r['seen'])} of {quantities.count(r['attempts'])}",
            over(
                quantities.share(r["failed_share"]),
                quantities.share_range(r["failed_share_low"], r["failed_share_high"]),
            ),
            _with_interval(r, "effect"),
            _with_interval(r, "effect_p95") if r["effect_p95_low_ns"] is not None else "n/a",
            quantities.duration(r["call_ns"]),
            _kept(r["memory_kept"]),
        )
        for r in _fleet(rows)
        if r["attempts"]
    ]
    heads = (
        *("Verb", "Conditions", "Variant", "Support", "Blocks", "Effect seen", "Failed"),
        *("Time to effect", "95 %", "Call returned", "What came back"),
    )
    caption = (
        "Time to effect: from the call until its effect was seen, median of all attempts; failed ones "
        "count as never. Call returned: median; an engine may answer before or after the effect. What "
        "came back: of a restored instance, its files, or its memory too. Second line: 95 % interval. "
        "A verb that a variant lacks is not applicable and has no line."
    )
    return assemble("Time to effect", caption, heads, body, "verbs")


def interruptions(rows: Sequence[Row]) -> ShownTable | None:
    """What the instance's users noticed."""
    body = [
        (
            said(r["operation"]),
            _beside(r, rows),
            marked(r),
            quantities.count(r["operations"]),
            quantities.count(r["not_back"]),
            _with_interval(r, "interruption"),
            quantities.duration(r["interruption_max_ns"]),
            quantities.duration(r["hold_ns"]) if r["hold_ns"] else "none",
            quantities.duration(r["jitter_ns"]),
            quantities.duration(r["period_ns"]),
            over(
                _number(r["lost_requests"]),
                _numbers(r["lost_requests_low"], r["lost_requests_high"]),
            ),
            _number(r["lost_requests_mean"]),
        )
        for r in _fleet(rows)
    ]
    heads = (
        *("Operation", "Conditions", "Variant", "Operations", "Not back", "Interruption", "Longest"),
        *("Meant to last", "Before", "Resolution", "Lost requests", "Mean lost"),
    )
    caption = (
        "Interruption: longest time between two good probe replies during the operation, less the "
        "probe's period, so 0 where nothing was noticed; median over operations. Meant to last: what "
        "lies between pause and resume, or stop and start, on purpose. Before: the same figure just "
        "before, when nothing was done. Resolution: the probe's period. Second line: 95 % interval."
    )
    return assemble("Interruption and lost requests", caption, heads, body, "operations")


def _support(row: Row | None) -> str:
    if row is None:
        return quantities.NOT_AVAILABLE
    if row["support"] == "none":
        return "none"
    tried = row["attempts"]
    found = f"{row['seen']} of {tried} seen" if tried else "not measured"
    return f"{row['support'] or 'varies'}\n{found}"


def _beside(row: Row, rows: Sequence[Row]) -> str:
    """What else varied: nothing is said of that where it does so for others only."""
    some = any(r["beside"] != SAME for r in rows)
    return "" if some and row["beside"] == SAME else str(row["beside"])


def _fleet(rows: Sequence[Row]) -> list[Row]:
    return [r for r in rows if r["scope"] == "fleet"]


def _with_interval(row: Row, name: str) -> str:
    value, low, high = (row[f"{name}{end}_ns"] for end in ("", "_low", "_high"))
    return over(_duration(value), quantities.duration_range(low, high))


def _duration(value: float | None) -> str:
    if value is not None and math.isinf(value):
        return "not reached"
    return quantities.duration(value)


def _kept(share: float | None) -> str:
    if share is None:
        return ""
    if share in (0, 1):
        return "files and memory" if share else "files only"
    return f"memory in {quantities.share(share)}"


def _number(value: float | None) -> str:
    return quantities.NOT_AVAILABLE if value is None else quantities.digits(value)


def _numbers(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return quantities.NOT_AVAILABLE
    return f"{quantities.digits(low)} to {quantities.digits(high)}"
