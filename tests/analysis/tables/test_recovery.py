import math

import pytest
from make_trials import SECOND, Faults, Where, recovery, write_trials

from analysis.dataset import open_dataset
from analysis.tables import recovery as module
from analysis.tables import table_modules
from analysis.words import records


def tables_of(tmp_path, *faults, **options):
    path = write_trials(tmp_path / "d", *(recovery(one) for one in faults))
    with open_dataset(path, **options) as dataset:
        return {name: records(table) for name, table in module.table(dataset).items()}


def section_of(tmp_path, *faults):
    path = write_trials(tmp_path / "d", *(recovery(one) for one in faults))
    with open_dataset(path) as dataset:
        return module.section(dataset, module.table(dataset))


def only(rows, **wanted):
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def fleet(tables, **wanted):
    return only(tables["outcomes"], scope="fleet", **wanted)


def test_the_module_is_found_and_has_the_declared_columns(tmp_path):
    assert table_modules()["recovery"] is module
    path = write_trials(tmp_path / "d", recovery(Faults(Where(blocks=1))))
    with open_dataset(path) as dataset:
        for name, table in module.table(dataset).items():
            assert [f.name for f in module.FIELDS[name]] == list(table.columns)


def test_the_truth_lies_within_the_intervals(tmp_path):
    faults = Faults(Where(hosts=("h1", "h2"), blocks=8), median_s=2, sigma=0.5, never=0.05)
    tables = tables_of(tmp_path, faults)
    row = fleet(tables)
    assert row["injections"] == 160
    assert row["recovered"] + row["censored"] == 160
    assert row["unrecovered_share_low"] < 0.05 < row["unrecovered_share_high"]
    median = 2 * math.exp(0.5 * 0.0662)  # the 0.5 / 0.95 quantile: some never come back
    assert row["median_low_ns"] < median * SECOND < row["median_high_ns"]
    down = 0.95 * 2 * math.exp(0.5**2 / 2) + 0.05 * 60
    assert row["down_low_ns"] < down * SECOND < row["down_high_ns"]
    assert row["outage_low_ns"] < median * SECOND < row["outage_high_ns"]
    assert row["lost_requests"] == pytest.approx(median * 50, rel=0.2)
    assert (row["died"], row["blocks"], row["cut_short"]) == (160, 16, 0)
    assert {r["host"] for r in tables["outcomes"] if r["scope"] == "host"} == {"h1", "h2"}


def test_detection_action_and_readiness_are_apart(tmp_path):
    tables = tables_of(tmp_path, Faults(median_s=2, sigma=0.0, shares=(0.1, 0.2)))
    medians = {
        r["metric"]: r["p50_ns"] / SECOND
        for r in tables["latency"]
        if r["scope"] == "fleet" and r["basis"] == "successful"
    }
    assert medians["detect"] == pytest.approx(0.2, rel=1e-3)
    assert medians["act"] == pytest.approx(0.4, rel=1e-3)
    assert medians["ready"] == pytest.approx(1.4, rel=1e-3)
    assert medians["recover"] == pytest.approx(2.0, rel=1e-3)
    assert medians["die"] == pytest.approx(0.001, rel=1e-2)


def test_nothing_comes_back(tmp_path):
    tables = tables_of(tmp_path, Faults(supervision="none", never=1.0))
    row = fleet(tables)
    assert (row["recovered"], row["censored"], row["unrecovered_share"]) == (0, 50, 1.0)
    assert row["median_ns"] == row["median_high_ns"] == math.inf
    assert (row["down_ns"], row["down_low_ns"]) == (60 * SECOND, None)
    (last,) = tables["curves"]
    assert (last["share"], last["value_ns"], last["at_risk"]) == (1.0, 60 * SECOND, 50)
    assert all(r["unreached"] == 50 for r in tables["latency"] if r["basis"] == "all attempts")


def test_a_censored_injection_counts_in_every_quantile(tmp_path):
    tables = tables_of(tmp_path, Faults(never=0.3, injections=20))
    row = fleet(tables)
    every = only(tables["latency"], scope="fleet", metric="recover", basis="all attempts")
    assert (every["n"], every["unreached"]) == (100, row["censored"])
    assert every["p90_ns"] == math.inf
    assert every["p50_ns"] == pytest.approx(row["median_ns"], rel=0.05)


def test_residents_are_no_attempts(tmp_path):
    tables = tables_of(tmp_path, Faults(Where(blocks=3), injections=4))
    assert fleet(tables)["injections"] == 12
    assert only(tables["latency"], scope="fleet", metric="recover", basis="all attempts")["n"] == 12


def test_what_was_never_injected_or_spoilt_by_the_harness_is_no_attempt(tmp_path):
    tables = tables_of(tmp_path, Faults(Where(blocks=3), injections=6, skipped=2, spoilt=1))
    row = fleet(tables)
    assert (row["injections"], row["not_injected"]) == (9, 9)
    assert {r["error_class"]: r["instances"] for r in tables["reasons"]} == {"stopped": 6, "internal": 3}


