"""Sentences about latencies: what was found, and what limits belief in it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from analysis import quantities
from analysis.distributions import EXACT_ROWS
from analysis.figures import LEVELS, at_levels, by
from analysis.pairs import MOST_FAILED_SHARE
from analysis.shown import Metric, Row, Tables, marked, of_metric
from analysis.statistics.blocks import FEW_BLOCKS, MINIMUM_BLOCKS

MOST_SENTENCES = 8
MORE_BLOCKS = "raise 'blocks' in the campaign and run it again"

_QUANTILES_FOUND = (
    "Quantiles are order statistics, and their 95 % intervals assume no distribution. Instances of one "
    "block resemble each other, so intervals are those of the effective number of independent "
    "values, n / (1 + (k − 1) · ICC), corrected for few blocks. A tail needs at least 29 (90 %), "
    "59 (95 %) or 299 (99 %) of them."
)
_RATIOS_FOUND = (
    "Ratios are paired by block: the geometric mean over blocks of the ratio of medians, its interval "
    "from a hierarchical bootstrap over blocks and instances, verdicts after Holm's correction."
)
_ROUNDED = (
    f"Of more than {quantities.count(EXACT_ROWS)} rows values are counted in steps of 0.1 %: each is "
    "off by 0.05 % at most, and so is every quantile; intervals are wider by that."
)


def records(table: pd.DataFrame) -> list[Row]:
    """A table's rows with None for what is missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def medians(rows: Sequence[Row], metric: Metric, done: str) -> list[str]:
    """How long every variant took under the first conditions, in one sentence each."""
    groups = by(_fleet(of_metric(rows, metric)), "conditions")
    if not groups:
        return [f"Nothing was measured that could tell how long it takes to be {done}."]
    sentences = [_median(r, done) for r in groups[0][1][:MOST_SENTENCES]]
    if len(groups) > 1:
        others = quantities.plural(len(groups) - 1, "other condition")
        sentences.append(f"The tables below hold {others}.")
    return sentences


def levels(rows: Sequence[Row], metric: Metric, what: str) -> list[str]:
    """How the median moves with each level of load that was varied."""
    believed = [r for r in _fleet(of_metric(rows, metric)) if r["evidence"] == "valid"]
    sentences = []
    for level in LEVELS:
        for rest, some in at_levels(believed, level)[:1]:
            ends = _ends(some)
            moves = [
                f"{variant} from {quantities.duration(own[0]['p50_ns'])} to "
                f"{quantities.duration(own[-1]['p50_ns'])}"
                + (f" ({_ends(own)})" if _ends(own) != ends else "")
                for variant, own in by(some, "variant")
                if len({row["level"] for row in own}) > 1
            ]
            if not moves:
                continue
            name = level.replace("_per_s", " per s").replace("_", " ")
            given = f" ({rest})" if rest else ""
            moved = "; ".join(moves[:MOST_SENTENCES])
            sentences.append(f"From {name} {ends}{given}, the median {what} goes: {moved}.")
    return sentences


def _ends(rows: Sequence[Row]) -> str:
    """From the least level to the greatest, of rows in their order."""
    return f"{quantities.plain(rows[0]['level'])} to {quantities.plain(rows[-1]['level'])}"


def verdicts(rows: Sequence[Row], doing: Mapping[str, str]) -> list[str]:
    """What may be claimed of one variant against another: one sentence per pair and stage."""
    if not rows:
        return ["There is nothing to compare: no two variants were measured under the same conditions."]
    pairs: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row["verdict"] != "withheld":
            pairs.setdefault((row["metric"], row["other"], row["baseline"]), []).append(row)
    sentences = [_claim(some, doing[metric]) for (metric, _, _), some in pairs.items()]
    if len(sentences) > MOST_SENTENCES:
        more = quantities.plural(len(sentences) - MOST_SENTENCES, "further comparison")
        sentences[MOST_SENTENCES:] = [f"The table of comparisons holds {more}."]
    withheld = Counter(r["why"] for r in rows if r["verdict"] == "withheld")
    sentences += [f"{quantities.plural(n, 'verdict')} withheld: {why}." for why, n in withheld.items()]
    return sentences


def caveats(tables: Tables, metric: Metric) -> tuple[str, ...]:
    """What limits belief in the numbers."""
    fleet = _fleet(tables["outcomes"])
    found = [*few_blocks(fleet), *doubtful(fleet), *not_real(fleet), *_failures(fleet)]
    aside = sum(r["set_aside"] for r in fleet)
    if aside:
        found.append(
            f"{quantities.plural(aside, 'attempt')} count nowhere, because their trials are suspect or "
            "invalid; 'Trials and verdicts' says why."
        )
    if any(r["p95_low_ns"] is None for r in _fleet(of_metric(tables["latency"], metric))):
        found.append("Some tails have too few independent values to say anything: n/a in the tables.")
    return tuple(found)


def method(*, rounded: bool) -> tuple[str, ...]:
    """How intervals and verdicts were found."""
    return (_QUANTILES_FOUND, _RATIOS_FOUND, *rounding(rounded=rounded))


def rounding(*, rounded: bool) -> tuple[str, ...]:
    """What was done to very many values, if it was."""
    return (_ROUNDED,) if rounded else ()


