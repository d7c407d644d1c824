"""Sentences about latencies: what was found, and what limits belief in it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import quantities
from analysis.figures import LEVELS, at_levels
from analysis.shown import Metric, Row, Tables, marked, of_metric
from analysis.statistics.blocks import FEW_BLOCKS, MINIMUM_BLOCKS

MOST_SENTENCES = 8
MOST_FAILED_SHARE = 0.1


def records(table: pd.DataFrame) -> list[Row]:
    """A table's rows with None for what is missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def medians(rows: Sequence[Row], metric: Metric, done: str) -> list[str]:
    """How long every variant took under the first conditions, in one sentence each."""
    fleet = [r for r in of_metric(rows, metric) if r["scope"] == "fleet"]
    if not fleet:
        return [f"Nothing was measured that could tell how long it takes to be {done}."]
    first = fleet[0]["conditions"]
    chosen = [r for r in fleet if r["conditions"] == first]
    sentences = [f"{condition(r)}{_median(r, done)}" for r in chosen[:MOST_SENTENCES]]
    others = len({r["conditions"] for r in fleet}) - 1
    if others:
        sentences.append(
            f"{quantities.plural(others, 'other combination')} of conditions are in the tables below."
        )
    return sentences


def levels(rows: Sequence[Row], metric: Metric, what: str) -> list[str]:
    """How the median moves with each level of load that was varied."""
    fleet = [r for r in of_metric(rows, metric) if r["scope"] == "fleet"]
    sentences = []
    for level in LEVELS:
        groups = at_levels(fleet, level)
        for rest, some in groups[:1]:
            of_variant: dict[str, list[Row]] = {}
            for row in some:
                of_variant.setdefault(row["variant"], []).append(row)
            moves = [
                f"{variant} from {quantities.duration(own[0]['p50_ns'])} to "
                f"{quantities.duration(own[-1]['p50_ns'])}"
                for variant, own in of_variant.items()
            ]
            ends = f"{quantities.digits(some[0]['level'])} to {quantities.digits(some[-1]['level'])}"
            given = f" ({rest})" if rest else ""
            sentences.append(
                f"From {level.replace('_', ' ')} {ends}{given}, the median {what} goes: "
                f"{'; '.join(moves[:MOST_SENTENCES])}."
            )
    return sentences


def verdicts(rows: Sequence[Row], doing: Mapping[str, str]) -> list[str]:
    """What may be claimed of one variant against another, the first stage's claims first."""
    claims = [r for r in rows if r["verdict"] in ("faster", "slower", "equivalent")]
    open_ones = [r for r in rows if r["verdict"] == "undecided"]
    withheld = Counter(r["why"] for r in rows if r["verdict"] == "withheld")
    sentences = [_claim(r, doing[r["metric"]]) for r in claims[:MOST_SENTENCES]]
    if len(claims) > MOST_SENTENCES:
        more = quantities.plural(len(claims) - MOST_SENTENCES, "further verdict")
        sentences.append(f"{more} are in the table of comparisons.")
    if open_ones:
        pairs = list(dict.fromkeys(f"{r['other']} against {r['baseline']}" for r in open_ones))
        sentences.append(
            f"Undecided, because {open_ones[0]['why']}: {quantities.listed(pairs)} "
            f"({quantities.plural(len(open_ones), 'comparison')})."
        )
    sentences += [
        f"{quantities.plural(number, 'verdict')} withheld: {why}." for why, number in withheld.items()
    ]
    if not rows:
        sentences.append(
            "There is nothing to compare: no two variants were measured under the same conditions."
        )
    return sentences


def caveats(tables: Tables, metric: Metric) -> tuple[str, ...]:
    """What limits belief in the numbers."""
    fleet = [r for r in tables["outcomes"] if r["scope"] == "fleet"]
    found = [*_few_blocks(fleet), *_doubtful(fleet), *_not_real(fleet), *_failures(fleet)]
    aside = sum(r["set_aside"] for r in fleet)
    if aside:
        found.append(
            f"{quantities.plural(aside, 'attempt')} count nowhere, because their trials are suspect or "
            "invalid; the section on trials says why."
        )
    if any(r["p99_n_eff"] is None or r["p99_low_ns"] is None for r in of_metric(tables["latency"], metric)):
        found.append("Where the table says n/a for a tail, there are too few independent values to say.")
    return tuple(found)


