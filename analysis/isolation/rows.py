"""Rows of the isolation tables: degradation, tail, return, silence; what limits change; time lines."""

import json
from collections import defaultdict
from typing import Any, Literal

import numpy as np

from analysis.cells import Cell, Cells, condition_words
from analysis.isolation import ratios
from analysis.isolation.answers import BINS_PER_PHASE, AllAnswers
from analysis.isolation.returns import AFTER, OFF, ON
from analysis.latency import SCOPE_FIELDS, describe, scopes
from analysis.scopes import FLEET, Scope
from analysis.section import Field, interval_fields
from analysis.statistics.blocks import BlockedSample
from analysis.statistics.comparison import EQUIVALENCE, Ratio
from analysis.statistics.proportions import estimate_share
from analysis.statistics.quantiles import estimate_quantile

SEED = 20_261_125
"""Fixes all bootstrap draws, so that one dataset gives one report."""

Word = Literal["harmed", "unharmed", "undecided", "did not report"]

TREATMENT_FIELDS = (
    Field("stress", "string", "what the stressors did"),
    Field("limited", "boolean", "whether the stressors had the campaign's limits"),
    Field("beside", "string", "conditions besides these two that tell the cell from others"),
)


DEGRADATION_FIELDS = (
    *SCOPE_FIELDS,
    *TREATMENT_FIELDS,
    Field("trials", "Int64", "trials behind the row"),
    Field("blocks", "Int64", "blocks behind the row, over all hosts"),
    Field("n_off", "Int64", "requests to the victim before stress, ramp left out"),
    Field("n_on", "Int64", "the same under stress"),
    Field("p50_off_ns", "Float64", "median latency before stress, ns"),
    Field("p50_on_ns", "Float64", "the same under stress, ns; inf: it did not report"),
    Field("p50_after_ns", "Float64", "the same after stress, ns"),
    *interval_fields(
        "degradation{}", "median under stress / median before it, paired within each trial"
    ),
    Field("verdict", "string", "harmed, unharmed (within 0.95 to 1.05), undecided, did not report"),
    Field("silent_blocks", "Int64", "blocks whose median under stress was never answered"),
    Field("tail_p", "Float64", "which quantile the tail ratio is of"),
    *interval_fields("tail_ratio{}", "that quantile under stress / before it, paired within each trial"),
    *interval_fields(
        "unanswered_share{}", "share of requests under stress that were not answered in time"
    ),
    Field("unanswered_off_share", "Float64", "the same before stress"),
    *interval_fields("return{}_ns", "time to return to normal, median over trials, ns; inf: not seen"),
    Field("not_returned", "Int64", "trials whose last phase saw no return"),
    Field("stressors", "Int64", "stressors that were told to end"),
    Field("stressors_silent", "Int64", "of them, those that did not report and were killed"),
)
RELIEF_FIELDS = (
    Field("variant", "string", "driver, and profile where it is not the default"),
    Field("stress", "string", "what the stressors did"),
    Field("beside", "string", "conditions besides that tell the cell from others"),
    *interval_fields(
        "relief{}", "degradation beside unlimited / beside limited stressors, paired by block"
    ),
    Field("verdict", "string", "limits help, no difference, limits hurt, undecided"),
    Field("blocks", "Int64", "blocks that measured both"),
    Field("emulated", "boolean", "instances ran on an emulated CPU"),
    Field("virtual", "boolean", "time was simulated: nothing is real"),
    Field("evidence", "string", "verdicts of the trials behind the row, of the side that is worse"),
)
TIMELINE_FIELDS = (
    *(f for f in SCOPE_FIELDS if f.name in ("variant", "conditions", "evidence")),
    *TREATMENT_FIELDS,
    Field("at_s", "Float64", "middle of a slice of time, from the beginning of the first phase, s"),
    Field("phase_s", "Float64", "length of each phase, s"),
    Field("p50_ns", "Float64", "median latency of what was planned then, over all trials, ns"),
    Field("requests", "Int64", "requests planned then"),
    Field("unanswered", "Int64", "of them, those that were not answered in time"),
)


def degradation_rows(found: AllAnswers) -> list[dict[str, Any]]:
    """What every cell's victim suffered, for the fleet, each class and each host."""
    cells = found.cells
    return [
        describe(cells, cell, scope) | treatment(cells, cell) | _suffered(found, cell, scope)
        for cell in cells.cells
        for scope in scopes(cells, cell)
    ]


def treatment(cells: Cells, cell: Cell) -> dict[str, Any]:
    """Stress and limits of a cell: conditions that every number is shown with."""
    names = "stress", "limited"
    others = {name: cell.conditions.get(name) for name in cells.varying if name not in names}
    given = {name: cell.conditions.get(name) for name in names}
    return given | {"beside": condition_words(others) or "same for all"}


