"""Mixed plans of demands, from datasets to sentences."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from make_mixed import CPU_EACH, EACH_MIB, GIB, PRICES, SHAPES, climb, demand, mixed_dataset
from make_trials import write_trials
from typer.testing import CliRunner

from analysis.capacity import mix_words, mixing, tables
from analysis.capacity.answer import Answer
from analysis.capacity.answering import answer
from analysis.capacity.cover import Effort
from analysis.capacity.demand import load_demand
from analysis.dataset import open_dataset
from orchestrator.cli import app

MIB = 1 << 20


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_dataset(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(autouse=True)
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing, "EFFORT", Effort(time_limit_s=0.5, gap=0.01))


KNOWN: dict[tuple[Path, str], Answer] = {}


def planned(dataset: Path, file: Path) -> Answer:
    with open_dataset(dataset, check_sums=False) as opened:
        return answer(opened, *load_demand(file))


def answered(dataset: Path, file: Path) -> Answer:
    """The answer, made once for every text of a demand."""
    key = dataset, file.read_text()
    if key not in KNOWN:
        KNOWN[key] = planned(dataset, file)
    return KNOWN[key]


def truly_holds(kind: str, pattern: dict[str, int]) -> bool:
    """By the numbers that the dataset was drawn from."""
    memory, cpus = {"small": (8, 4), "big": (32, 16)}[kind]
    mem = 500 + sum(EACH_MIB[shape] * n for shape, n in pattern.items())
    cpu = 0.05 + sum(CPU_EACH[shape] * n for shape, n in pattern.items())
    return mem <= 0.85 * memory * GIB / MIB and cpu <= 0.8 * cpus and pattern.get("db", 0) <= 30


def test_shapes_that_share_hosts_cost_less_and_truly_fit(dataset: Path, tmp_path: Path) -> None:
    found = answered(dataset, demand(tmp_path))
    (mix,) = found.mixes
    assert mix.plan is not None
    assert mix.enough
    assert mix.shortfall <= 0.05
    assert mix.plan.bound <= mix.plan.cost
    assert mix.plan.gap <= 0.05
    assert mix.cost is not None
    assert mix.apart is not None
    assert mix.cost < mix.apart
    for stack in mix.plan.stacks:
        assert truly_holds(stack.kind, dict(stack.reserved))
    assert "suffice with a chance of 95.0 %" in mix_words.summary(mix, found.confidence)


def test_draws_from_the_truth_are_carried(dataset: Path, tmp_path: Path) -> None:
    """Demands at random, placed on the hosts that are left in proportion to what they can hold."""
    (mix,) = answered(dataset, demand(tmp_path, "domains: {count: 3, lose: 1}\n")).mixes
    assert mix.plan is not None
    rng, carried = np.random.default_rng(5), []
    stacks = mix.plan.stacks
    left = {
        shape: min(
            sum(s.hosts * s.reserved.get(shape, 0) for s in stacks if s.domain != gone)
            for gone in (1, 2, 3)
        )
        for shape in EACH_MIB
    }
    spread = {"web": math.log(700 / 600) / 1.645, "batch": math.log(620 / 500) / 1.645, "db": 0.0}
    for _ in range(400):
        wanted = {
            shape: math.ceil(middle * math.exp(spread[shape] * rng.normal()) - 1e-9)
            for shape, middle in (("web", 600), ("db", 60), ("batch", 500))
        }
        carried.append(
            all(
                truly_holds(
                    s.kind, {n: math.ceil(m * wanted[n] / left[n] - 1e-9) for n, m in s.reserved.items()}
                )
                for s in stacks
            )
        )
    assert np.mean(carried) >= 0.93


def test_every_loss_that_was_asked_for_is_survived(dataset: Path, tmp_path: Path) -> None:
    found = answered(dataset, demand(tmp_path, "domains: {count: 4, lose: 2}\n"))
    (mix,) = found.mixes
    assert mix.plan is not None
    assert {stack.domain for stack in mix.plan.stacks} <= {1, 2, 3, 4}
    bare = answered(dataset, demand(tmp_path)).mixes[0]
    assert mix.cost is not None
    assert bare.cost is not None
    assert mix.cost >= 1.9 * bare.cost


def test_hosts_that_cannot_be_had_are_missed_by_number(dataset: Path, tmp_path: Path) -> None:
    prices = PRICES.replace("price: 330", "price: 330, most: 1").replace("100", "100, most: 2")
    (mix,) = answered(dataset, demand(tmp_path, prices=prices)).mixes
    assert not mix.enough
    said = mix_words.summary(mix, 0.95)
    assert "not possible" in said
    assert "left without room" in said
    assert "more of small would do" in said
    assert "more of big would do" in said


def test_a_shape_that_fits_on_no_host_is_named(dataset: Path, tmp_path: Path) -> None:
    rest = "headroom: {mem: 99%}\n"
    (mix,) = answered(dataset, demand(tmp_path, rest)).mixes
    said = " ".join(mix.infeasible)
    assert "web on small: one instance with its spread takes" in said
    assert "db on big" in said


def test_single_failures_and_an_rto_ask_for_spares(dataset: Path, tmp_path: Path) -> None:
    rest = "host_failures: {mtbf: 100h, mttr: 10h, target: 99.9%}\n"
    (mix,) = answered(dataset, demand(tmp_path, rest)).mixes
    assert mix.plan is not None
    assert sum(mix.spares.values()) >= 2
    assert mix.cost == mix.plan.cost + mix.spare_cost
    assert "spare" in mix_words.summary(mix, 0.95)


def test_hosts_are_counted_without_prices(dataset: Path, tmp_path: Path) -> None:
    (mix,) = answered(dataset, demand(tmp_path, prices="")).mixes
    assert mix.plan is not None
    assert not mix.plan.priced
    assert mix.cost == sum(mix.hosts.values())
    assert mix.hosts["small"] == 0


def test_one_shape_on_one_class_has_nothing_to_mix(dataset: Path, tmp_path: Path) -> None:
    shapes = "\n  - {name: web, count: 600, measured: {workload: web}}\n"
    file = demand(tmp_path, shapes=shapes, prices="host_classes: [{name: big}]\n")
    found = answered(dataset, file)
    assert found.mixes == ()
    assert not any("mixed plan" in text for text in found.assumptions)


def test_more_domains_than_can_be_told_apart_are_taken_together(dataset: Path, tmp_path: Path) -> None:
    (mix,) = answered(dataset, demand(tmp_path, "domains: {count: 40}\n")).mixes
    assert mix.plan is not None
    assert mix.plan.feasible
    assert any("taken together" in text for text in mix.cautions)
    sizes = "domains: {sizes: [" + ", ".join(["2"] * 20) + "]}\n"
    (none,) = answered(dataset, demand(tmp_path, sizes)).mixes
    assert none.plan is None
    assert "20 failure domains" in none.infeasible[0]


def test_every_variant_that_carries_all_shapes_has_its_own(tmp_path: Path) -> None:
    both = mixed_dataset(tmp_path, ("docker", "libvirt"))
    shapes = SHAPES.replace("workload: db}", "workload: db}, variants: [libvirt]")
    found = answered(both, demand(tmp_path, shapes=shapes))
    assert [set(mix.variants.values()) for mix in found.mixes] == [{"docker", "libvirt"}, {"libvirt"}]


def test_the_same_dataset_gives_the_same_plan(dataset: Path, tmp_path: Path) -> None:
    file = demand(tmp_path)
    assert planned(dataset, file).mixes == answered(dataset, file).mixes


def test_json_and_terminal_have_the_mixed_plan(dataset: Path, tmp_path: Path) -> None:
    file = demand(tmp_path)
    given = ["capacity", str(dataset), "--demand", str(file)]
    written = json.loads(CliRunner().invoke(app, [*given, "--json"]).stdout)
    (mixed,) = written["mixed"]
    assert mixed["enough"] is True
    assert mixed["bound"] <= mixed["cost"]
    assert sum(row["hosts"] for row in written["mixed_hosts"]) == mixed["hosts"]
    placed = sum(r["hosts"] * r["holds"] for r in written["mixed_patterns"] if r["shape"] == "db")
    assert placed == 60
    said = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "plan")]).stdout
    assert "All shapes on shared hosts, as docker" in said
    assert "What lies on shared hosts" in said
    assert (tmp_path / "plan/tables/capacity-mixed_patterns.csv").is_file()


def test_columns_are_those_that_are_declared(dataset: Path, tmp_path: Path) -> None:
    found = tables.tables_of(answered(dataset, demand(tmp_path)))
    for name in ("mixed", "mixed_hosts", "mixed_patterns", "mixed_tried"):
        assert list(found[name].columns) == [field.name for field in tables.FIELDS[name]]
        assert len(found[name])


def test_a_resource_that_was_not_sampled_is_named(tmp_path: Path) -> None:
    blind = climb("docker", "web", "big", without=("cpu_busy",))
    dataset = write_trials(tmp_path, blind, climb("docker", "db", "big"))
    shapes = "".join(SHAPES.splitlines(keepends=True)[:3])
    (mix,) = answered(dataset, demand(tmp_path, shapes=shapes, prices="")).mixes
    assert any("processors of web on big" in text for text in mix.cautions)


def test_the_time_to_restore_is_that_of_the_worst_loss(dataset: Path, tmp_path: Path) -> None:
    rest = "domains: {count: 3}\ndetect: 1s\nrto: "
    (mix,) = answered(dataset, demand(tmp_path, f"{rest}5min\n")).mixes
    assert mix.plan is not None
    assert mix.restore_s is not None
    assert 1 < mix.restore_s < 300
    assert not any("later than the RTO" in text for text in mix.cautions)
    (late,) = answered(dataset, demand(tmp_path, f"{rest}1001ms\n")).mixes
    assert any("later than the RTO of 1.00 s" in text for text in late.cautions)


def test_an_rto_without_domains_asks_for_a_spare_of_each_class(dataset: Path, tmp_path: Path) -> None:
    (mix,) = answered(dataset, demand(tmp_path, "rto: 5min\ndetect: 1s\n")).mixes
    assert mix.plan is not None
    assert mix.spares == {name: 1 for name, n in mix.plan.hosts.items() if n}