def test_what_was_cut_off_counts_for_as_long_as_it_was_watched(tmp_path):
    """A row that says 'censored' was watched until the deadline, whenever its trial ended."""
    where = Where(outcome="partial", verdict="suspect", duration_s=30.0, blocks=4)
    cut = Faults(where, injections=5, spoilt=2, spoilt_by="deadline_exceeded", never=1.0)
    row = fleet(tables_of(tmp_path, cut))
    assert (row["injections"], row["censored"], row["cut_short"]) == (20, 20, 8)
    assert (row["failed"], row["down_ns"]) == (8, 60 * SECOND)
    section = section_of(tmp_path / "words", cut)
    assert any("8 injections ended in an error" in sentence for sentence in section.caveats)
    assert any("8 injections could not be watched" in sentence for sentence in section.caveats)


def test_faults_and_supervisions_are_never_pooled(tmp_path):
    cells = [Faults(fault=f, supervision=s) for f in ("kill", "hang") for s in ("engine", "watcher")]
    tables = tables_of(tmp_path, *cells)
    found = {
        (r["fault"], r["supervision"]): r["injections"] for r in tables["outcomes"] if not r["host"]
    }
    assert found == {(f, s): 50 for f in ("kill", "hang") for s in ("engine", "watcher")}
    assert {r["beside"] for r in tables["outcomes"]} == {"same for all"}
    assert tables["comparison"] == []


def test_variants_are_compared_under_the_same_supervision(tmp_path):
    docker, process = Where("docker", seed=2), Where("process", seed=3)
    tables = tables_of(
        tmp_path,
        Faults(docker, median_s=2),
        Faults(process, median_s=0.5),
        Faults(docker, supervision="none", never=1.0),
    )
    row = only(tables["comparison"])
    assert (row["baseline"], row["other"], row["verdict"]) == ("process", "docker", "slower")
    assert row["ratio_low"] < 4 < row["ratio_high"]


def test_comparisons_with_the_emulated_are_withheld(tmp_path):
    tables = tables_of(tmp_path, Faults(), Faults(Where("libvirt", emulated=True, seed=5), median_s=9))
    row = only(tables["comparison"])
    assert (row["verdict"], row["why"]) == ("withheld", "emulated CPU")


def test_comparisons_are_withheld_where_many_do_not_come_back(tmp_path):
    tables = tables_of(tmp_path, Faults(), Faults(Where("process", seed=5), never=0.4))
    assert only(tables["comparison"])["verdict"] == "withheld"


def test_suspect_trials_are_set_aside(tmp_path):
    doubtful = Faults(Where(verdict="suspect", blocks=2, seed=4), never=1.0)
    row = fleet(tables_of(tmp_path, Faults(Where(blocks=3)), doubtful))
    assert (row["injections"], row["set_aside"], row["censored"]) == (30, 20, 0)
    alone = fleet(tables_of(tmp_path / "alone", doubtful))
    assert (alone["injections"], alone["evidence"]) == (20, "suspect")


def test_a_failed_trial_counts_with_the_faults_that_it_injected(tmp_path):
    failed = Faults(Where(outcome="failed", verdict="invalid", blocks=2, seed=4), never=1.0)
    row = fleet(tables_of(tmp_path, Faults(Where(blocks=3)), failed))
    assert (row["injections"], row["censored"]) == (50, 20)


def test_one_block_has_no_intervals(tmp_path):
    row = fleet(tables_of(tmp_path, Faults(Where(blocks=1))))
    assert row["median_ns"] is not None
    for name in ("median_low_ns", "down_low_ns", "unrecovered_share_low", "outage_low_ns"):
        assert row[name] is None


def test_recovery_times_of_a_process_that_lives_on(tmp_path):
    assert fleet(tables_of(tmp_path, Faults(fault="hang", dies=False)))["died"] == 0


def test_the_curve_falls_from_the_first_recovery_to_what_is_left(tmp_path):
    tables = tables_of(tmp_path, Faults(never=0.1, injections=20))
    shares = [r["share"] for r in tables["curves"]]
    times = [r["value_ns"] for r in tables["curves"]]
    assert shares == sorted(shares, reverse=True)
    assert times == sorted(times)
    assert times[-1] == 60 * SECOND
    assert shares[-1] == pytest.approx(fleet(tables)["unrecovered_share"])


def test_the_summary_says_what_was_found_in_words(tmp_path):
    cells = [
        Faults(Where("docker", seed=2)),
        Faults(Where("process", seed=3), never=0.04),
        Faults(Where("docker", seed=2), supervision="none", never=1.0),
    ]
    section = section_of(tmp_path, *cells)
    engine, none = section.summary[:2]
    assert engine.startswith("After fault kill with supervision engine: ")
    assert "docker recovered within " in engine
    assert "in half of 50 cases and by the deadline in all, with an expected downtime of " in engine
    assert none == (
        "After fault kill with supervision none: docker recovered within 60.0 s in none of 50 cases."
    )
    assert any("same supervision only" in sentence for sentence in section.caveats)


def test_nothing_injected_is_said(tmp_path):
    section = section_of(tmp_path, Faults(Where(blocks=2), injections=3, skipped=3))
    assert section.summary[0] == "No fault was injected."
    assert any("6 planned injections never happened" in sentence for sentence in section.caveats)
