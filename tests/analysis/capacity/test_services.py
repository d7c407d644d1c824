"""Waiting and availability lines of demands, from datasets to tables."""

import math
from pathlib import Path

import pytest
from make_trials import Faults, Stairs, Where, density, recovery, write_trials

from analysis.capacity import services_shown, shown, tables, words
from analysis.capacity.answer import Answer
from analysis.capacity.answering import answer
from analysis.capacity.availability import available_of
from analysis.capacity.demand import load_demand
from analysis.dataset import open_dataset
from contract.errors import CampaignError

WHERE = Where("docker", hosts=("h1", "h2"), blocks=3)
SERVICE = "service: {arrivals_per_s: 400, service_time: 50ms, wait: 20ms}"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("services")
    stairs = Stairs(WHERE, each_mib=40, peak=120, step=12, down=False)
    slow = Faults(WHERE, injections=40, median_s=20, sigma=0.3, never=0.05, deadline_s=120)
    fast = Faults(WHERE, injections=40, median_s=2, supervision="watcher")
    return write_trials(folder, density(stairs), recovery(slow), recovery(fast))


def answered(dataset: Path, folder: Path, shape: str, rest: str = "") -> Answer:
    file = folder / "demand.yaml"
    file.write_text(f"demand: shop\nshapes: [{{name: web, {shape}}}]\n{rest}")
    with open_dataset(dataset, check_sums=False) as opened:
        return answer(opened, *load_demand(file))


def test_a_service_says_how_many_instances_it_needs(dataset: Path, tmp_path: Path) -> None:
    (one,) = answered(dataset, tmp_path, SERVICE).services.queued
    assert one.least == one.planned
    assert 20 < one.least.instances < 40
    assert one.least.late <= 0.01


def test_a_forecast_of_requests_is_one_of_instances(dataset: Path, tmp_path: Path) -> None:
    many = SERVICE.replace("400", "{p50: 400, p95: 600}")
    found = answered(dataset, tmp_path, many)
    (plan,) = found.plans
    assert plan.instances == found.services.queued[0].least.instances


def test_too_few_instances_are_said_to_be_late(dataset: Path, tmp_path: Path) -> None:
    found = answered(dataset, tmp_path, f"count: 15, {SERVICE}")
    (one,) = found.services.queued
    assert (one.planned.instances, one.planned.late, one.planned.mean_s) == (15, 1.0, math.inf)
    (table,) = [t for t in shown.tables(found) if t.title == "Waiting for instances"]
    assert "without end" in table.rows[0]


def test_a_given_time_to_restore_is_taken_as_it_is(dataset: Path, tmp_path: Path) -> None:
    uptime = "uptime: {mtbf: 99h, mttr: 1h, needed: 9, target: 99.9%}"
    (one,) = answered(dataset, tmp_path, f"count: 10, {uptime}").services.available
    assert one.each == pytest.approx(0.99)
    assert one.service == pytest.approx(available_of(9, 10, 0.99))
    assert one.budget_min == pytest.approx((1 - available_of(9, 10, 0.99)) * 43_200)
    assert one.for_target is not None
    assert available_of(9, one.for_target, 0.99) >= 0.999 > available_of(9, one.for_target - 1, 0.99)


def test_else_the_slowest_recovery_that_was_measured_counts(dataset: Path, tmp_path: Path) -> None:
    (one,) = answered(dataset, tmp_path, "count: 10, uptime: {mtbf: 1000s}").services.available
    assert one.restored is not None
    assert one.restored.mean_s.value == pytest.approx(20 * math.exp(0.045) * 0.95 + 0.05 * 120, rel=0.1)
    assert one.restored.horizon_s == 120
    assert 0 < one.restored.unrecovered < 0.15
    assert one.low is not None
    assert one.high is not None
    assert one.each is not None
    assert one.low < one.each < one.high
    assert one.needed == one.total == 10


def test_domains_that_go_take_their_instances_along(dataset: Path, tmp_path: Path) -> None:
    uptime = "count: 9, uptime: {mtbf: 99h, mttr: 1h, needed: 6, domain_down: 1%}"
    (alone,) = answered(dataset, tmp_path, uptime).services.available
    (within,) = answered(dataset, tmp_path, uptime, "domains: {count: 3}\n").services.available
    assert alone.service is not None
    assert within.service is not None
    assert within.service < alone.service


def test_nobody_measured_or_said_the_time_to_restore(tmp_path: Path) -> None:
    folder = write_trials(tmp_path, density(Stairs(WHERE, each_mib=40, peak=120, step=12, down=False)))
    found = answered(folder, tmp_path, "count: 10, uptime: {mtbf: 99h}")
    assert found.services.available[0].each is None
    (table,) = [t for t in shown.tables(found) if t.title == "Availability"]
    assert "not known" in table.rows[0]
    assert not any("nan" in cell.lower() for cell in table.rows[0])


def test_columns_are_those_that_are_declared(dataset: Path, tmp_path: Path) -> None:
    found = answered(dataset, tmp_path, f"{SERVICE}, uptime: {{mtbf: 99h}}")
    written = tables.as_json(found)
    for name, fields in services_shown.FIELDS.items():
        assert [list(row) for row in written[name]] == [[field.name for field in fields]]


def test_who_asks_for_nothing_gets_no_lines(dataset: Path, tmp_path: Path) -> None:
    found = answered(dataset, tmp_path, "count: 10")
    assert not any(t.title in ("Availability", "Waiting for instances") for t in shown.tables(found))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("service: {arrivals_per_s: 5, service_time: 3, wait: 1s}", "service_time"),
        ("count: 3, uptime: {mtbf: 1h, target: 99%}", "needed"),
        ("measured: {}", "count"),
    ],
)
def test_mistakes_are_named(dataset: Path, tmp_path: Path, shape: str, said: str) -> None:
    with pytest.raises(CampaignError, match=said):
        answered(dataset, tmp_path, shape)


def test_objectives_that_are_missed_are_said_before_the_tables(dataset: Path, tmp_path: Path) -> None:
    uptime = "uptime: {mtbf: 1h, mttr: 30min, needed: 10, target: 99.9%}"
    said = words.caveats(answered(dataset, tmp_path, f"count: 10, {SERVICE}, {uptime}"))
    assert said[0].startswith(
        "Shape web: with 10 instances 100 % of the requests wait longer than 20.0 ms; "
    )
    assert said[1].startswith(
        "Shape web as docker: enough instances are there 1.7 % of the time, below the"
    )
    assert said[1].endswith("would do.")
    enough = words.caveats(answered(dataset, tmp_path, f"count: 60, {SERVICE}, {uptime}"))
    assert not any("wait longer" in one or "below the target" in one for one in enough)
