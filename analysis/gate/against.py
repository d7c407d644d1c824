"""A rule about a baseline: how much worse each cell is than its partner there."""

from collections.abc import Iterator
from typing import Any

from analysis.compare.comparison import Options, compare
from analysis.compare.selection import selection_of
from analysis.compare.sides import sides_of
from analysis.compare.words import measured
from analysis.dataset import Dataset
from analysis.gate.outcome import CellOutcome
from analysis.gate.rules import Rule
from analysis.metrics.base import Metric
from analysis.metrics.shown import change_in_words, changes_in_words
from contract.errors import UseError

DEFAULT_QUANTILE = "p50"


def judge_against(
    rule: Rule, metric: Metric, both: tuple[Dataset, Dataset], bounds: tuple[float, float]
) -> Iterator[CellOutcome]:
    """The outcome of every cell: ``both`` are baseline and dataset, ``bounds`` limit and drift.

    It fails when the value is beyond the limit, passes when all of the interval that verdicts rest on
    is within, and is undecided between.
    """
    where = selection_of(rule.where)
    try:
        sides = sides_of(both, (where, where))
    except UseError as error:
        yield CellOutcome("no cell", "nothing matched", "nothing", str(error).removeprefix("--a: "))
        return
    options = Options(drift=bounds[1], metrics=(metric.name,), experiments=(rule.experiment,))
    found = compare(sides, options)
    for row in found.rows:
        if row["quantile"] in (None, rule.quantile or DEFAULT_QUANTILE):
            yield _judge(row, metric, bounds[0], rule)
    for sentence in found.alone:
        yield CellOutcome("no partner", "undecided", "nothing", sentence)


def _judge(row: dict[str, Any], metric: Metric, limit: float, rule: Rule) -> CellOutcome:
    named, kind = measured(row).partition(" ")[2], row["kind"]
    ends = changes_in_words(row["claim_low"], row["claim_high"], kind)
    found = f"{change_in_words(row['change'], kind)} ({ends})"
    if row["verdict"] == "withheld":
        return CellOutcome(named, "undecided", found, row["why"])
    if row["change"] is None:
        return CellOutcome(named, "undecided", found, row["why"] or "too few data")
    rises_are_bad = metric.better == "lower"
    far = row["claim_high"] if rises_are_bad else row["claim_low"]
    if _beyond(row["change"], limit, kind, rises_are_bad=rises_are_bad):
        return CellOutcome(named, "fail", found, "the value is beyond it")
    if rule.confidence == "estimate":
        return CellOutcome(named, "pass", found, "the value is within it")
    if far is None:
        return CellOutcome(named, "undecided", found, row["why"] or "too few data for an interval")
    if _beyond(far, limit, kind, rises_are_bad=rises_are_bad):
        why = "the value is within it, but the far end of its interval is not"
        return CellOutcome(named, "undecided", found, why)
    return CellOutcome(named, "pass", found, "the far end of the interval is within it")


def _beyond(change: float, limit: float, kind: str, *, rises_are_bad: bool) -> bool:
    nothing = 1.0 if kind == "ratio" else 0.0
    return change > nothing + limit if rises_are_bad else change < nothing - limit
