"""A rule about a baseline: how much worse each cell is than its partner there."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Bounds:
    """How much worse than the baseline is allowed, and what a host is assumed to drift."""

    limit: float
    drift: float


def judge_against(
    rule: Rule, metric: Metric, both: tuple[Dataset, Dataset], bounds: Bounds
) -> tuple[list[CellOutcome], tuple[str, ...]]:
    """The outcome of every cell, and sentences about the comparison; ``both``: baseline and dataset.

    It fails when the value is beyond the limit, passes when all of the interval that verdicts rest on
    is within, and is undecided between.
    """
    where = selection_of(rule.where)
    try:
        sides = sides_of(both, (where, where))
    except UseError as error:
        return [CellOutcome("no cell", "nothing matched", "nothing", _plain(error))], ()
    options = Options(drift=bounds.drift, metrics=(metric.name,), experiments=(rule.experiment,))
    found = compare(sides, options)
    wanted = None, rule.quantile or DEFAULT_QUANTILE
    rows = [row for row in found.rows if row["quantile"] in wanted]
    cells = [_judge(row, metric, bounds.limit, rule) for row in rows]
    cells += [
        CellOutcome(said.partition(" is in ")[0], "undecided", "nothing", said) for said in found.alone
    ]
    return cells, found.notes


def _plain(error: UseError) -> str:
    """What went wrong, with the sides called what the reader of a gate calls them."""
    text = str(error)
    for option, name in (("--a: ", "baseline: "), ("--b: ", "where: ")):
        text = text.replace(option, name)
    return text


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