def _fleet(rows: Sequence[Row]) -> list[Row]:
    return [r for r in rows if r["scope"] == "fleet"]


def _median(row: Row, done: str) -> str:
    attempts = f"{quantities.plural(row['n'], 'attempt')} of {marked(row)}"
    given = "" if row["conditions"] == "same for all" else f"With {row['conditions']}, "
    if not math.isfinite(row["p50_ns"]):
        return _sentence(f"{given}half or more of the {attempts} were never {done}")
    between = quantities.duration_range(row["p50_low_ns"], row["p50_high_ns"])
    interval = "no interval" if row["p50_low_ns"] is None else f"95 % interval {between}"
    tail = ""
    if row["p95_low_ns"] is not None and math.isfinite(row["p95_ns"]):
        tail = f"; 95 % within {quantities.duration(row['p95_ns'])}"
    median = quantities.duration(row["p50_ns"])
    return _sentence(f"{given}half of the {attempts} were {done} within {median} ({interval}){tail}")


def _claim(rows: Sequence[Row], doing: str) -> str:
    """What is known of one pair and one stage under all conditions together."""
    other, baseline = rows[0]["other"], rows[0]["baseline"]
    found = Counter(r["verdict"] for r in rows).most_common()
    ratios = [r["ratio"] for r in rows if r["ratio"] is not None]
    if not ratios:
        return f"To {doing}, {other} against {baseline}: undecided; {rows[0]['why']}."
    one = len(rows) == 1
    times = quantities.digits(ratios[0]) if one else _range(ratios)
    takes = f"To {doing}, {other} takes {times} times as long as {baseline}"
    if one and rows[0]["ratio_low"] is not None:
        takes += (
            f" (95 % interval {quantities.ratio_range(rows[0]['ratio_low'], rows[0]['ratio_high'])})"
        )
    if len(found) > 1:
        each = ", ".join(f"{word} under {number}" for word, number in found)
        return f"{takes}: {each} of {len(rows)} conditions."
    why = f"; {rows[0]['why']}" if rows[0]["verdict"] == "undecided" else ""
    everywhere = "" if one else f" under {_all(len(rows))} conditions"
    return f"{takes}: {found[0][0]}{everywhere}{why}."


def _all(number: int) -> str:
    return "both" if number == 2 else f"all {number}"


def _range(values: Sequence[float]) -> str:
    low, high = quantities.digits(min(values)), quantities.digits(max(values))
    return low if low == high else f"{low} to {high}"


def few_blocks(fleet: Sequence[Row]) -> list[str]:
    """Whether intervals rest on too few blocks: rows with ``blocks``."""
    fewest = min((r["blocks"] for r in fleet), default=FEW_BLOCKS)
    only = f"Some cells were measured in {quantities.plural(fewest, 'block')} only"
    if fewest < MINIMUM_BLOCKS:
        need = f"Intervals and verdicts need {MINIMUM_BLOCKS} or more"
        return [f"{only}. {need}; {MORE_BLOCKS}."]
    if fewest < FEW_BLOCKS:
        first_look = "their intervals are a first look, and too narrow where blocks differ"
        return [f"{only}: {first_look}. {FEW_BLOCKS} or more are wanted."]
    return []


def doubtful(fleet: Sequence[Row]) -> list[str]:
    """Which numbers rest on trials that are doubted."""
    suspect = sorted({r["variant"] for r in fleet if r["evidence"] == "suspect"})
    mixed = sorted({r["variant"] for r in fleet if r["evidence"] == "valid and suspect"})
    found = []
    if suspect:
        found.append(
            f"Under some conditions there is no valid trial of {quantities.listed(suspect)}: the "
            "numbers shown rest on suspect trials and are marked so. No verdict is based on them."
        )
    if mixed:
        names = quantities.listed(mixed)
        found.append(f"Numbers of {names} include suspect trials and are marked so.")
    return found


def not_real(fleet: Sequence[Row]) -> list[str]:
    """Which numbers are those of emulated processors, or of nothing real."""
    emulated = sorted({r["variant"] for r in fleet if r["emulated"]})
    virtual = sorted({r["variant"] for r in fleet if r["virtual"]})
    found = []
    if emulated:
        found.append(
            f"{quantities.listed(emulated)}: these instances ran on an emulated CPU. Their times say "
            "nothing about virtual machines with hardware support, and comparisons with others are "
            "withheld."
        )
    if virtual:
        found.append(f"{quantities.listed(virtual)}: time was simulated, nothing of it is real.")
    return found


def _failures(fleet: Sequence[Row]) -> list[str]:
    failing = [r for r in fleet if r["failed"]]
    found = []
    for variant, own in by(failing, "variant")[:MOST_SENTENCES]:
        failed, attempted = sum(r["failed"] for r in own), sum(r["attempted"] for r in own)
        of = f"{quantities.count(failed)} of {quantities.plural(attempted, 'attempt')} of {variant}"
        together = f" under {len(own)} conditions" if len(own) > 1 else ""
        found.append(f"{of} failed ({quantities.share(failed / attempted)}){together}.")
    if any(r["failed_share"] > MOST_FAILED_SHARE for r in failing):
        found.append(
            "Where more than a tenth failed, the speed of the survivors is no answer: no verdict there."
        )
    return found


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
