"""The capacity calculator's form: fields to a demand, and complaints back to their fields."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from analysis.capacity.demand import MOST_DOMAINS, Demand
from contract.errors import CampaignError
from contract.yaml_source import Location, YamlSource, in_words

MOST_SHAPES = 8
MOST_CLASSES = 20
SHAPE_FIELDS = ("name", "p50", "p95", "growth", "months", "variants", "measured", "mem", "cpus", "most")
_WHOLE = re.compile(r"^\d{1,12}\Z")
_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\Z", re.IGNORECASE)

Values = Mapping[str, str]


@dataclass
class Filled:
    """A form as it was filled in: the demand's content, and which field each part of it came from."""

    content: dict[str, Any] = field(default_factory=dict)
    fields: dict[Location, str] = field(default_factory=dict)

    def put(self, values: Values, name: str, *loc: str | int) -> None:
        """Bring a field to its place in the demand, unless it is empty."""
        text = values.get(name, "").strip()
        self.fields[loc] = name
        if text:
            self.put_value(_scalar(text), *loc)

    def put_value(self, value: Any, *loc: str | int) -> None:
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
                return inner[0]
            loc = loc[:-1]
        return ""

    def complaints_of(self, error: CampaignError) -> dict[str, str]:
        """What the planning complained about, by field."""
        if isinstance(error, PlaceRefused):
            return {self.field_of(error.loc): error.short}
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
    form.put_value(values.get("demand", "").strip() or "calculator", "demand")
    form.fields[("demand",)] = "demand"
    for place, row in enumerate(_rows(values, "s", SHAPE_FIELDS, MOST_SHAPES)):
        _shape(form, values, f"s{row}", place)
    for place, row in enumerate(_rows(values, "c", ("name",), MOST_CLASSES)):
        _host_class(form, values, f"c{row}", place)
    for name in ("slo.start_p99", "slo.probe_p99", "headroom.mem", "headroom.cpu", "headroom.pids"):
        form.put(values, name, *name.split("."))
    for name in ("rto", "detect", "overload_risk", "confidence"):
        form.put(values, name, name)
    for name in ("mtbf", "mttr", "target"):
        form.put(values, f"failures.{name}", "host_failures", name)
    form.put(values, "extrapolate", "extrapolate", "factor")
    form.put(values, "domains", "domains", "count")
    form.put(values, "lose", "domains", "lose")
    lost = form.content.get("domains", {})
    if lost.get("lose") == 0 and "count" not in lost:
        del form.content["domains"]
    elif "lose" in lost and "count" not in lost:  # every host is a domain of its own: N + k
        lost["count"] = MOST_DOMAINS
    return form


def _shape(form: Filled, values: Values, row: str, place: int) -> None:
    here: tuple[str | int, ...] = ("shapes", place)
    form.put_value(values.get(f"{row}.name", "").strip() or f"shape-{place + 1}", *here, "name")
    form.fields[(*here, "name")] = f"{row}.name"
    if values.get(f"{row}.p95", "").strip():
        form.put(values, f"{row}.p50", *here, "count", "p50")
        form.put(values, f"{row}.p95", *here, "count", "p95")
    else:
        form.put(values, f"{row}.p50", *here, "count")
    if values.get(f"{row}.growth", "").strip():
        form.put(values, f"{row}.growth", *here, "growth", "per_year")
        form.put(values, f"{row}.months", *here, "growth", "months")
    form.put(values, f"{row}.mem", *here, "reserve", "mem")
    form.put(values, f"{row}.cpus", *here, "reserve", "cpus")
    form.put(values, f"{row}.most", *here, "most_per_host")
    form.fields[(*here, "variants")] = f"{row}.variants"
    if variants := _words(values, f"{row}.variants"):
        form.put_value(variants, *here, "variants")
    form.fields[(*here, "measured")] = f"{row}.measured"
    if pairs := [word.partition("=") for word in _words(values, f"{row}.measured")]:
        form.put_value({key: _scalar(value) for key, _, value in pairs}, *here, "measured")


def _host_class(form: Filled, values: Values, row: str, place: int) -> None:
    here: tuple[str | int, ...] = ("host_classes", place)
    form.put_value(values[f"{row}.name"].strip(), *here, "name")
    form.fields[(*here, "name")] = f"{row}.name"
    if like := values.get(f"{row}.like", "").strip():
        form.put_value(like, *here, "like")
    form.fields[(*here, "like")] = f"{row}.like"
    form.put(values, f"{row}.mem", *here, "scale", "mem")
    form.put(values, f"{row}.cpus", *here, "scale", "cpus")
    form.put(values, f"{row}.price", *here, "price")
    form.put(values, f"{row}.most", *here, "most")


def _words(values: Values, name: str) -> list[str]:
    return [word.strip() for word in values.get(name, "").split(",") if word.strip()]


def _rows(values: Values, letter: str, names: tuple[str, ...], most: int) -> list[int]:
    """The rows of a kind in which something was filled in."""
    return [
        row
        for row in range(most)
        if any(values.get(f"{letter}{row}.{name}", "").strip() for name in names)
    ]


def _scalar(text: str) -> str | int | float:
    """A number where it is one; amounts with units stay text, which the demand knows how to read."""
    if _WHOLE.match(text):
        return int(text)
    return float(text) if _NUMBER.match(text) else text


def checked(form: Filled) -> tuple[Demand | None, FormSource, dict[str, str]]:
    """The demand, its source, and complaints by field; the demand is None where there are any."""
    source = FormSource(form.content)
    try:
        return Demand.model_validate(source.data), source, {}
    except ValidationError as error:
        complaints: dict[str, str] = {}
        problems = error.errors()
        for problem in problems:
            inner = [p for p in problems if p is not problem and p["loc"][:1] == problem["loc"]]
            if problem["type"] == "too_short" and inner:
                continue  # pydantic counts only the entries that it accepted
            where = form.field_of(tuple(problem["loc"]))
            if problem["type"] == "missing":
                said = "must be filled in"
            else:
                said = f"found {problem['input']!r:.60}; allowed: {in_words(problem)}"
            complaints.setdefault(where, said)
        return None, source, complaints
