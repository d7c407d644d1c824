"""The whole answer: every metric that both sides have, in every pair of equal cells, with a verdict."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import quantities
from analysis.cells import DOUBTS, Cells
from analysis.compare.differing import DIFFERENCE_FIELDS, Difference, differences
from analysis.compare.effects import Effect, Method, effect_of
from analysis.compare.matching import Pair, match_cells
from analysis.compare.sides import Side, Sides
from analysis.compare.verdicts import FLOOR, Question, judge
from analysis.distributions import Reduction
from analysis.imported import NOT_IN_TURN, cells_out_of_turn
from analysis.metrics import measures_by_experiment
from analysis.metrics.base import Measure, Measured, Metric, ShareBlocks
from analysis.scopes import FLEET
from analysis.section import Field, frame
from analysis.statistics.between_runs import RUN_DRIFT
from contract.errors import UseError
from contract.nearest import did_you_mean

QUANTILES = (None, "p50", "p95", "p99")
"""Of a distribution, those that are compared."""

COMPARISON_FIELDS = (
    Field("experiment", "string", "experiment"),
    Field("conditions", "string", "what tells the cell from others of its variant"),
    Field("variant_a", "string", "baseline: driver, and profile where it is not the default"),
    Field("variant_b", "string", "what it is compared with"),
    Field("metric", "string", "what was measured"),
    Field("quantile", "string", "of a distribution: p50, p95 or p99; missing for other metrics"),
    Field(
        "unit", "string", "unit of the values: ns, bytes, cpus, share, per_s, bytes_per_s, count, ratio"
    ),
    Field("better", "string", "which values are better: lower or higher"),
    Field("main", "boolean", "whether it is what the experiment is about, not a stage or a tail"),
    *(
        Field(f"{side}{end}", "Float64", f"{what} {of}")
        for side, what in (("a", "baseline's value"), ("b", "other's value"))
        for end, of in (
            ("", "as the report gives it"),
            ("_low", "- lower end of its 95 % interval"),
            ("_high", "- upper end of it"),
        )
    ),
    Field("n_a", "Int64", "values behind the baseline's"),
    Field("n_b", "Int64", "values behind the other's"),
    Field("kind", "string", "'ratio': B / A; 'difference': B - A, for shares"),
    Field("change", "Float64", "the ratio or difference: from blocks, so it may differ a little"),
    Field("change_low", "Float64", "lower end of its 95 % interval: noise within the runs"),
    Field("change_high", "Float64", "upper end of it"),
    Field("claim_low", "Float64", "lower end of the interval that the verdict rests on"),
    Field("claim_high", "Float64", "upper end of it: wider by drift between runs, if there are two"),
    Field("p_value", "Float64", "two-sided, from that interval"),
    Field("p_holm", "Float64", "the same after Holm's weighted correction over the whole answer"),
    Field(
        "verdict",
        "string",
        "faster, slower, better, worse, equivalent, undecided or withheld; said of B",
    ),
    Field("why", "string", "why undecided or withheld"),
    Field("pairing", "string", "'block', 'host' or 'none': what was compared with itself"),
    Field("blocks", "Int64", "blocks of the side that has fewer"),
    Field("hosts", "Int64", "hosts that were compared"),
    Field("virtual", "boolean", "time was simulated: nothing is real"),
    *(
        Field(f"{name}_{side}", "string", f"{what} of {whom}")
        for side, whom in (("a", "the baseline"), ("b", "the other"))
        for name, what in (
            ("params", "parameters that are conditions, canonical JSON,"),
            ("image", "image"),
            ("limits", "limits, canonical JSON,"),
        )
    ),
)
ALONE_FIELDS = (Field("sentence", "string", "a cell, or an experiment, that only one side has"),)

FIELDS = {
    "comparison": COMPARISON_FIELDS,
    "differs": DIFFERENCE_FIELDS,
    "alone": ALONE_FIELDS,
}


@dataclass(frozen=True)
class Options:
    """What the asker may choose."""

    floor: float = FLOOR
    drift: float = RUN_DRIFT
    metrics: Collection[str] = ()
    """Names of metrics; empty: all."""
    experiments: Collection[str] = ()
    """Names of experiments; empty: all."""


@dataclass(frozen=True)
class Comparison:
    """Everything that is to be said of two sides."""

    rows: tuple[dict[str, Any], ...]
    alone: tuple[str, ...]
    differs: tuple[Difference, ...]
    notes: tuple[str, ...]
    same_dataset: bool
    options: Options

    def tables(self) -> dict[str, pd.DataFrame]:
        """All of it as tables of ``FIELDS``."""
        rows: dict[str, list[dict[str, Any]]] = {
            "comparison": list(self.rows),
            "differs": [{"fact": d.fact, "a": d.a, "b": d.b} for d in self.differs],
            "alone": [{"sentence": sentence} for sentence in self.alone],
        }
        return {name: frame(FIELDS[name], rows[name]) for name in FIELDS}


def compare(sides: Sides, options: Options) -> Comparison:
    """Match cells, find every effect, and judge them together."""
    rows: list[dict[str, Any]] = []
    questions: list[Question] = []
    alone: list[str] = []
    a, b = (_experiments(side, options) for side in (sides.a, sides.b))
    known = measures_by_experiment()
    alone += [f"{name} was measured in A only." for name in sorted(a - b)]
    alone += [f"{name} was measured in B only." for name in sorted(b - a)]
    alone += [f"{name} has no metric that could be compared." for name in sorted((a & b) - set(known))]
    for experiment in sorted(a & b & set(known)):
        one = _OneExperiment(sides, experiment, options)
        alone += one.alone
        for row, question in one.questions():
            rows.append(row)
            questions.append(question)
    for row, verdict in zip(rows, judge(questions, options.floor), strict=True):
        row |= {"verdict": verdict.word, "p_holm": verdict.p_holm, "why": verdict.why}
    rounded = _rounded(sides, sorted(a & b & set(known)))
    found = differences(sides)
    notes = (*sides.notes, *_unmeasured(sides), *_included(sides), *rounded)
    return Comparison(tuple(rows), tuple(alone), found, notes, sides.same_dataset, options)


def _included(sides: Sides) -> list[str]:
    """A note where suspect trials were asked for, and are there."""
    asked = [side for side in (sides.a, sides.b) if side.dataset.include_suspect]
    if not any(trial["verdict"] == "suspect" for side in asked for trial in side.trials):
        return []
    return ["Suspect trials count in these numbers, as was asked. No verdict rests on them."]


def _unmeasured(sides: Sides) -> list[str]:
    """A note for every side of which no trial was measured, with the first reason."""
    notes = []
    for name, side in (("A", sides.a), ("B", sides.b)):
        if side.trials and not any(t["outcome"] in ("completed", "partial") for t in side.trials):
            why = next((t["error_text"] for t in side.trials if t["error_text"]), "no reason is known")
            notes.append(f"{name}: none of its {len(side.trials)} trials was measured: {why}.")
    return notes


def _rounded(sides: Sides, experiments: Sequence[str]) -> list[str]:
    """A note for every side with so many rows that values were counted in steps."""
    notes = []
    for side in (sides.a, sides.b):
        many = [name for name in experiments if Reduction(Cells(side.dataset, name)).rounded]
        if many:
            what = quantities.listed(many)
            notes.append(f"{side.name}: values of {what} were counted in steps of 0.1 %.")
    return notes


def _experiments(side: Side, options: Options) -> set[str]:
    held = set(side.dataset.experiments())
    return held & set(options.experiments) if options.experiments else held


def check_metrics(sides: Sides, names: Collection[str]) -> None:
    """Refuse names of metrics that no experiment of either side has. Raises UseError."""
    if not names:
        return
    held = {*sides.a.dataset.experiments(), *sides.b.dataset.experiments()}
    known = {
        measure.metric.name
        for name, measures in measures_by_experiment().items()
        if name in held
        for measure in measures(Cells(sides.a.dataset, name))
    }
    if unknown := sorted(set(names) - known):
        allowed = ", ".join(sorted(known)) + did_you_mean(unknown[0], known)
        raise UseError(f"--metric: found {unknown[0]!r}; allowed for what was measured: {allowed}")


class _OneExperiment:
    """Both sides' cells of one experiment."""

    def __init__(self, sides: Sides, experiment: str, options: Options) -> None:
        self._experiment = experiment
        self._freed, self._options = sides.freed, options
        self._cells = Cells(sides.a.dataset, experiment), Cells(sides.b.dataset, experiment)
        by_block = sides.same_dataset and sides.one_host_each is None
        self._method = Method(by_block, options.drift, _codes(sides, self._cells))
        self._out_of_turn = tuple(map(cells_out_of_turn, self._cells)) if by_block else ()
        matched = match_cells(*self._cells, sides.freed)
        self._pairs, self.alone = matched.pairs, matched.alone

    def questions(self) -> Iterator[tuple[dict[str, Any], Question]]:
        """A row without its verdict, and what is to be judged, for every metric of every pair."""
        measures = measures_by_experiment()[self._experiment]
        a, b = (measures(cells) for cells in self._cells)
        for one, other in zip(a, b, strict=True):
            metric = one.metric
            named = not self._options.metrics or metric.name in self._options.metrics
            if metric.quantile in QUANTILES and named:
                yield from self._of_metric(metric, one, other)

    def _of_metric(
        self, metric: Metric, one: Measure, other: Measure
    ) -> Iterator[tuple[dict[str, Any], Question]]:
        for pair in self._pairs:
            baseline, new = one.of(pair[0]), other.of(pair[1])
            if baseline is None or new is None:
                continue
            if metric.quantile not in (None, "p50") and not (_has(baseline) and _has(new)):
                continue  # n allows no such tail
            if _is_nothing(baseline) and _is_nothing(new):
                continue
            effect = effect_of(metric, baseline, new, self._method)
            row = self._describe(pair) | _metric(metric) | _values(baseline, new) | _effect(effect)
            yield row, Question(metric, effect, self._withheld(pair, (baseline, new)))

    def _describe(self, pair: Pair) -> dict[str, Any]:
        row: dict[str, Any] = {
            "experiment": self._experiment,
            "conditions": self._cells[0].condition(pair[0]),
            "virtual": pair[0].virtual or pair[1].virtual,
        }
        for name, cell in zip("ab", pair, strict=True):
            row |= {
                f"variant_{name}": cell.variant,
                f"params_{name}": cell.params,
                f"image_{name}": cell.image,
                f"limits_{name}": cell.limits,
            }
        return row

    def _withheld(self, pair: Pair, measured: tuple[Measured, Measured]) -> str | None:
        """Why no verdict may be given, whatever the numbers say."""
        if pair[0].virtual != pair[1].virtual:
            return "one side is simulated"
        if pair[0].emulated != pair[1].emulated:
            return "one side ran on an emulated CPU"
        for name, cells, cell in zip("AB", self._cells, pair, strict=True):
            if doubt := DOUBTS.get(cells.evidence.get((cell.index, FLEET))):
                return f"{name} {doubt}"
        for apart, cell in zip(self._out_of_turn, pair, strict=False):
            if cell.index in apart:
                return NOT_IN_TURN
        said = [f"{n}: {m.unsure}" for n, m in zip("AB", measured, strict=True) if m.unsure]
        return "; ".join(said) or None


