"""The capacity calculator's form: fields to a demand and back, and complaints to their fields."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from analysis.capacity.demand import MOST_DOMAINS, Demand, Shape, demand_of
from contract.errors import CampaignError, TonnageError, UseError
from contract.yaml_source import Location, YamlSource, in_words
from orchestrator.cli.serving.capacity_fields import (
    CLASS_ENTRIES,
    FILE,
    MOST_CLASSES,
    MOST_SHAPES,
    SAID_ONCE,
    SHAPE_ENTRIES,
    Entry,
)
from orchestrator.cli.serving.capacity_values import text_of, value_of

MOST_CHARACTERS = 10_000
"""Of one field: more is refused, never cut."""

Values = Mapping[str, str]


@dataclass
class Filled:
    """A form as it was filled in: the demand's content, and which field each part of it came from."""

    content: dict[str, Any] = field(default_factory=dict)
    fields: dict[Location, str] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    """Fields that were filled in."""
    complaints: dict[str, str] = field(default_factory=dict)
    """What is wrong before the demand is even read, by field."""

    def take(self, values: Values, entry: Entry, row: str = "", base: Location = ()) -> None:
        """Bring a field to its place in the demand, unless it is empty."""
        name, loc = row + entry.name, (*base, *entry.place)
        if entry.kind == "median" and not _plain(values, f"{name[:-2]}95"):
            loc = loc[:-1]
        self.fields[loc] = name
        text = _plain(values, name)
        if len(text) > MOST_CHARACTERS:
            self.complaints[name] = f"found {len(text)} characters; allowed: {MOST_CHARACTERS}"
        elif text:
            self.said.add(name)
            self.put(value_of(entry.kind, text), *loc)

    def put(self, value: Any, *loc: str | int) -> None:
        """Bring a value to its place."""
        place: Any = self.content
        for step, after in itertools.pairwise(loc):
            fresh: Any = [] if isinstance(after, int) else {}
            if isinstance(step, int):
                while len(place) <= step:
                    place.append({})
                place = place[step]
            else:
                place = place.setdefault(step, fresh)
        place[loc[-1]] = value

    def field_of(self, loc: Location) -> str:
        """The field that a complaint is about: that of its place, or of the nearest one around it."""
        while loc:
            if loc in self.fields:
                return self.fields[loc]
            inner = [name for place, name in self.fields.items() if place[: len(loc)] == loc]
            if inner:
                return next((name for name in inner if name in self.said), inner[0])
            loc = loc[:-1]
        return ""

    def complaints_of(self, error: TonnageError) -> dict[str, str]:
        """What the planning complained about, by field."""
        if isinstance(error, PlaceRefused):
            return {self.field_of(error.loc): error.short}
        for place, shape in enumerate(self.content.get("shapes", [])):
            if str(error).startswith(f"shape '{shape['name']}':"):
                return {self.field_of(("shapes", place, "measured")): str(error)}
        return {"": str(error)}


class PlaceRefused(CampaignError):
    """A complaint about one place of the demand, for the field that it came from."""

    def __init__(self, said: str, loc: Location, found: object, allowed: str) -> None:
        super().__init__(said)
        self.loc, self.short = loc, f"found {found!r:.80}; allowed: {allowed}"