def method(*, rounded: bool, include_suspect: bool) -> list[str]:
    """How intervals and verdicts were found."""
    sentences = [
        "Quantiles are order statistics and their 95 % intervals assume no distribution. Instances of one "
        "block resemble each other, so intervals are those of the effective number of independent "
        "values, n / (1 + (k − 1) · ICC), corrected for few blocks. A tail needs at least 29 (90 %), 59 "
        "(95 %) or 299 (99 %) of them.",
        "Ratios are paired by block: the geometric mean over blocks of the ratio of medians, its interval "
        "from a hierarchical bootstrap over blocks and instances, verdicts after Holm's correction.",
    ]
    if rounded:
        sentences.append("There are so many rows that values were rounded to steps of 0.1 %.")
    if include_suspect:
        sentences.append("Suspect trials were included on request.")
    return sentences


def condition(row: Row) -> str:
    """The beginning of a sentence about a row's cell."""
    return "" if row["conditions"] == "same for all" else f"With {row['conditions']}: "


def _median(row: Row, done: str) -> str:
    name, n = marked(row), row["n"]
    if row["p50_ns"] is None or row["p50_ns"] == float("inf"):
        return f"{name}: more than half of the {quantities.plural(n, 'attempt')} were never {done}."
    between = quantities.duration_range(row["p50_low_ns"], row["p50_high_ns"])
    interval = "no interval" if row["p50_low_ns"] is None else f"95 % interval {between}"
    tail = ""
    if row["p95_low_ns"] is not None and row["p95_ns"] != float("inf"):
        tail = f", 95 % within {quantities.duration(row['p95_ns'])}"
    return (
        f"{name}: half of the {quantities.plural(n, 'attempt')} were {done} within "
        f"{quantities.duration(row['p50_ns'])} ({interval}){tail}."
    )


def _claim(row: Row, doing: str) -> str:
    between = quantities.ratio_range(row["ratio_low"], row["ratio_high"])
    if row["verdict"] == "equivalent":
        claim = f"{row['other']} and {row['baseline']} take the same time to {doing}, within 5 %"
    else:
        claim = (
            f"{row['other']} takes {quantities.digits(row['ratio'])} times as long as {row['baseline']} "
            f"to {doing}"
        )
    return f"{condition(row)}{claim} (95 % interval {between}): {row['verdict']}."


def _few_blocks(fleet: Sequence[Row]) -> list[str]:
    fewest = min((r["blocks"] for r in fleet), default=FEW_BLOCKS)
    if fewest < MINIMUM_BLOCKS:
        return [
            f"Some cells were measured in {quantities.plural(fewest, 'block')} only. Intervals and verdicts "
            f"need {MINIMUM_BLOCKS} or more; raise `blocks` in the campaign and run it again."
        ]
    if fewest < FEW_BLOCKS:
        return [
            f"Some cells were measured in {quantities.plural(fewest, 'block')} only: their intervals are a "
            f"first look, and too narrow where blocks differ. {FEW_BLOCKS} or more are wanted."
        ]
    return []


def _doubtful(fleet: Sequence[Row]) -> list[str]:
    suspect = sorted({r["variant"] for r in fleet if r["evidence"] == "suspect"})
    mixed = sorted({r["variant"] for r in fleet if r["evidence"] == "valid and suspect"})
    found = []
    if suspect:
        found.append(
            f"No valid trial of {quantities.listed(suspect)} exists under some conditions: the numbers shown "
            "rest on suspect trials and are marked so. No verdict is based on them."
        )
    if mixed:
        found.append(f"Numbers of {quantities.listed(mixed)} include suspect trials and are marked so.")
    return found


def _not_real(fleet: Sequence[Row]) -> list[str]:
    emulated = sorted({r["variant"] for r in fleet if r["emulated"]})
    virtual = sorted({r["variant"] for r in fleet if r["virtual"]})
    found = []
    if emulated:
        found.append(
            f"{quantities.listed(emulated)}: these instances ran on an emulated CPU. Their times say nothing "
            "about virtual machines with hardware support, and comparisons with others are withheld."
        )
    if virtual:
        found.append(f"{quantities.listed(virtual)}: time was simulated, nothing of it is real.")
    return found


def _failures(fleet: Sequence[Row]) -> list[str]:
    failing = [r for r in fleet if r["failed"]]
    found = [
        f"{condition(r)}{quantities.count(r['failed'])} of {quantities.count(r['attempted'])} attempts of "
        f"{r['variant']} failed ({quantities.share(r['failed_share'])})."
        for r in failing[:MOST_SENTENCES]
    ]
    if len(failing) > MOST_SENTENCES:
        more = quantities.plural(len(failing) - MOST_SENTENCES, "further row")
        found.append(f"{more} with failures are in the table of outcomes.")
    if any(r["failed_share"] > MOST_FAILED_SHARE for r in failing):
        found.append(
            "Where more than a tenth failed, the speed of the survivors is no answer: no verdict is given."
        )
    return found