def _codes(sides: Sides, cells: tuple[Cells, Cells]) -> tuple[Mapping[int, int], Mapping[int, int]]:
    """One code for every host name, or one for both sides when two hosts are what is compared."""
    names = sorted({*cells[0].hosts, *cells[1].hosts})
    common = dict.fromkeys(names, 0) if sides.one_host_each else {n: i for i, n in enumerate(names)}
    one, two = ({i: common[name] for i, name in enumerate(side.hosts)} for side in cells)
    return one, two


def _has(measured: Measured) -> bool:
    return not isinstance(measured.blocks, ShareBlocks) and bool(measured.blocks.keys)


def _is_nothing(measured: Measured) -> bool:
    """Whether a stage took no time, or nothing was moved, in any block."""
    blocks = measured.blocks
    return not isinstance(blocks, ShareBlocks) and bool(blocks.keys) and not blocks.medians.any()


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "quantile": metric.quantile,
        "unit": metric.unit,
        "better": metric.better,
        "main": metric.main,
    }


def _values(a: Measured, b: Measured) -> dict[str, Any]:
    row: dict[str, Any] = {"n_a": a.n, "n_b": b.n}
    for name, one in (("a", a), ("b", b)):
        found = one.estimate
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return row


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "kind": effect.kind,
        "change": effect.value,
        "change_low": effect.low,
        "change_high": effect.high,
        "claim_low": effect.claim_low,
        "claim_high": effect.claim_high,
        "p_value": effect.p_value,
        "pairing": effect.pairing,
        "blocks": effect.blocks,
        "hosts": effect.hosts,
    }