class FormSource(YamlSource):
    """The demand as YAML, whose complaints know their place."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        super().__init__(Path("demand"), self.text)

    def error(self, loc: Location, found: object, allowed: str) -> CampaignError:
        """A complaint with its place."""
        return PlaceRefused(str(super().error(loc, found, allowed)), loc, found, allowed)


def filled(values: Values) -> Filled:
    """A demand out of the fields ``demand``, ``s0.name``, ``c0.price``, ``slo.start_p99`` …"""
    form = Filled()
    form.put("calculator", "demand")
    for entry in FILE.entries:
        form.take(values, entry)
    for place, row in enumerate(rows_of(values, "s", MOST_SHAPES)):
        here: Location = ("shapes", place)
        form.put(f"shape-{place + 1}", *here, "name")
        for entry in SHAPE_ENTRIES:
            form.take(values, entry, f"s{row}.", here)
    for entry in SAID_ONCE:
        form.take(values, entry)
    for place, row in enumerate(rows_of(values, "c", MOST_CLASSES)):
        for entry in CLASS_ENTRIES:
            form.take(values, entry, f"c{row}.", ("host_classes", place))
    _settle_domains(form)
    form.complaints |= _named_twice(form)
    return form


def _settle_domains(form: Filled) -> None:
    """Hosts that may be lost, without domains: every host is a domain of its own, which is N + k."""
    lost = form.content.get("domains", {})
    if lost.get("lose") == 0 and len(lost) == 1:
        del form.content["domains"]
    elif "lose" in lost and not lost.keys() & {"count", "sizes"}:
        lost["count"] = MOST_DOMAINS


def rows_of(values: Values, letter: str, most: int) -> list[int]:
    """The rows of a kind in which something was filled in."""
    entries = SHAPE_ENTRIES if letter == "s" else CLASS_ENTRIES
    return [
        row
        for row in range(most)
        if any(_plain(values, f"{letter}{row}.{entry.name}") for entry in entries)
    ]


def fields_of(source: YamlSource) -> tuple[Demand, dict[str, str]]:
    """A demand file's demand, and the fields that say the same.

    Raises CampaignError, with the line, where the file is wrong; UseError where it says more than the
    form can hold.
    """
    demand = demand_of(source)
    fields: dict[str, str] = {}
    for letter, entries, key in (("s", SHAPE_ENTRIES, "shapes"), ("c", CLASS_ENTRIES, "host_classes")):
        for row, content in enumerate(source.data.get(key) or []):
            fields |= {f"{letter}{row}.{name}": text for name, text in _texts(content, entries)}
    fields |= dict(_texts(source.data, FILE.entries + SAID_ONCE))
    if fields.get("domains") == str(MOST_DOMAINS) and "lose" in fields:
        del fields["domains"]
    again, _, complaints = checked(filled(fields))
    if again != demand.model_copy(update={"description": demand.description.strip()}):
        raise UseError(
            f"{source.path}: the form cannot say all of it ({'; '.join(complaints.values())}); "
            "`tonnage capacity` takes the file as it is"
        )
    return demand, fields


def _texts(content: Any, entries: tuple[Entry, ...]) -> list[tuple[str, str]]:
    """The fields that are filled in, with their texts."""
    found = []
    for entry in entries:
        value = content
        for step in entry.place:
            value = value.get(step) if isinstance(value, dict) else value if step == "p50" else None
        if value is not None and (text := text_of(entry.kind, value)):
            found.append((entry.name, text))
    return found


def _plain(values: Values, name: str) -> str:
    """A field's text; browsers send the ends of its lines as CR LF."""
    return values.get(name, "").replace("\r\n", "\n").strip()


def _named_twice(form: Filled) -> dict[str, str]:
    """Shapes and classes whose name another one has already."""
    found: dict[str, str] = {}
    for key in ("shapes", "host_classes"):
        seen: set[object] = set()
        for place, content in enumerate(form.content.get(key, [])):
            name = content.get("name")
            if name is not None and name in seen:
                said = f"found {name!r:.80}; allowed: a name that no other one has"
                found[form.field_of((key, place, "name"))] = said
            seen.add(name)
    return found


def checked(form: Filled) -> tuple[Demand | None, FormSource, dict[str, str]]:
    """The demand, its source, and complaints by field; the demand is None where there are any.

    Raises CampaignError for what no file may hold, such as control characters.
    """
    source = FormSource(form.content)
    complaints = dict(form.complaints)
    try:
        demand = Demand.model_validate(source.data)
    except ValidationError as error:
        for where, said in _said(form, error):
            complaints.setdefault(where, said)
        if form.complaints:
            complaints.pop("", None)  # a name that stands there twice is said at its field
        return None, source, complaints
    except UseError as error:  # more requests than can be planned for
        return None, source, complaints | {_overwhelmed(form): str(error)}
    return (None if complaints else demand), source, complaints


def _said(form: Filled, error: ValidationError) -> Iterator[tuple[str, str]]:
    """What is wrong with a demand: field by field, what was found and what is allowed."""
    problems = error.errors()
    for problem in problems:
        inner = [p for p in problems if p is not problem and p["loc"][:1] == problem["loc"]]
        if problem["type"] == "too_short" and inner:
            continue  # pydantic counts only the entries that it accepted
        said = f"found {problem['input']!r:.60}; allowed: {in_words(problem)}"
        if problem["type"] == "missing":
            said = "must be filled in"
        yield form.field_of(tuple(problem["loc"])), said


def _overwhelmed(form: Filled) -> str:
    """The field of the requests that more instances would have to serve than can be planned."""
    for place, shape in enumerate(form.content.get("shapes", [])):
        try:
            Shape.model_validate(shape)
        except UseError:
            return form.field_of(("shapes", place, "service", "arrivals_per_s"))
        except ValidationError:
            continue
    return ""
