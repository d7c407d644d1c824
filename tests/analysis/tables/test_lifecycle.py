import math

import pytest
from make_dataset import MS, Design, Variant, pair, write_dataset

from analysis import distributions
from analysis.dataset import open_dataset
from analysis.tables import lifecycle, table_modules
from analysis.words import records

READY = ("e2e", "all attempts")


def tables_of(tmp_path, *designs, **options):
    with open_dataset(write_dataset(tmp_path / "d", *designs), **options) as dataset:
        return {name: records(table) for name, table in lifecycle.table(dataset).items()}


def chosen(rows, **wanted):
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def only(rows, **wanted):
    found = chosen(rows, **wanted)
    assert len(found) == 1, found
    return found[0]


def ready(tables, variant, scope="fleet", **wanted):
    keys = {"metric": "e2e", "basis": "all attempts", "scope": scope, "variant": variant}
    return only(tables["latency"], **keys, **wanted)


def test_the_module_is_found_by_being_there():
    assert table_modules()["lifecycle"] is lifecycle


def test_tables_have_the_declared_columns(tmp_path):
    with open_dataset(write_dataset(tmp_path / "d", pair(3, 170, blocks=1))) as dataset:
        for name, table in lifecycle.table(dataset).items():
            assert [f.name for f in lifecycle.FIELDS[name]] == list(table.columns)
            assert [f.dtype.lower() for f in lifecycle.FIELDS[name]] == [
                str(dtype).lower() for dtype in table.dtypes
            ]


def test_known_truth_lies_within_the_intervals(tmp_path):
    variants = (Variant("process", 3, delete_ms=2), Variant("docker", 170, fails=0.04, delete_ms=50))
    design = Design(variants, hosts=("h1", "h2"), blocks=10, block_sigma=0.1, warm_ups=2)
    tables = tables_of(tmp_path, design)
    for variant, median_ms in (("process", 3), ("docker", 170)):
        row = ready(tables, variant)
        assert row["n"] == 600
        assert row["p50_n_eff"] < 600
        truth = median_ms * MS
        if variant == "docker":  # the median over all attempts is a little further up
            truth *= 1.008
        assert row["p50_low_ns"] <= truth <= row["p50_high_ns"]
    outcome = only(tables["outcomes"], scope="fleet", variant="docker")
    assert outcome["failed_share_low"] <= 0.04 <= outcome["failed_share_high"]
    ratio = only(tables["comparison"], metric="e2e")
    assert ratio["ratio_low"] <= 170 / 3 * 1.008 <= ratio["ratio_high"]
    assert (ratio["verdict"], ratio["baseline"], ratio["hosts"]) == ("slower", "process", 2)
    deleted = only(tables["comparison"], metric="delete")
    assert deleted["ratio_low"] <= 25 <= deleted["ratio_high"]


def test_stages_add_up_to_the_whole(tmp_path):
    tables = tables_of(tmp_path, Design((Variant("docker", 170, sigma=0.0),), blocks=3))
    medians = {
        r["metric"]: r["p50_ns"] for r in chosen(tables["latency"], scope="fleet", basis="successful")
    }
    stages = ("queue", "create", "start", "boot", "reply")
    assert sum(medians[stage] for stage in stages) == pytest.approx(medians["e2e"], rel=1e-6)
    assert medians["exit"] == MS


def test_warm_ups_are_kept_out(tmp_path):
    tables = tables_of(tmp_path, Design((Variant("docker", 170),), warm_ups=5, instances=4, blocks=3))
    assert ready(tables, "docker")["n"] == 12
    assert only(tables["outcomes"], scope="fleet")["planned"] == 12


def test_failures_push_quantiles_up_but_not_those_of_the_successful(tmp_path):
    tables = tables_of(tmp_path, Design((Variant("docker", 170, fails=0.2),), blocks=10))
    row = ready(tables, "docker")
    assert row["p90_ns"] == math.inf
    assert row["unreached"] == pytest.approx(60, abs=20)
    successful = only(tables["latency"], metric="e2e", basis="successful", scope="fleet")
    assert successful["n"] == 300 - row["unreached"]
    assert math.isfinite(successful["p99_ns"])
    reason = only(tables["reasons"])
    assert (reason["error_class"], reason["instances"]) == ("agent_silent", row["unreached"])


def test_trials_that_failed_as_a_whole_count_as_failures(tmp_path):
    """Else a driver that fails thoroughly would look better than one that fails now and then."""
    docker = (Variant("docker", 170),)
    failed = Design(
        (Variant("docker", 170, fails=1.0),), blocks=5, outcome="failed", verdict="invalid", seed=2
    )
    tables = tables_of(tmp_path, Design(docker, blocks=5), failed)
    outcome = only(tables["outcomes"], scope="fleet")
    assert (outcome["attempted"], outcome["failed"], outcome["failed_share"]) == (300, 150, 0.5)


