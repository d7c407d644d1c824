import json
import math
from dataclasses import replace

import numpy as np
import pytest
from make_trials import MIB, Stairs, Where, density, write_trials

from analysis.cells import Cells
from analysis.dataset import open_dataset
from analysis.density.staircases import Staircases
from analysis.tables import density as module
from analysis.tables import table_modules
from analysis.words import records

SLO = {"slo_p99_ms": 10.0}


def tables_of(tmp_path, *stairs, **options):
    path = write_trials(tmp_path / "d", *(density(one) for one in stairs))
    with open_dataset(path, **options) as dataset:
        return {name: records(table) for name, table in module.table(dataset).items()}


def section_of(tmp_path, *stairs):
    path = write_trials(tmp_path / "d", *(density(one) for one in stairs))
    with open_dataset(path) as dataset:
        return module.section(dataset, module.table(dataset))


def only(rows, **wanted):
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def test_the_module_is_found_and_has_the_declared_columns(tmp_path):
    assert table_modules()["density"] is module
    path = write_trials(tmp_path / "d", density(Stairs(Where(blocks=1))))
    with open_dataset(path) as dataset:
        for name, table in module.table(dataset).items():
            assert [f.name for f in module.FIELDS[name]] == list(table.columns)


def test_what_one_instance_costs_is_found(tmp_path):
    stairs = Stairs(Where(hosts=("h1", "h2"), blocks=6), each_mib=1.9, block_sigma=0.05)
    slopes = tables_of(tmp_path, stairs)["slopes"]
    memory = only(slopes, measure="mem_used", scope="fleet")
    assert memory["slope_low"] < 1.9 * MIB < memory["slope_high"]
    assert memory["slope_high"] - memory["slope_low"] < 0.2 * MIB
    assert memory["base"] == pytest.approx(500 * MIB, rel=0.2)
    assert (memory["staircases"], memory["points"]) == (12, 12 * 21)
    pss = only(slopes, measure="instances_pss", scope="fleet")
    assert pss["slope"] == pytest.approx(0.7 * 1.9 * MIB)
    cpu = only(slopes, measure="cpu_busy", scope="fleet")
    assert cpu["slope_low"] < 0.0005 < cpu["slope_high"]
    assert {r["host"] for r in slopes if r["scope"] == "host"} == {"h1", "h2"}


def test_a_knee_and_the_objective_are_found(tmp_path):
    stairs = Stairs(Where(params=SLO, blocks=8), knee=120, growth=0.02, latency_ms=2)
    tables = tables_of(tmp_path, stairs)
    for measure in ("probe_p50", "probe_p99"):
        knee = only(tables["knees"], measure=measure, scope="fleet")
        assert knee["found"]
        assert knee["knee_low"] - 2 <= 120 <= knee["knee_high"] + 2
        assert knee["above"] == pytest.approx(0.02, rel=0.1)
    assert not only(tables["knees"], measure="mem_used", scope="fleet")["found"]
    limit = only(tables["limits"], scope="fleet")
    truth = 120 + math.log(10 / 2 / math.exp(0.1 * 2.326)) / 0.02  # where p99 crosses 10 ms
    assert limit["slo_n_low"] - 10 <= truth <= limit["slo_n_high"] + 10
    assert not limit["slo_at_least"]


def test_an_objective_that_was_never_missed_is_a_lower_bound(tmp_path):
    stairs = Stairs(Where(params=SLO), stop="memory_floor")
    limit = only(tables_of(tmp_path, stairs)["limits"], scope="fleet")
    assert (limit["slo_n"], limit["slo_at_least"], limit["slo_missed_below"]) == (200, True, 0)
    assert json.loads(limit["stop_rules"]) == {"memory_floor": 5}
    assert json.loads(limit["limiting"]) == {"memory": 5}


