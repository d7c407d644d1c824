"""Sentences and tables about rates that a host bears, and about what was left behind."""

from collections.abc import Sequence

from analysis import quantities
from analysis.figures import by
from analysis.section import ShownTable
from analysis.shown import Row, assemble, marked, over

GROWING = ("engine_fds", "engine_rss")
"""Kinds that are sizes, not things."""
OWN = ("records", "files", "processes", "cgroups", "mounts")
"""Kinds that are known to be an instance's: others' things are not among them."""
KINDS = {
    "records": "records of the engine",
    "files": "files",
    "processes": "processes",
    "cgroups": "control groups",
    "mounts": "mounts",
    "zombies": "zombies (whole host)",
    "interfaces": "network interfaces (whole host)",
    "namespaces": "network namespaces (whole host)",
    "loop_devices": "loop devices (whole host)",
    "engine_fds": "open files of the engine",
    "engine_rss": "memory of the engine",
}


def sustained(rows: Sequence[Row]) -> list[str]:
    """Up to which rate each variant keeps up, in a sentence each."""
    sentences = []
    for variant, own in by([r | {"variant": marked(r)} for r in _fleet(rows)], "variant"):
        of_word = {word: [r for r in own if r["verdict"] == word] for word in _WORDS}
        said = [f"{_WORDS[word]} {_rates(some)}{_why(some)}" for word, some in of_word.items() if some]
        sentences.append(f"{variant[0].upper()}{variant[1:]}: {'; '.join(said)}.")
    return sentences


def leaks(rows: Sequence[Row]) -> list[str]:
    """What was left, in a sentence per variant."""
    sentences = []
    things = [r for r in _fleet(rows) if r["kind"] not in GROWING]
    for variant, own in by(things, "variant"):
        left: dict[str, float] = {}
        for row in own:
            left[row["kind"]] = left.get(row["kind"], 0.0) + row["leaked"]
        removals = sum({r["conditions"]: r["removals"] for r in own}.values())
        of = quantities.plural(removals, "removal")
        each = {k: f"{quantities.count(n)} {KINDS.get(k, k)}" for k, n in left.items() if n > 0}
        found = [each[kind] for kind in each if kind in OWN]
        around = [each[kind] for kind in each if kind not in OWN]
        if found:
            sentences.append(f"{of} of {variant} left behind: {quantities.listed(found)}.")
        elif removals:
            upper = quantities.digits(1000 * 3 / removals)
            sentences.append(
                f"{of} of {variant} left nothing behind that was looked for (95 % sure of less than "
                f"{upper} per 1000)."
            )
        if around:
            whole = quantities.listed(around)
            sentences.append(f"Around them appeared {whole}; whose they are is not known.")
    return sentences


def caveats(rows: Sequence[Row]) -> list[str]:
    """What limits belief in latencies where arrivals were turned away."""
    shed = sorted({marked(r) for r in _fleet(rows) if r["shed"]})
    if not shed:
        return []
    names = quantities.listed(shed)
    turned_away = f"{names}: some arrivals were turned away by a guard rail. They are in no quantile"
    return [f"{turned_away}, so times to ready are better than they would have been."]


def load_table(rows: Sequence[Row]) -> ShownTable | None:
    """Offered and achieved, growth, and the verdict."""
    body = [
        (
            r["conditions"],
            marked(r),
            r["verdict"] + (f": {r['why']}" if r["why"] else ""),
            quantities.rate(r["offered_per_s"]),
            _rate(r, "achieved_per_s"),
            _rate(r, "removed_per_s"),
            _signed(r, "growth_per_s"),
            _signed(r, "backlog_growth_per_s"),
            over(_number(r["backlog_end"]), _range(r["backlog_end_low"], r["backlog_end_high"])),
            over(
                quantities.share(r["shed_share"]),
                quantities.share_range(r["shed_share_low"], r["shed_share_high"]),
            ),
            quantities.count(r["blocks"]),
        )
        for r in _fleet(rows)
    ]
    heads = (
        *("Conditions", "Variant", "Verdict", "Offered", "Ready", "Removed"),
        *("In flight grows by", "Backlog grows by", "Backlog at end", "Shed", "Blocks"),
    )
    caption = (
        "Per host. Ready, removed and growth: per second in the steady part of the arrivals. Backlog: "
        "arrived and not ready yet. Second line: 95 % interval over blocks."
    )
    return assemble("Offered and achieved", caption, heads, body, "load")


def leak_table(rows: Sequence[Row]) -> ShownTable | None:
    """Leaks by kind."""
    body = [
        (
            r["conditions"],
            marked(r),
            str(KINDS.get(r["kind"], r["kind"])),
            quantities.count(r["removals"]),
            _amount(r["kind"], r["leaked"]),
            over(
                _amount(r["kind"], r["per_1000"]),
                _amounts(r["kind"], r["per_1000_low"], r["per_1000_high"]),
            ),
        )
        for r in _fleet(rows)
    ]
    heads = ("Conditions", "Variant", "Kind", "Removals", "Left behind", "Per 1000 removals")
    caption = (
        "What was there some seconds after the last removal and not before the first arrival. Second "
        "line: 95 % interval. The engine's open files and memory move by themselves: growth there is "
        "a leak only if it goes on for ever."
    )
    return assemble("Left behind", caption, heads, body, "leaks")


_WORDS = {
    "sustained": "keeps up with",
    "undecided": "undecided at",
    "failing": "instances fail at",
    "beyond capacity": "beyond capacity at",
}


def _fleet(rows: Sequence[Row]) -> list[Row]:
    return [r for r in rows if r["scope"] == "fleet"]


def _rates(rows: Sequence[Row]) -> str:
    rates = sorted({r["offered_per_s"] for r in rows})
    return quantities.listed([quantities.rate(rate) for rate in rates])


def _why(rows: Sequence[Row]) -> str:
    """What was achieved where more was asked for, or why nothing can be said."""
    if rows[0]["verdict"] == "beyond capacity":
        achieved = [r["achieved_per_s"] for r in rows if r["achieved_per_s"] is not None]
        if achieved:
            return f", where {quantities.listed([quantities.rate(a) for a in achieved])} became ready"
    reasons = list(dict.fromkeys(r["why"] for r in rows if r["why"]))
    return f" ({quantities.listed(reasons)})" if reasons else ""


def _rate(row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return over(quantities.rate(row[name]), quantities.rate_range(low, high))


def _signed(row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    value = quantities.NOT_AVAILABLE if row[name] is None else f"{quantities.digits(row[name])}/s"
    return over(value, _range(low, high))


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return quantities.NOT_AVAILABLE
    return f"{quantities.digits(low)} to {quantities.digits(high)}"


def _number(value: float | None) -> str:
    return quantities.NOT_AVAILABLE if value is None else quantities.digits(value)


def _amount(kind: str, value: float | None) -> str:
    return quantities.size(value) if kind == "engine_rss" else _number(value)


def _amounts(kind: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return quantities.NOT_AVAILABLE
    return f"{_amount(kind, low)} to {_amount(kind, high)}"
