"""Rules of a gate against a dataset, and against its baseline."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from analysis import quantities
from analysis.cells import Cell, Cells
from analysis.compare.selection import select, selection_of
from analysis.dataset import Dataset
from analysis.gate.against import DEFAULT_QUANTILE, Bounds, judge_against
from analysis.gate.outcome import CellOutcome, GateOutcome, RuleOutcome, Undecided
from analysis.gate.rules import Gate, Rule
from analysis.metrics import measures_by_experiment
from analysis.metrics.base import Measure, Measured, Metric
from analysis.metrics.shown import allowed_amounts, parse_amount, range_in_words, value_in_words
from analysis.scopes import FLEET
from analysis.statistics.between_runs import RUN_DRIFT
from contract.errors import UseError
from contract.nearest import did_you_mean
from contract.yaml_source import Location, YamlSource


@dataclass(frozen=True)
class Judged:
    """What the rules are held against."""

    dataset: Dataset
    baseline: Dataset | None = None
    drift: float = RUN_DRIFT
    undecided: Undecided = "fail"


def judge_gate(gate: Gate, source: YamlSource, judged: Judged) -> GateOutcome:
    """The outcome of every rule, in their order.

    Raises CampaignError, with file and line, for a name or a unit that cannot be, and UseError for a
    rule about a baseline where none was given.
    """
    rules = [_Rule(rule, ("rules", i), source, judged) for i, rule in enumerate(gate.rules)]
    for rule in rules:
        rule.check()
    missing = len(judged.dataset.manifest.missing)
    notes = [f"{quantities.plural(missing, 'planned trial')} missing in the dataset."] if missing else []
    outcomes = tuple(rule.outcome() for rule in rules)
    if judged.baseline is not None:
        notes.append("Where A and B are spoken of, A is the baseline and B the dataset.")
    notes += [f"{rule.title}: {note}" for rule in rules for note in rule.notes]
    return GateOutcome(gate.gate, outcomes, judged.undecided, tuple(notes))


class _Rule:
    """One rule with what it needs of the data."""

    def __init__(self, rule: Rule, place: Location, source: YamlSource, judged: Judged) -> None:
        self._rule, self._place, self._source, self._judged = rule, place, source, judged
        self._refused: str | None = None
        self.notes: tuple[str, ...] = ()

    @cached_property
    def _dataset(self) -> Dataset | None:
        """The trials that the rule chooses; None, and a reason, when there are none."""
        try:
            return select(self._judged.dataset, selection_of(self._rule.where), "where")
        except UseError as error:
            self._refused = str(error)
            return None

    @cached_property
    def _cells(self) -> Cells | None:
        return None if self._dataset is None else Cells(self._dataset, self._rule.experiment)

    @cached_property
    def _measure(self) -> Measure:
        """The measure that the rule names, of the chosen cells. Raises CampaignError."""
        known = measures_by_experiment()
        if self._rule.experiment not in known:
            allowed = f"one of {', '.join(sorted(known))}"
            raise self._error("experiment", self._rule.experiment, allowed)
        cells = self._cells or Cells(self._judged.dataset, self._rule.experiment)
        measures = known[self._rule.experiment](cells)
        named = [m for m in measures if m.metric.name == self._rule.metric]
        if not named:
            names = ", ".join(dict.fromkeys(m.metric.name for m in measures))
            hint = did_you_mean(self._rule.metric, names.split(", "))
            raise self._error("metric", self._rule.metric, names + hint)
        if named[0].metric.quantile is None and self._rule.quantile:
            raise self._error("quantile", self._rule.quantile, f"none: {self._rule.metric} has none")
        wanted = self._rule.quantile or DEFAULT_QUANTILE
        return next(m for m in named if m.metric.quantile in (None, wanted))

    @cached_property
    def _limit(self) -> float:
        """The limit in the metric's unit, or how much worse it may be. Raises CampaignError."""
        rule, metric = self._rule, self._measure.metric
        if rule.against_baseline is None:
            key = "at_most" if rule.at_most is not None else "at_least"
            given, unit = getattr(rule, key), metric.unit
            loc: tuple[str, ...] = (key,)
        else:
            slower = rule.against_baseline.at_most_slower
            key = "at_most_worse" if slower is None else "at_most_slower"
            given, unit = getattr(rule.against_baseline, key), "share"
            loc = ("against_baseline", key)
            if slower is not None and metric.unit != "ns":
                raise self._source.error(
                    (*self._place, *loc), given, f"at_most_worse: {metric.name} is no time"
                )
        found = parse_amount(given, unit)
        if found is None:
            raise self._source.error((*self._place, *loc), given, allowed_amounts(unit))
        return found

    @property
    def title(self) -> str:
        """The rule's name."""
        return self._rule.title

    def check(self) -> None:
        """Refuse what cannot be, before anything is computed."""
        self._limit  # noqa: B018 - raises
        if self._rule.against_baseline is not None and self._judged.baseline is None:
            where = f"{self._source.path}:{self._source.line((*self._place, 'against_baseline'))}"
            raise UseError(f"{where}: rule '{self._rule.title}' needs --baseline DATASET")

    def outcome(self) -> RuleOutcome:
        """How the rule ended."""
        cells = tuple(self._outcomes())
        if not cells:
            why = self._refused or self._nothing()
            cells = (CellOutcome("no cell", "nothing matched", "nothing", why),)
        return RuleOutcome(self._rule.title, self._demand(), cells)

    def _outcomes(self) -> Iterator[CellOutcome]:
        if self._dataset is None or self._cells is None:
            return
        if self._rule.against_baseline is None:
            for cell in self._cells.cells:
                yield self._of_cell(self._cells, cell)
        elif self._judged.baseline is not None:
            both = self._judged.baseline, self._judged.dataset
            metric = self._measure.metric
            bounds = Bounds(self._limit, self._judged.drift)
            cells, self.notes = judge_against(self._rule, metric, both, bounds)
            yield from cells

    def _of_cell(self, cells: Cells, cell: Cell) -> CellOutcome:
        named = cell.variant
        if cells.condition(cell) != "same for all":
            named += f", {cells.condition(cell)}"
        measured = self._measure.of(cell)
        if measured is None or measured.estimate.value is None:
            why = f"no value of {self._measure.metric.title}: every trial is missing or not believed"
            return CellOutcome(named, "undecided", "nothing", why)
        found = _in_words(measured, self._measure.metric)
        if cells.evidence.get((cell.index, FLEET)) == "suspect":
            return CellOutcome(named, "undecided", found, "only suspect trials")
        return self._judge(named, found, measured)

    def _judge(self, named: str, found: str, measured: Measured) -> CellOutcome:
        """The far end of the interval, or the value, against the limit."""
        estimate, below = measured.estimate, self._rule.at_most is not None
        value, far = estimate.value, estimate.high if below else estimate.low
        assert value is not None
        if not _meets(value, self._limit, below=below):
            return CellOutcome(named, "fail", found, "the value misses it")
        if self._rule.confidence == "estimate":
            return CellOutcome(named, "pass", found, "the value meets it")
        if far is None:
            return CellOutcome(named, "undecided", found, "too few data for an interval")
        if not _meets(far, self._limit, below=below):
            why = "the value meets it, but the far end of its interval does not"
            return CellOutcome(named, "fail", found, why)
        return CellOutcome(named, "pass", found, "the far end of the interval meets it")

    def _demand(self) -> str:
        rule, metric = self._rule, self._measure.metric
        if rule.against_baseline is not None:
            more = f"{100 * self._limit:g} {'points' if metric.unit == 'share' else '%'}"
            word = "slower" if metric.unit == "ns" else "worse"
            return f"{metric.title} at most {more} {word} than the baseline ({rule.confidence})"
        most = "at most" if rule.at_most is not None else "at least"
        limit = (
            f"{100 * self._limit:g} %"
            if metric.unit == "share"
            else value_in_words(self._limit, metric.unit)
        )
        return f"{metric.title} {most} {limit} ({rule.confidence})"

    def _nothing(self) -> str:
        held = ", ".join(self._judged.dataset.experiments())
        given = ", ".join(str(term) for term in selection_of(self._rule.where).terms)
        what = f"{self._rule.experiment} with {given}" if given else self._rule.experiment
        return f"the dataset has no {what}; it has {held or 'no experiment'}"

    def _error(self, key: str, found: object, allowed: str) -> Exception:
        return self._source.error((*self._place, key), found, allowed)


def _meets(value: float, limit: float, *, below: bool) -> bool:
    return value <= limit if below else value >= limit


def _in_words(measured: Measured, metric: Metric) -> str:
    found = measured.estimate
    value = value_in_words(found.value, metric.unit)
    if found.low is None or found.high is None:
        return f"{value} (no interval)"
    return f"{value} ({range_in_words(found.low, found.high, metric.unit)})"
