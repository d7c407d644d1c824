"""A comparison in plain words: one sentence first, then what it rests on."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.compare.comparison import Comparison
from analysis.metrics.shown import change_in_words, changes_in_words, value_in_words
from analysis.statistics.blocks import FEW_BLOCKS

WORDS = ("slower", "worse", "faster", "better", "equivalent", "undecided", "withheld")
"""Verdicts in the order in which a reader wants to know of them."""
CLAIMS = ("slower", "worse", "faster", "better")
_MOST_NAMED = 4
MOST_DETAILS = 12

COLUMNS = ("measured", "metric", "A", "B", "change", "95 % interval", "verdict", "why")

Row = Mapping[str, Any]


def summary(found: Comparison) -> str:
    """One sentence: how many comparisons of main metrics ended how, which differ, and what else does."""
    if not found.rows:
        return "Nothing could be compared: the two sides have no metric in equal cells."
    main = [row for row in found.rows if row["main"]]
    counted = main or found.rows
    parts = []
    for word in WORDS:
        some = [row for row in counted if row["verdict"] == word]
        if word == CLAIMS[0] or some:
            count = f"{len(some)} of {len(counted)}" if some else "none"
            named = f" ({_named(some)})" if some and word in CLAIMS else ""
            parts.append(f"{word}: {count}{named}")
    if main and (rest := _in_details([row for row in found.rows if not row["main"]])):
        parts.append(rest)
    return "; ".join(parts) + "."


def _in_details(rows: Sequence[Row]) -> str:
    """What changed among stages and tails: ``of 20 stages and tails 3 slower``."""
    counts = [(sum(row["verdict"] == word for row in rows), word) for word in CLAIMS]
    said = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"of {len(rows)} stages and tails {said or 'none differs'}" if rows else ""


def _named(rows: Sequence[Row]) -> str:
    ranked = sorted(rows, key=lambda row: row["experiment"])
    said = [
        f"{measured(row)}, {metric(row)} {change_in_words(row['change'], row['kind'])}"
        for row in ranked[:_MOST_NAMED]
    ]
    more = len(rows) - len(said)
    return "; ".join([*said, f"{more} more"] if more else said)


def measured(row: Row) -> str:
    """What was measured: ``lifecycle docker → docker/crun, concurrency 8``."""
    variants = list(dict.fromkeys([row["variant_a"], row["variant_b"]]))
    given = "" if row["conditions"] == "same for all" else f", {row['conditions']}"
    return f"{row['experiment']} {' → '.join(variants)}{given}"


def metric(row: Row) -> str:
    """Name of the metric with its quantile: ``e2e p99``."""
    return f"{row['metric']} {row['quantile']}" if row["quantile"] else str(row["metric"])


def method(found: Comparison) -> tuple[str, ...]:
    """What the numbers rest on, in sentences."""
    pairings = {row["pairing"] for row in found.rows if row["kind"] == "ratio"}
    said = []
    if "block" in pairings:
        said.append("Both sides were measured in the same blocks: every block is compared with itself.")
    if "host" in pairings:
        drift = f"{100 * found.options.drift:g} %"
        said.append(
            "The sides were not measured in the same blocks: every host is compared with itself. "
            "Intervals hold the noise within the runs only; how much a host drifts from run to run "
            f"cannot be known from one run each. Verdicts assume {drift} of it "
            "(one sigma; --run-drift) and are more careful than the intervals."
        )
    if "none" in pairings:
        said.append("Without a common host the sides are compared as two samples of hosts.")
    if any(row["virtual"] for row in found.rows):
        said.append("Time was simulated: nothing in these numbers is real.")
    if any(row["blocks"] < FEW_BLOCKS for row in found.rows):
        said.append(f"Fewer than {FEW_BLOCKS} blocks: this is a first look.")
    floor = f"{100 * found.options.floor:g} %"
    said.append(
        f"Ratios within {floor} of 1 make no difference (--floor), nor do shares within 1 point. "
        "Verdicts are about B, after Holm's correction over the whole answer."
    )
    return tuple(said)


def shown_and_rest(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows that deserve a line, and the others: main metrics first, then what made a difference.

    Of stages and tails in which something changed at most ``MOST_DETAILS``: where everything moved, they
    only repeat what the main metrics say.
    """
    main = [row for row in rows if row["main"]]
    changed = [row for row in rows if not row["main"] and row["verdict"] in CLAIMS]
    shown = [*main, *changed[:MOST_DETAILS]]
    chosen = {id(row) for row in shown}
    return shown, [row for row in rows if id(row) not in chosen]


def cells_of(row: Row) -> tuple[str, ...]:
    """One row in words, by ``COLUMNS``."""
    unit = row["unit"]
    return (
        measured(row),
        metric(row),
        value_in_words(row["a"], unit),
        value_in_words(row["b"], unit),
        change_in_words(row["change"], row["kind"]),
        changes_in_words(row["change_low"], row["change_high"], row["kind"]),
        row["verdict"],
        row["why"] or "",
    )