def test_lost_probes_miss_the_objective(tmp_path):
    stairs = Stairs(Where(params=SLO), lost_from=100)
    tables = tables_of(tmp_path, stairs)
    assert only(tables["limits"], scope="fleet")["slo_n"] == 90
    lost = [r for r in tables["steps"] if r["instances"] >= 100 and r["probes"]]
    assert all((r["lost"], r["p99_ns"]) == (20, math.inf) for r in lost)
    assert all(math.isfinite(r["p50_ns"]) for r in lost)


def test_what_stays_after_the_descent_is_found(tmp_path):
    stairs = Stairs(Where(blocks=10), left_mib=30, noise_mib=2)
    limit = only(tables_of(tmp_path, stairs)["limits"], scope="fleet")
    assert limit["left_bytes_low"] < 30 * MIB < limit["left_bytes_high"]


def test_without_a_descent_nothing_is_said_of_it(tmp_path):
    tables = tables_of(tmp_path, Stairs(down=False))
    assert only(tables["limits"], scope="fleet")["left_bytes"] is None
    assert {r["direction"] for r in tables["steps"]} == {"up"}


def test_one_staircase_has_no_intervals(tmp_path):
    tables = tables_of(tmp_path, Stairs(Where(blocks=1, params=SLO)))
    slope = only(tables["slopes"], measure="mem_used", scope="fleet")
    assert slope["slope"] == pytest.approx(2 * MIB, rel=0.05)
    assert slope["slope_low"] is slope["slope_high"] is None
    limit = only(tables["limits"], scope="fleet")
    assert (limit["slo_n"], limit["slo_n_low"]) == (200, None)


def test_no_instance_at_all(tmp_path):
    tables = tables_of(tmp_path, Stairs(peak=0, stop="start_failures"))
    assert tables["slopes"] == tables["knees"] == []
    limit = only(tables["limits"], scope="fleet")
    assert (limit["peak"], limit["staircases"]) == (0, 5)


def test_a_trial_that_failed_before_its_first_step_is_counted_as_such(tmp_path):
    early = Stairs(Where(outcome="failed", verdict="invalid", blocks=2, seed=9), failed_early=True)
    tables = tables_of(tmp_path, Stairs(Where(blocks=3)), early)
    limit = only(tables["limits"], scope="fleet")
    assert (limit["staircases"], limit["not_counted"]) == (3, 2)
    alone = tables_of(tmp_path / "alone", early)
    assert alone["slopes"] == []
    assert only(alone["limits"], scope="fleet")["peak"] is None


def test_a_trial_cut_short_before_it_found_anything_still_counts_with_its_steps(tmp_path):
    stairs = Stairs(Where(outcome="partial", verdict="suspect"), failed_early=True)
    limit = only(tables_of(tmp_path, stairs)["limits"], scope="fleet")
    assert json.loads(limit["stop_rules"]) == {"not said": 5}
    assert (limit["staircases"], limit["peak"], limit["slo_n"]) == (5, None, None)


def test_suspect_trials_are_set_aside_where_there_are_valid_ones(tmp_path):
    doubtful = Stairs(Where(verdict="suspect", blocks=2, seed=4), each_mib=50)
    tables = tables_of(tmp_path, Stairs(Where(blocks=3)), doubtful)
    slope = only(tables["slopes"], measure="mem_used", scope="fleet")
    assert slope["slope"] == pytest.approx(2 * MIB, rel=0.05)
    assert slope["staircases"] == 3
    assert sum(r["counted"] for r in tables["steps"]) == 3 * 41
    included = tables_of(tmp_path / "all", Stairs(Where(blocks=3)), doubtful, include_suspect=True)
    assert only(included["slopes"], measure="mem_used", scope="fleet")["staircases"] == 5


