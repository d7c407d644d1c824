"""The calculator's form against demand files: all can be said, nothing is lost."""

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from analysis.capacity.demand import Demand
from analysis.capacity.forecast import Forecast
from contract.errors import CampaignError, UseError
from contract.yaml_source import YamlSource
from orchestrator.cli.serving.capacity_fields import CLASS_ENTRIES, FILE, SAID_ONCE, SHAPE_ENTRIES
from orchestrator.cli.serving.capacity_form import MOST_CHARACTERS, checked, fields_of, filled

EVERYTHING = """
demand: shop
description: |
  Two lines, "quoted",
  and: a colon.
shapes:
  - name: web
    count: {p50: 2000, p95: 2600}
    growth: {per_year: -10%, months: 6.5}
    variants: [docker, "odd, with comma", "7"]
    measured: {workload: light, ten: "10", eleven: 11, emulated: true, nothing: null, net: "a, b"}
    reserve: {mem: 256MiB, cpus: 0.5}
    most_per_host: 10
    uptime: {mtbf: 700h, mttr: 2min, needed: 24, target: 99.99%, domain_down: 0.001}
  - name: api
    service:
      arrivals_per_s: {p50: 400, p95: 600}
      service_time: 50ms
      wait: 20ms
      quantile: 0.999
      arrival_cv: 1.5
      service_cv: 0
  - {name: plain, count: 100.0, service: {arrivals_per_s: 3, service_time: 1s, wait: 1s}}
slo: {start_p99: 2s, probe_p99: 50ms}
domains: {count: 3, lose: 0, whole: true}
rto: 5min
detect: 30s
images: {prepulled: false, link: 10Gbit/s, registry: 500MiB/s}
headroom: {mem: 15%, cpu: 0.2, pids: 10%}
overload_risk: 1%
confidence: 0.9
extrapolate: {factor: 1e-05}
host_failures: {mtbf: 4000h, mttr: 8h, target: 99.9%}
host_classes:
  - {name: "new, one", like: "2 × Model 1, 24 GiB", scale: {mem: 4, cpus: 2, start_rate: 0.5, slo: 3}}
  - {name: "2 × Model 1, 24 GiB", price: 120.5, most: 7}
"""


def source(text: str) -> YamlSource:
    return YamlSource(Path("shop.yaml"), text)


def complaints(**values: str) -> dict[str, str]:
    found: dict[str, str] = checked(filled({k.replace("__", "."): v for k, v in values.items()}))[2]
    return found


def places(model: type[BaseModel], base: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Every place of a model where something can be said."""
    found = set()
    for name, field in model.model_fields.items():
        inner = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
        models = [one for one in inner if issubclass(one, BaseModel)]
        found |= places(models[0], (*base, name)) if models else {(*base, name)}
    return found


def test_everything_that_a_demand_may_say_has_a_field() -> None:
    """A key that is new to demands fails here until the form has it."""
    shape, host_class = (get_args(Demand.model_fields[key].annotation)[0] for key in ROWS)
    once = {place for place in places(Demand) if place[0] not in ROWS}
    assert once == {entry.place for entry in FILE.entries + SAID_ONCE}
    assert places(shape) == {entry.place for entry in SHAPE_ENTRIES}
    assert places(host_class) == {entry.place for entry in CLASS_ENTRIES}
    assert places(Forecast) == {("p50",), ("p95",)}


ROWS = ("shapes", "host_classes")


@pytest.mark.parametrize(
    "text",
    [
        EVERYTHING,
        EVERYTHING.replace("{count: 3, lose: 0, whole: true}", "{sizes: [40, 40, 20], lose: 2}"),
        EVERYTHING.replace("{count: 3, lose: 0, whole: true}", "{count: 1000000, lose: 2}"),
        "demand: a\nshapes: [{name: b, count: 3, variants: [], measured: {}, growth: null}]\nrto: null",
    ],
    ids=["everything", "sizes", "hosts alone", "nulls"],
)
def test_a_file_comes_back_as_it_was(text: str) -> None:
    demand, fields = fields_of(source(text))
    again, written, wrong = checked(filled(fields))
    assert wrong == {}
    said = demand.model_copy(update={"description": demand.description.strip()})
    assert again == said
    assert fields_of(written)[0] == said


def test_a_form_sends_its_lines_as_browsers_do() -> None:
    fields = fields_of(source(EVERYTHING))[1]
    sent = {name: text.replace("\n", "\r\n") for name, text in fields.items()}
    assert filled(sent).content == filled(fields).content


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("demand: a\nshapes:\n  - {name: b, cout: 3}\n", r"shop.yaml:3: .*did you mean 'count'"),
        ("demand: a\nshapes: []\n", "shop.yaml:2: 'shapes'"),
        ("just text", "a mapping with at least 'demand'"),
    ],
)
def test_a_file_with_mistakes_is_refused_by_its_line(text: str, said: str) -> None:
    with pytest.raises(CampaignError, match=said):
        fields_of(source(text))


def test_what_the_form_cannot_say_is_refused_and_not_lost() -> None:
    text = "demand: a\nshapes: [{name: b, count: 3}]\nhost_classes: [{name: ' spaced '}]\n"
    with pytest.raises(UseError, match="the form cannot say all of it"):
        fields_of(source(text))


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        (
            {"s0__p50": "5", "s0__service__x": "", "s0__wait": "1s"},
            "s0.arrivals.p50",
            "must be filled in",
        ),
        ({"s0__p50": "5", "s0__months": "6"}, "s0.growth", "must be filled in"),
        ({"s0__p95": "5"}, "s0.p50", "must be filled in"),
        ({"s0__p50": "5", "s0__target": "99%", "s0__mtbf": "9h"}, "s0.mtbf", "'needed' beside 'target'"),
        ({"s0__p50": "5", "c0__price": "9"}, "c0.name", "must be filled in"),
        ({"s0__p50": "5", "sizes": "4, x", "lose": "1"}, "sizes", "found 'x'"),
        ({"s0__p50": "5", "whole": "yes"}, "whole", "either 'count' or 'sizes'"),
        ({"s0__p50": "5", "images__prepulled": "no"}, "images.prepulled", "'link' and 'registry'"),
        ({"s0__p50": "5", "s0__measured": "light"}, "s0.measured", "found 'light'"),
        (
            {"s0__p50": "5", "description": "x" * (MOST_CHARACTERS + 1)},
            "description",
            "10001 characters",
        ),
        ({"s0__name": "b", "s0__p50": "5", "s3__name": "b", "s3__p50": "5"}, "s3.name", "no other one"),
        (
            {"s0__arrivals__p50": "1e9", "s0__service_time": "9d", "s0__wait": "1s"},
            "s0.arrivals.p50",
            "more than can be planned",
        ),
    ],
)
def test_complaints_stand_at_the_field_that_caused_them(
    values: dict[str, str], field: str, said: str
) -> None:
    found = complaints(**values)
    assert list(found) == [field] or field in found
    assert "" not in found
    assert said in found[field]


def test_aliases_of_aliases_in_a_field_fill_no_memory() -> None:
    bomb = "{a: &a [x, x, x, x, x, x, x, x, x]" + "".join(
        f", {name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    found: dict[str, Any] = complaints(s0__p50="5", s0__measured=f"{bomb}}}")
    assert list(found) == ["s0.measured"]
