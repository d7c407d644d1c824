"""What may be claimed of all effects in one answer: verdict words, and why not where none can be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.compare.effects import Effect
from analysis.metrics.base import Metric
from analysis.statistics import LEVEL
from analysis.statistics.families import weighted_holm

Word = Literal["faster", "slower", "better", "worse", "equivalent", "undecided", "withheld"]

FLOOR = 0.05
"""Ratios within 1 ± this make no difference in practice."""
SHARE_FLOOR = 0.01
"""Differences of shares within ± this, one percentage point, make none."""
DETAILS_SHARE = 0.25
"""Weight of all stages and tails together, in Holm's correction, over that of the main metrics."""


@dataclass(frozen=True)
class Question:
    """One effect that wants a verdict."""

    metric: Metric
    effect: Effect
    withheld: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one question."""

    word: Word
    p_holm: float | None
    why: str | None


def judge(questions: Sequence[Question], floor: float) -> list[Verdict]:
    """Verdicts on everything in one answer, with one Holm correction over those that may have one.

    Stages and tails are many and follow from the main metrics: together they get a quarter of the
    weight, so that asking for them does not hide what the main metrics say.
    """
    details = sum(not q.metric.main for q in questions)
    main = len(questions) - details
    light = min(1.0, DETAILS_SHARE * main / details) if main and details else 1.0
    weights = [1.0 if q.metric.main else light for q in questions]
    p_values = [None if q.withheld else q.effect.p_value for q in questions]
    adjusted = weighted_holm(p_values, weights)
    return [_judge(q, p, floor) for q, p in zip(questions, adjusted, strict=True)]


def _judge(question: Question, p_holm: float | None, floor: float) -> Verdict:
    effect = question.effect
    if question.withheld:
        return Verdict("withheld", None, question.withheld)
    low, high, value = effect.claim_low, effect.claim_high, effect.value
    if value is None or low is None or high is None or p_holm is None:
        return Verdict("undecided", p_holm, effect.why or "too few data")
    least, most, nothing = _band(effect, floor)
    if least <= low and high <= most:
        return Verdict("equivalent", p_holm, None)
    if p_holm > 1 - LEVEL:
        return Verdict("undecided", p_holm, _unsure(effect, (least, nothing, most)))
    if least <= value <= most:
        return Verdict("undecided", p_holm, "smaller than what counts as a difference")
    return Verdict(_word(question.metric, rises=value > nothing), p_holm, None)


def _band(effect: Effect, floor: float) -> tuple[float, float, float]:
    """Ends of what counts as no difference, and none at all."""
    if effect.kind == "difference":
        return -SHARE_FLOOR, SHARE_FLOOR, 0.0
    return 1 - floor, 1 + floor, 1.0


def _unsure(effect: Effect, band: tuple[float, float, float]) -> str:
    low, high = effect.low, effect.high
    assert low is not None
    assert high is not None
    two_runs = (low, high) != (effect.claim_low, effect.claim_high)
    if two_runs and band[0] <= low and high <= band[2]:
        return "alike within the runs, but drift between them could hide a difference"
    if low <= band[1] <= high:
        return "the data cannot tell"
    if two_runs:
        return "could be chance among so many comparisons, or drift between the runs"
    return "could be chance among so many comparisons"


def _word(metric: Metric, *, rises: bool) -> Word:
    good = rises == (metric.better == "higher")
    if metric.unit == "ns":
        return "faster" if good else "slower"
    return "better" if good else "worse"