def test_suspect_trials_are_counted_as_set_aside(tmp_path):
    docker = (Variant("docker", 170),)
    doubtful = Design(docker, blocks=2, verdict="suspect", seed=2)
    outcome = only(tables_of(tmp_path, Design(docker, blocks=3), doubtful)["outcomes"], scope="fleet")
    assert (outcome["planned"], outcome["attempted"], outcome["set_aside"]) == (150, 90, 60)
    assert outcome["evidence"] == "valid"


def test_on_emulated_cpus_the_verdict_is_withheld(tmp_path):
    variants = (Variant("docker", 170), Variant("libvirt", 2000, emulated=True))
    row = only(tables_of(tmp_path, Design(variants, blocks=5))["comparison"], metric="e2e")
    assert (row["verdict"], row["why"]) == ("withheld", "emulated CPU")
    assert row["ratio"] == pytest.approx(2000 / 170, rel=0.1)
    assert row["p_holm"] is None


def test_simulated_against_real_is_withheld(tmp_path):
    variants = (Variant("docker", 170), Variant("simulated", 170, virtual=True))
    row = only(tables_of(tmp_path, Design(variants, blocks=5))["comparison"], metric="e2e")
    assert (row["verdict"], row["why"]) == ("withheld", "one side is simulated")


def test_with_many_failures_the_verdict_is_withheld(tmp_path):
    variants = (Variant("process", 3), Variant("docker", 170, fails=0.3))
    row = only(tables_of(tmp_path, Design(variants, blocks=5))["comparison"], metric="e2e")
    assert row["verdict"] == "withheld"
    assert row["why"].endswith("of docker never got there")


def test_on_suspect_trials_alone_the_verdict_is_withheld(tmp_path):
    row = only(tables_of(tmp_path, pair(3, 170, verdict="suspect"))["comparison"], metric="e2e")
    assert (row["verdict"], row["why"]) == ("withheld", "process has suspect trials only")


def test_different_parameters_are_never_compared(tmp_path):
    variants = (Variant("process", 3), Variant("docker", 170, params={"residents": 10}))
    assert tables_of(tmp_path, Design(variants))["comparison"] == []


def test_two_trials_of_a_cell_in_one_block_are_one_block(tmp_path):
    docker = (Variant("docker", 170),)
    more = Design((Variant("docker", 170, params={"instances": 31}),), blocks=3, seed=2)
    tables = tables_of(tmp_path, Design(docker, blocks=3), more)
    outcome = only(tables["outcomes"], scope="fleet")
    assert (outcome["trials"], outcome["blocks"], outcome["attempted"]) == (6, 3, 180)
    assert ready(tables, "docker")["n"] == 180


def test_alternatives_that_are_alike_are_never_called_different(tmp_path):
    variants = (Variant("docker", 170), Variant("docker", 170, profile="crun"))
    row = only(tables_of(tmp_path, Design(variants, blocks=20))["comparison"], metric="e2e")
    assert row["verdict"] in ("equivalent", "undecided")


def test_each_host_has_its_row(tmp_path):
    tables = tables_of(tmp_path, pair(3, 170, hosts=("h1", "h2", "h3"), blocks=3))
    rows = [ready(tables, "docker", scope="host", host=host) for host in ("h1", "h2", "h3")]
    assert [row["n"] for row in rows] == [90] * 3
    assert ready(tables, "docker")["n"] == 270


def test_the_curve_ends_at_the_share_that_succeeded(tmp_path):
    tables = tables_of(tmp_path, Design((Variant("docker", 170, fails=0.25),), blocks=4, instances=100))
    points = tables["distribution"]
    assert len(points) <= 200
    assert points[-1]["share"] == pytest.approx(0.75, abs=0.08)
    assert [p["value_ns"] for p in points] == sorted(p["value_ns"] for p in points)


def test_rounding_many_rows_keeps_quantiles_within_a_thousandth(tmp_path, monkeypatch):
    folder = write_dataset(tmp_path / "d", pair(3, 170, blocks=5, instances=200))
    found = {}
    for limit in (10**9, 10):
        monkeypatch.setattr(distributions, "EXACT_ROWS", limit)
        with open_dataset(folder) as dataset:
            found[limit] = {"latency": records(lifecycle.table(dataset)["latency"])}
    exact, rounded = (ready(found[limit], "docker") for limit in (10**9, 10))
    assert rounded["n"] == exact["n"] == 1000
    for name in ("p50_ns", "p95_ns", "p99_ns"):
        assert rounded[name] == pytest.approx(exact[name], rel=6e-4)
    for name in ("p50_low_ns", "p50_high_ns"):
        assert rounded[name] == pytest.approx(exact[name], rel=5e-3)
