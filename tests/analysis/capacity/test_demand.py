"""Demand files: what is read, and what is said of what is wrong."""

from pathlib import Path

import pytest

from analysis.capacity.demand import Demand, load_demand
from analysis.capacity.units import bound
from contract.errors import CampaignError

LEAST = "demand: shop\nshapes: [{name: web, count: 10}]\n"


def load(folder: Path, text: str) -> Demand:
    path = folder / "demand.yaml"
    path.write_text(text)
    return load_demand(path)[0]


def test_amounts_are_read_with_their_units(tmp_path: Path) -> None:
    demand = load(
        tmp_path,
        LEAST
        + "slo: {start_p99: 2s, probe_p99: 50ms}\nrto: 5min\nheadroom: {mem: 12.5%, cpu: 0.3}\n"
        + "images: {prepulled: false, link: 10Gbit/s, registry: 500MiB/s}\n"
        + "host_failures: {mtbf: 4000h, mttr: 8h}\n",
    )
    assert (demand.slo.start_p99, demand.slo.probe_p99, demand.rto) == (2, 0.05, 300)
    assert (demand.headroom.mem, demand.headroom.cpu, demand.headroom.pids) == (0.125, 0.3, 0.1)
    assert (demand.images.link, demand.images.registry) == (1.25e9, 500 * 2**20)
    assert demand.host_failures is not None
    assert demand.host_failures.up == pytest.approx(4000 / 4008)


def test_a_bare_count_is_for_sure_and_a_forecast_has_a_spread(tmp_path: Path) -> None:
    assert load(tmp_path, LEAST).shapes[0].count.sigma == 0
    text = LEAST.replace(
        "count: 10", "count: {p50: 100, p95: 200}, growth: {per_year: -10%, months: 24}"
    )
    shape = load(tmp_path, text).shapes[0]
    assert shape.count.sigma == pytest.approx(0.4214, abs=1e-4)
    assert shape.growth is not None
    assert shape.growth.factor == pytest.approx(0.81)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "slo: {start_p99: 2}",
            "demand.yaml:3: 'slo.start_p99': found 2; allowed: a time with its unit",
        ),
        ("rto: 5 parsecs", "demand.yaml:3: 'rto': found '5 parsecs'"),
        ("rto: 0s", "a time above 0"),
        ("headroom: {mem: 150%}", "'headroom.mem': found '150%'; allowed: a percentage"),
        ("headroom: {mem: 100%}", "'headroom.mem': found 1.0; allowed: less than 1"),
        ("domains: {count: 3, lose: 3}", "'lose' below the number of domains, which is 3"),
        ("domains: {count: 3, sizes: [1, 2]}", "either 'count' or 'sizes'"),
        ("domains: {sizes: [3, 2], whole: true}", "'whole' with 'count' only"),
        ("slos: {}", "unknown key 'slos' (did you mean 'slo'?)"),
        ("host_classes: [{name: big, scale: {mem: 2}}]", "'like' beside 'scale'"),
        ("host_classes: [{name: a}, {name: a}]", "every name once in 'host_classes'"),
        ("images: {prepulled: false}", "'link' and 'registry' beside 'prepulled: false'"),
        ("overload_risk: .nan", "a percentage"),
    ],
)
def test_mistakes_are_named_with_line_key_found_and_allowed(
    tmp_path: Path, more: str, said: str
) -> None:
    with pytest.raises(CampaignError) as caught:
        load(tmp_path, LEAST + more + "\n")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "demand: x\nshapes: [{name: web, count: many}]\n",
            "found 'many'; allowed: a number of instances",
        ),
        ("demand: x\nshapes: [{name: web, count: 0}]\n", "greater than 0"),
        ("demand: x\nshapes: [{name: web, count: {p50: 3, p95: 2}}]\n", "p95 not below p50"),
        ("demand: x\nshapes: []\n", "at least one entry"),
        ("- 1\n", "a mapping with at least 'demand' and 'shapes'"),
        ("shapes: [{name: web, count: 1}]\n", "key 'demand' is missing"),
    ],
)
def test_shapes_are_checked(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CampaignError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)


def test_bounds_are_said_as_they_were_set() -> None:
    assert [bound(s) for s in (0.05, 0.005, 2, 1.5, 300, 90, 7200, 86_400)] == [
        *("50 ms", "5 ms", "2 s", "1.5 s", "5 min", "90 s", "2 h", "1 d")
    ]
