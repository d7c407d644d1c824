"""Part of a dataset, as a person asks for it: ``driver=docker,profile=crun,concurrency=8``."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from analysis import quantities
from analysis.dataset import Dataset
from analysis.host_classes import class_of_host, host_classes
from contract.errors import UseError
from contract.nearest import did_you_mean

PLAIN_KEYS = ("driver", "profile", "host", "class", "campaign", "block", "date")
"""Besides these, every parameter of the experiment, the image and the limits."""
ORDERED = ("block", "date")
_TERM = re.compile(r"\s*(?P<key>\w+)\s*(?P<sign>>=|<=|=|<|>)\s*(?P<value>.*?)\s*")
_COMMA = re.compile(r",(?=\s*\w+\s*(?:>=|<=|=|<|>))")
_BOUND = re.compile(r"(>=|<=|<|>)\s*(.+)")
_MOST_VALUES = 12
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}


@dataclass(frozen=True, slots=True)
class Term:
    """One condition of a selection."""

    key: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}{self.sign}{self.value}"


@dataclass(frozen=True)
class Selection:
    """Conditions that a trial must meet. Equalities on one key are alternatives."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return ", ".join(str(term) for term in self.terms) or "everything"

    @cached_property
    def by_key(self) -> dict[str, tuple[Term, ...]]:
        """The conditions on each key."""
        found: dict[str, list[Term]] = defaultdict(list)
        for term in self.terms:
            found[term.key].append(term)
        return {key: tuple(terms) for key, terms in found.items()}

    def said_of(self, key: str) -> frozenset[str]:
        """What the selection says of a key, to see whether another one says the same."""
        return frozenset(f"{term.sign}{term.value}" for term in self.by_key.get(key, ()))


def parse_selection(texts: Sequence[str], option: str) -> Selection:
    """Conditions from an option's values, each with one condition or several between commas.

    Raises UseError for what is no condition.
    """
    terms = []
    for text in texts:
        for part in _COMMA.split(text):
            found = _TERM.fullmatch(part)
            if not found or not found["value"]:
                raise UseError(f"{option}: found {part!r}; allowed: KEY=VALUE, or {ALLOWED}")
            terms.append(Term(found["key"], found["sign"], found["value"]))
    return Selection(tuple(terms))


ALLOWED = (
    f"{', '.join(PLAIN_KEYS)} and any parameter of the experiments, image or limit, with =; "
    "block, date and numbers also with <, <=, > and >="
)


def selection_of(where: Mapping[str, Any]) -> Selection:
    """A selection from a mapping as YAML files have it: a value per key, or a list of them.

    Text that begins with ``<``, ``<=``, ``>`` or ``>=`` is a bound.
    """
    terms = []
    for key, value in where.items():
        for one in value if isinstance(value, list) else [value]:
            bound = _BOUND.fullmatch(one) if isinstance(one, str) else None
            terms.append(Term(key, *(bound.groups() if bound else ("=", _scalar(one)))))
    return Selection(tuple(terms))


def select(dataset: Dataset, selection: Selection, option: str) -> Dataset:
    """The dataset with the trials that a selection chooses.

    Raises UseError when a key is unknown or nothing matches, and says what the dataset holds.
    """
    if not selection.terms:
        return dataset
    known = Known(dataset)
    for key in selection.by_key:
        if key not in known.keys:
            hint = did_you_mean(key, known.keys)
            raise UseError(
                f"{option}: unknown key {key!r}{hint}; allowed: {ALLOWED}. {known.in_words()}"
            )
    chosen = known.chosen(selection)
    if not chosen:
        held = known.in_words(tuple(selection.by_key))
        raise UseError(f"{option}: nothing in {dataset.path} matches {selection}. {held}")
    return dataset.selected(chosen)


class Known:
    """What a dataset's trials are, by key."""

    def __init__(self, dataset: Dataset) -> None:
        classes = class_of_host(host_classes(dataset))
        self._trials = {t["trial_id"]: _facets(t, classes) for t in dataset.trials()}
        self._path = dataset.path
        held = {key for facets in self._trials.values() for key in facets}
        self.keys = (*PLAIN_KEYS, *sorted(held - set(PLAIN_KEYS)))

    def chosen(self, selection: Selection) -> set[str]:
        """Ids of the trials that meet all conditions."""
        return {
            trial_id
            for trial_id, facets in self._trials.items()
            if all(_meets(key, facets.get(key), terms) for key, terms in selection.by_key.items())
        }

    def in_words(self, keys: Sequence[str] | None = None) -> str:
        """What the dataset holds of some keys, or of those with a choice."""
        values: dict[str, set[str]] = defaultdict(set)
        for facets in self._trials.values():
            for key, value in facets.items():
                values[key].add(_said(value))
        wanted = keys or [key for key in self.keys if len(values[key]) > 1 or key == "driver"]
        parts = []
        for key in wanted:
            every = sorted(values[key], key=lambda text: (len(text), text))
            if key in ORDERED and len(every) > 1:
                parts.append(f"{key} {min(values[key])} to {max(values[key])}")
            else:
                parts.append(f"{key} {quantities.listed(every, _MOST_VALUES)}")
        return f"{self._path} has {'; '.join(parts)}"


def _facets(trial: Mapping[str, Any], classes: Mapping[str, str]) -> dict[str, Any]:
    limits = {f"limit_{key}": value for key, value in json.loads(trial["limits"]).items()}
    own = {
        "driver": trial["driver"],
        "profile": trial["profile"],
        "host": trial["host"],
        "class": classes.get(trial["host"], ""),
        "campaign": trial["campaign"],
        "block": trial["block"],
        "date": trial["started_at"],
        "image": trial["image"],
    }
    params: dict[str, Any] = json.loads(trial["params"])
    return params | limits | own


def _meets(key: str, value: Any, terms: Sequence[Term]) -> bool:
    equal = [t for t in terms if t.sign == "="]
    ordered = [t for t in terms if t.sign != "="]
    some = not equal or any(_equals(key, value, t.value) for t in equal)
    return some and all(_is_ordered(key, value, t) for t in ordered)


def _equals(key: str, value: Any, text: str) -> bool:
    if key == "date":
        begin, end = _moment(text)
        return value is not None and begin <= _utc(value) < end
    return text == _scalar(value) or text == str(value)


def _is_ordered(key: str, value: Any, term: Term) -> bool:
    if key == "date":
        begin, end = _moment(term.value)
        moment = end if term.sign in ("<=", ">") else begin
        sign = {"<=": "<", ">": ">="}.get(term.sign, term.sign)
        return value is not None and _SIGNS[sign](_utc(value), moment)
    try:
        bound = float(term.value)
    except ValueError:
        raise UseError(f"{term}: found {term.value!r}; allowed: a number") from None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and _SIGNS[term.sign](float(value), bound)


def _moment(text: str) -> tuple[datetime, datetime]:
    """Begin and end of a day, or a moment twice (an instant apart). Raises UseError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UseError(
            f"date: found {text!r}; allowed: a day or a moment, such as 2026-11-01 or 2026-11-01T08:00"
        ) from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    is_day = len(text) <= len("2026-11-01")
    return found, found + (timedelta(days=1) if is_day else timedelta(microseconds=1))


def _utc(value: Any) -> datetime:
    moment: datetime = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _scalar(value: Any) -> str:
    """A value as YAML and a person write it: ``8``, ``true``, ``null``, ``docker``."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _said(value: Any) -> str:
    return f"{_utc(value):%Y-%m-%dT%H:%M}" if hasattr(value, "astimezone") else _scalar(value)
