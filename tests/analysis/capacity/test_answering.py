"""Answers to demands from datasets with known truth: what is recommended, and what cannot be."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_together import Failovers, failovers
from make_trials import HOST_BYTES, MIB, Faults, Where, density, recovery, write_trials
from make_trials import Stairs as AllStairs

from analysis.capacity import tables, words
from analysis.capacity.answer import Answer, Plan
from analysis.capacity.answering import answer
from analysis.capacity.demand import load_demand
from analysis.capacity.section import section
from analysis.capacity.shown import tables as shown_tables
from analysis.dataset import open_dataset
from contract.errors import CampaignError, DatasetError, UseError

CLASS = "2 × Model 1, 8 GiB"


def ask(folder: Path, text: str, *groups: Any) -> Answer:
    """The answer to a demand from a dataset of some trials."""
    made = [with_processors(one) for group in groups for one in group]
    write_trials(folder / "d", made)
    (folder / "demand.yaml").write_text("demand: shop\n" + text)
    with open_dataset(folder / "d") as opened:
        return answer(opened, *load_demand(folder / "demand.yaml"))


def Stairs(where: Where | None = None, **given: Any) -> AllStairs:  # noqa: N802 - stands for the class
    """Short climbs: what these tests look at needs no more."""
    where = where or Where(blocks=3)
    peak = given.get("peak", 200)
    return AllStairs(where, **{"down": False, "step": peak // 10} | given)


def with_processors(made: Any, count: int = 2) -> Any:
    made.record.facts["cpu_count"] = count
    return made


def one(found: Answer, **which: str) -> Plan:
    (plan,) = (p for p in found.plans if all(getattr(p, k) == v for k, v in which.items()))
    return plan


def say_it(found: Answer) -> str:
    """Everything that is printed, exported or drawn: without NaN, and as JSON."""
    text = json.dumps(tables.as_json(found), allow_nan=False)
    page = section(found)
    texts = [*page.summary, *page.caveats, *page.about, text]
    texts += [cell for table in shown_tables(found) for row in table.rows for cell in row]
    said = "\n".join(texts)
    assert "nan" not in said.lower().replace("finance", "")
    assert "None" not in said
    return said


WEB = "shapes: [{name: web, count: 2000}]\n"


def test_memory_binds_where_nothing_else_was_asked_for(tmp_path: Path) -> None:
    found = ask(
        tmp_path, WEB, density(Stairs(Where(hosts=("h1", "h2"), blocks=3), each_mib=40, peak=160))
    )
    plan = one(found)
    assert plan.host_class == CLASS
    room = 0.85 * HOST_BYTES / MIB - 500
    # the base varies by 50 MiB between climbs, and the overload risk is 1 %
    assert plan.density == pytest.approx((room - 2.33 * 50) / 40, rel=0.03)
    assert plan.binding is not None
    assert plan.binding.name == "memory"
    assert plan.recommended in (math.ceil(2000 / plan.density), math.ceil(2000 / plan.density) + 1)
    assert plan.per_instance["memory"] == pytest.approx(40 * MIB, rel=0.01)
    assert not plan.infeasible
    assert "bound by memory" in say_it(found)
    assert [c.error for c in plan.checks] == pytest.approx([0, 0], abs=0.05)


def test_one_dataset_gives_one_answer(tmp_path: Path) -> None:
    stairs = density(Stairs(each_mib=40, block_sigma=0.1))
    demand = WEB + "domains: {count: 3}\n"
    one_, other = (ask(tmp_path / name, demand, stairs) for name in "ab")
    assert tables.as_json(one_) == tables.as_json(other)
    assert one_.plans[0].spread == tuple(sorted(one_.plans[0].spread, reverse=True))
    assert sum(one_.plans[0].spread) == one_.plans[0].recommended


def test_the_objective_binds_and_lines_are_flagged_beyond_what_was_measured(tmp_path: Path) -> None:
    stairs = Stairs(each_mib=4, knee=100, growth=0.05, peak=200)
    found = ask(tmp_path, WEB + "slo: {probe_p99: 5ms}\n", density(stairs))
    plan = one(found)
    assert plan.binding is not None
    assert plan.binding.name == "probe p99 within 5 ms"
    # 2 ms · exp(0.1 · z + 0.05 · (n − 100)) ≤ 5 ms
    assert plan.density == pytest.approx(100 + (math.log(2.5) - 0.233) / 0.05, abs=20)
    free = ask(tmp_path / "free", WEB, density(stairs))
    assert one(free).density > 1000
    assert one(free).density_measured == 200
    assert one(free).hosts_measured >= 10 > one(free).recommended
    said = say_it(free)
    assert "times the 200 that were ever held at once" in said
    assert "with no more than the 200 that were held at once, it takes 10" in said


def test_an_objective_that_held_to_the_end_is_taken_to_hold_only_there(tmp_path: Path) -> None:
    stairs = density(Stairs(each_mib=4, peak=200))
    slo = WEB + "slo: {probe_p99: 50ms}\n"
    held = one(ask(tmp_path, slo, stairs))
    assert (held.density, held.recommended) == (200, 10)
    assert "the climbs ended before it was missed" in " ".join(held.warnings)
    further = one(ask(tmp_path / "x", slo + "extrapolate: {factor: 2}\n", stairs))
    assert (further.density, further.recommended) == (400, 5)


@pytest.mark.parametrize(
    ("text", "stairs", "said"),
    [
        (
            "shapes: [{name: web, count: 10, reserve: {mem: 9GiB}}]\n",
            Stairs(),
            ("Memory: one instance takes 9 GiB", "a host with 1"),
        ),
        (
            WEB + "slo: {probe_p99: 1ms}\n",
            Stairs(),
            ("Probe p99 within 1 ms: no number of instances met it. The best 99 %", "2.3"),
        ),
        (
            WEB + "rto: 3s\ndetect: 4s\n",
            Stairs(),
            ("RTO of 3 s: a loss is noticed after 4.00 s", "An RTO above 4.00 s"),
        ),
        (
            WEB + "domains: {sizes: [2, 2], lose: 1}\n",
            Stairs(each_mib=40),
            ("Failure domains: they have room for 4 hosts, of which 2 are left", "13 are needed"),
        ),
        (
            WEB + f"host_classes: [{{name: '{CLASS}', most: 3}}]\n",
            Stairs(each_mib=40),
            ("are needed, and only 3 of",),
        ),
        (
            WEB + "slo: {start_p99: 1ms}\n",
            Stairs(),
            ("Start p99 within 1 ms: no number of instances met it", "was 2.00 ms"),
        ),
    ],
    ids=["memory", "probes", "RTO", "domains", "most", "starts"],
)
def test_what_cannot_be_says_which_constraint_and_what_would_do(
    tmp_path: Path, text: str, stairs: AllStairs, said: tuple[str, ...]
) -> None:
    found = ask(tmp_path, text, density(stairs))
    plan = found.plans[-1]
    (why,) = plan.infeasible
    assert all(part in why for part in said), why
    assert "not possible" in say_it(found)


def test_reserved_memory_gives_a_plan_of_its_own(tmp_path: Path) -> None:
    text = "shapes: [{name: web, count: 500, reserve: {mem: 256MiB}}]\n"
    found = ask(tmp_path, text, density(Stairs(each_mib=20)))
    measured, guaranteed = one(found, basis="measured"), one(found, basis="guaranteed")
    assert guaranteed.density == pytest.approx((0.85 * 8192 - 600) / 256, abs=1)
    assert measured.recommended < guaranteed.recommended


def test_scaled_hosts_are_an_assumption_with_a_price(tmp_path: Path) -> None:
    text = (
        WEB + f"host_classes:\n  - {{name: '{CLASS}', price: 10}}\n"
        f"  - {{name: big, like: '{CLASS}', scale: {{mem: 4, cpus: 4}}, price: 30}}\n"
    )
    found = ask(tmp_path, text, density(Stairs(each_mib=40, peak=150)))
    small, big = one(found, host_class=CLASS), one(found, host_class="big")
    assert big.density > 4 * small.density
    assert big.price == 30 * big.recommended
    assert words.best(found.plans) == [big]
    assert any("big was not measured" in text for text in found.assumptions)


def test_variants_are_set_against_each_other_as_a_distribution(tmp_path: Path) -> None:
    found = ask(
        tmp_path,
        "shapes: [{name: web, count: {p50: 2000, p95: 2600}}]\n",
        density(Stairs(Where("libvirt", blocks=3), each_mib=120, peak=60)),
        density(Stairs(Where("docker", blocks=3), each_mib=40, peak=160)),
    )
    assert [plan.variant for plan in found.plans] == ["docker", "libvirt"]
    (difference,) = found.differences
    assert (difference.variant, difference.baseline, difference.withheld) == ("libvirt", "docker", None)
    assert difference.p5 is not None
    assert difference.p95 is not None
    assert 15 < difference.p5 < difference.p95 < 60
    assert difference.more == pytest.approx(1, abs=0.01)
    assert "libvirt needs" in say_it(found)


def test_emulated_processors_are_planned_marked_and_never_compared(tmp_path: Path) -> None:
    found = ask(
        tmp_path,
        WEB,
        density(Stairs(Where("libvirt", emulated=True, blocks=3), each_mib=120, peak=60)),
        density(Stairs(Where("docker", blocks=3), each_mib=40, peak=160)),
        density(Stairs(Where("simulated", virtual=True, blocks=3), each_mib=40, peak=160)),
    )
    reasons = {(d.variant, d.baseline): d.withheld for d in found.differences}
    assert reasons["libvirt (emulated CPU)", "docker"] == "emulated CPU"
    assert reasons["simulated", "docker"] == "one side is simulated"
    assert all(d.p50 is None for d in found.differences)
    said = say_it(found)
    assert "libvirt (emulated CPU)" in said
    assert "nothing here is real" in said


def test_thin_evidence_says_so(tmp_path: Path) -> None:
    bare = Stairs(Where(blocks=1), without=("cpu_busy", "probe"), peak=30)
    found = ask(tmp_path, WEB + "slo: {probe_p99: 5ms}\nrto: 1h\n", density(bare))
    missing = " ".join(found.missing)
    assert "the use of processors was not sampled" in missing
    assert "no probes were sent" in missing
    assert "with 1 climb nothing is known of how much hosts and blocks differ" in missing
    assert "no loss was observed" in missing
    recovery_found = one(found).recovery
    assert recovery_found is not None
    assert recovery_found.feasible is None
    say_it(found)


def test_a_host_that_was_busy_without_instances_is_said(tmp_path: Path) -> None:
    climbs = [*density(Stairs(Where(blocks=3), each_mib=40, peak=100))]
    quiet = one(ask(tmp_path / "quiet", WEB, climbs))
    assert not any("Without any instance" in text for text in quiet.warnings)
    for made in climbs:
        for sample in made.samples:
            if sample["metric"] == "density.cpu_busy":
                sample["value"] += 1.2
    busy = ask(tmp_path / "busy", WEB, climbs)
    assert "Without any instance its hosts used 1.25 CPU of 2 processors" in say_it(busy)


def test_detection_comes_from_the_demand_or_from_recovery(tmp_path: Path) -> None:
    groups = (density(Stairs(each_mib=40, peak=160)), recovery(Faults(median_s=20, injections=20)))
    text = WEB + "rto: 1h\ndomains: {count: 4}\n"
    seen = one(ask(tmp_path, text, *groups))
    assert seen.recovery is not None
    assert seen.recovery.detect_s == pytest.approx(2 * math.exp(1.645 * 0.5), rel=0.3)
    assert "the time to restore is a floor" in " ".join(seen.warnings)
    given = one(ask(tmp_path / "x", text + "detect: 30s\n", *groups))
    assert given.recovery is not None
    assert given.recovery.detect_s == 30
    assert not any("floor" in text for text in given.warnings)


def test_detection_of_lost_hosts_goes_before_that_of_instances(tmp_path: Path) -> None:
    groups = (
        density(Stairs(each_mib=40, peak=160)),
        recovery(Faults(median_s=20)),
        failovers(Failovers(detect_s=12)),
    )
    plan = one(ask(tmp_path, WEB + "rto: 1h\ndomains: {count: 4}\n", *groups))
    assert plan.recovery is not None
    assert plan.recovery.detect_s == pytest.approx(12, rel=0.3)
    assert not any("floor" in text for text in plan.warnings)


def test_images_that_must_be_fetched_but_were_not_measured_leave_the_rto_out(tmp_path: Path) -> None:
    text = "rto: 1h\ndetect: 1s\nimages: {prepulled: false, link: 1Gbit/s, registry: 1Gbit/s}\n"
    found = ask(tmp_path, WEB + text, density(Stairs(each_mib=40, peak=160)))
    plan = one(found)
    assert plan.recovery is not None
    assert (plan.recovery.total_s, plan.recovery.feasible) == (None, None)
    assert "no deployment was measured, so nothing can be said of the RTO" in say_it(found)


def test_no_variance_failed_trials_and_outliers_do_no_harm(tmp_path: Path) -> None:
    still = density(Stairs(Where(seed=2, blocks=3), each_mib=40, noise_mib=0, peak=160))
    failed = density(Stairs(Where("docker", outcome="failed", hosts=("h9",)), failed_early=True))
    wild = density(Stairs(Where(hosts=("h2",), blocks=1, seed=5), each_mib=400, peak=160))
    found = ask(tmp_path, WEB, still, failed, wild)
    assert math.isfinite(one(found).recommended)
    say_it(found)


def test_nothing_believed_is_no_plan_but_a_sentence(tmp_path: Path) -> None:
    failed = density(Stairs(Where("docker", outcome="failed"), failed_early=True))
    found = ask(tmp_path, WEB, failed)
    assert not found.plans
    assert "no believed trials of density" in found.missing[0]
    assert "Nothing was measured" in say_it(found)


def test_walls_bind_where_hosts_refused_to_go_on(tmp_path: Path) -> None:
    found = ask(tmp_path, WEB, density(Stairs(each_mib=4, peak=120, stop="start_failures")))
    plan = one(found)
    assert plan.binding is not None
    assert (plan.binding.name, plan.density) == ("starts that fail", 120)


def test_names_that_were_not_measured_are_refused_with_their_line(tmp_path: Path) -> None:
    stairs = density(Stairs())
    with pytest.raises(CampaignError, match=r"demand.yaml:2: 'shapes\[0\].variants\[0\]': found 'lxc'"):
        ask(tmp_path, "shapes: [{name: web, count: 1, variants: [lxc]}]\n", stairs)
    with pytest.raises(CampaignError, match=r"demand.yaml:3: 'host_classes\[0\].name': found 'big'"):
        ask(tmp_path / "x", WEB + "host_classes: [{name: big}]\n", stairs)


def test_several_cells_for_one_shape_must_be_told_apart(tmp_path: Path) -> None:
    both = [
        density(Stairs(Where(params={"workload": name}, blocks=3), each_mib=each))
        for name, each in (("idle", 4), ("light", 40))
    ]
    with pytest.raises(UseError, match="say in 'measured' of the shape which of them"):
        ask(tmp_path, WEB, *both)
    text = "shapes: [{name: web, count: 2000, measured: {workload: light}}]\n"
    found = one(ask(tmp_path / "x", text, *both))
    assert found.per_instance["memory"] == pytest.approx(40 * MIB, rel=0.02)


def test_without_density_there_is_nothing_to_plan_with(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no trials of density"):
        ask(tmp_path, WEB, recovery(Faults()))


def test_draws_are_shared_by_all_plans_of_a_shape(tmp_path: Path) -> None:
    """Two variants with the same truth need nearly the same hosts in every draw."""
    found = ask(
        tmp_path,
        "shapes: [{name: web, count: {p50: 2000, p95: 4000}}]\n",
        *(
            density(Stairs(Where(name, blocks=3), each_mib=40, peak=160))
            for name in ("docker", "libvirt")
        ),
    )
    draws = np.abs(found.differences[0].draws)
    assert np.median(draws) <= 2 < found.plans[0].hosts["p95"] - found.plans[0].hosts["p50"]


def test_an_rto_that_only_luck_would_meet_says_how_little_time_is_left(tmp_path: Path) -> None:
    groups = (
        density(Stairs(each_mib=40, peak=160)),
        recovery(Faults(median_s=20, sigma=1.0, injections=30)),
    )
    seen = one(ask(tmp_path, WEB + "rto: 1h\n", *groups)).recovery
    assert seen is not None
    assert seen.detect_s is not None
    found = ask(tmp_path / "x", WEB + f"rto: {1.05 * seen.detect_s:.3f}s\n", *groups)
    (why,) = one(found).infeasible
    assert "The evidence is so uncertain" in why
    assert "or allow more time: noticing a loss and becoming ready take" in why