def test_steps_that_lack_samples_are_left_out_of_what_they_lack(tmp_path):
    stairs = Stairs(missing_steps=(0, 3, 4), without=("pss", "cpu_busy"))
    tables = tables_of(tmp_path, stairs)
    memory = only(tables["slopes"], measure="mem_used", scope="fleet")
    assert memory["points"] == 5 * 18
    assert memory["base"] is None
    assert memory["slope_low"] < 2 * MIB < memory["slope_high"]
    assert {r["measure"] for r in tables["slopes"]} == {
        "mem_used",
        "instances_pss",
        "instances_cgroup",
    }
    bare = [r for r in tables["steps"] if r["step"] == 3]
    assert all(r["mem_used_bytes"] is None and r["instances"] == 30 for r in bare)
    assert only(tables["limits"], scope="fleet")["left_bytes"] is None


def test_steps_without_a_number_of_instances_are_no_steps(tmp_path):
    assert tables_of(tmp_path, Stairs(without=("instances",)))["steps"] == []


@pytest.mark.parametrize("facts", ["", "[]", "{}", '{"findings": 3}', '{"findings": {"density": []}}'])
def test_facts_that_say_nothing_are_no_error(tmp_path, facts, monkeypatch):
    path = write_trials(tmp_path / "d", density(Stairs(Where(blocks=1))))
    with open_dataset(path) as dataset:
        rows = dataset.rows

        def changed(sql, values=None, **tables):
            return [r | ({"facts": facts} if "facts" in r else {}) for r in rows(sql, values, **tables)]

        monkeypatch.setattr(dataset, "rows", changed)
        (one,) = Staircases(Cells(dataset, "density")).all
    assert (one.end, one.room_bytes, one.peak) == (None, None, 200)


def test_drivers_and_steps_are_never_pooled(tmp_path):
    vm = Stairs(Where("libvirt", profile="tcg", emulated=True), each_mib=215, step=2, peak=20)
    slopes = tables_of(tmp_path, Stairs(), vm)["slopes"]
    found = {
        r["variant"]: r["slope"] for r in slopes if r["measure"] == "mem_used" and r["host"] is None
    }
    assert found["docker"] == pytest.approx(2 * MIB, rel=0.02)
    assert found["libvirt/tcg (emulated CPU)"] == pytest.approx(215 * MIB, rel=0.02)


def test_the_summary_says_what_was_found_in_words(tmp_path):
    container = Stairs(Where(blocks=6), each_mib=1.9, peak=220)
    said = " ".join(section_of(tmp_path, container).summary)
    assert said.startswith("One more container of docker costs 1.9 MiB of the host's memory (95 %")
    assert (
        "; 220 were held at once; the 6 staircases ended because the campaign asked for no more" in said
    )
    assert "no knee was reached: if there is one, it is at 220 or above" in said
    bent = replace(container, knee=120, stop="slo", where=Where(blocks=6, params=SLO))
    said = " ".join(section_of(tmp_path / "bent", bent).summary)
    assert "ended because the probes missed their objective" in said
    assert "p99 stayed within 10.0 ms up to" in said
    assert "median latency bends at 1" in said


def test_caveats_say_what_the_trials_say_against_themselves(tmp_path):
    early = Stairs(
        Where("libvirt", emulated=True, outcome="failed", verdict="invalid"), failed_early=True
    )
    section = section_of(tmp_path, Stairs(Where(blocks=2)), early)
    said = " ".join(section.caveats)
    assert "Some cells were measured in 2 blocks only" in said
    assert "5 staircases count nowhere" in said
    assert "Without an objective" in said
    assert any("No staircase of libvirt" in sentence for sentence in section.summary)


def test_a_floor_in_sight_bounds_the_room(tmp_path):
    stairs = Stairs(Where(blocks=3), each_mib=100, step=5, peak=65, stop="memory_floor")
    limit = only(tables_of(tmp_path, stairs)["limits"], scope="fleet")
    base = 8 * 1024 * 0.9 - limit["room_bytes"] / MIB
    assert base == pytest.approx(500, abs=150)
    assert np.isfinite(limit["room_bytes"])