def _suffered(found: AllAnswers, cell: Cell, scope: Scope) -> dict[str, Any]:
    answers, rng = found.of(cell, scope), np.random.default_rng([SEED, cell.index])
    off, on, after = (answers.sample(step) for step in (OFF, ON, AFTER))
    harm, silent = ratios.degradation(answers, rng), ratios.silent_blocks(answers)
    tail_p = ratios.tail_of(answers)
    tail = ratios.tail_ratio(answers, tail_p, rng) if tail_p else None
    lost, lost_off = (estimate_share(*answers.unanswered(step)) for step in (ON, OFF))
    returns = answers.returns()
    back = estimate_quantile(returns, 0.5)
    told = found.stressors(cell, scope)
    return {
        "trials": answers.trials,
        "blocks": int(on.blocks.sizes.size),
        "n_off": off.n,
        "n_on": on.n,
        "p50_off_ns": _median(off),
        "p50_on_ns": _median(on),
        "p50_after_ns": _median(after),
        **_ends("degradation", harm.value, harm.low, harm.high),
        "verdict": _word(harm, silent, on.n),
        "silent_blocks": silent,
        "tail_p": tail_p,
        **(_ends("tail_ratio", tail.value, tail.low, tail.high) if tail else {}),
        **_ends("unanswered_share", lost.value, lost.low, lost.high),
        "unanswered_off_share": lost_off.value,
        "return_ns": back.value,
        "return_low_ns": back.low,
        "return_high_ns": back.high,
        "not_returned": int(np.isinf(returns.values).sum()),
        "stressors": told["told"],
        "stressors_silent": told["silent"],
    }


def _ends(name: str, value: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _median(sample: BlockedSample) -> float | None:
    return sample.quantile(0.5) if sample.n else None


def _word(harm: Ratio, silent: int, n: int) -> Word:
    if silent and n:
        return "did not report"
    if harm.low is None or harm.high is None:
        return "undecided"
    if EQUIVALENCE[0] <= harm.low and harm.high <= EQUIVALENCE[1]:
        return "unharmed"
    return "harmed" if harm.low > 1 else "undecided"


def relief_rows(found: AllAnswers) -> list[dict[str, Any]]:
    """What limits on the stressors change, wherever both were measured."""
    cells = found.cells
    pairs: dict[tuple[Any, ...], dict[bool, Cell]] = defaultdict(dict)
    for cell in cells.cells:
        params = json.loads(cell.params)
        limited = bool(params.pop("limited", True))
        key = (json.dumps(params, sort_keys=True), cell.image, cell.limits, cell.variant)
        pairs[key][limited] = cell
    return [_relief(found, pair) for pair in pairs.values() if len(pair) == 2]


def _relief(found: AllAnswers, pair: dict[bool, Cell]) -> dict[str, Any]:
    cells, cell = found.cells, pair[False]
    rng = np.random.default_rng([SEED, cell.index, 1])
    ratio = ratios.relief(found.of(pair[False]), found.of(pair[True]), rng)
    evidence = [str(cells.evidence.get((one.index, FLEET), "invalid")) for one in pair.values()]
    told = treatment(cells, cell)
    return {
        "variant": cell.variant,
        "stress": told["stress"],
        "beside": told["beside"],
        **_ends("relief", ratio.value, ratio.low, ratio.high),
        "verdict": _relief_word(ratio),
        "blocks": ratio.blocks,
        "emulated": cell.emulated,
        "virtual": cell.virtual,
        "evidence": next((e for e in evidence if e != "valid"), "valid"),
    }


def _relief_word(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None:
        return "undecided"
    if EQUIVALENCE[0] <= ratio.low and ratio.high <= EQUIVALENCE[1]:
        return "no difference"
    if ratio.low > 1:
        return "limits help"
    return "limits hurt" if ratio.high < 1 else "undecided"


def timeline_rows(found: AllAnswers) -> list[dict[str, Any]]:
    """Median latency of every cell over the time of its trials, in slices of a twentieth of a phase."""
    cells = found.cells
    return [
        {"variant": cell.variant, "conditions": cells.condition(cell)}
        | {"evidence": cells.evidence.get((cell.index, FLEET))}
        | treatment(cells, cell)
        | row
        for cell in cells.cells
        for row in _slices(found, cell)
    ]


def _slices(found: AllAnswers, cell: Cell) -> list[dict[str, Any]]:
    phase_s = float(cell.conditions.get("phase_s") or 0)
    return [
        {
            "at_s": (part.number + 0.5) * (phase_s / BINS_PER_PHASE),
            "phase_s": phase_s,
            "p50_ns": part.p50_ns,
            "requests": part.requests,
            "unanswered": part.unanswered,
        }
        for part in found.slices(cell)
    ]
