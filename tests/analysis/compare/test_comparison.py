"""compare on datasets with known truth: matching, verdicts, what is withheld, what is said."""

import json
from dataclasses import replace

import pytest
from make_dataset import Design, Variant, write_dataset
from runs_of_truth import Truth, across_two, claims, says_slower, within_one

from analysis.compare import words
from analysis.compare.comparison import FIELDS, Comparison, Options, check_metrics, compare
from analysis.compare.document import as_document
from analysis.compare.markdown import as_markdown
from analysis.compare.selection import parse_selection
from analysis.compare.sides import sides_of
from analysis.dataset import open_dataset
from contract.errors import UseError

DESIGN = Design((Variant("docker", 100),), hosts=("h1", "h2"), blocks=4, instances=10)
MAIN = ("e2e", "delete", "failed_share")


def found(tmp_path, a, b, of_a="", of_b="", **options) -> Comparison:
    folders = [write_dataset(tmp_path / name, *designs) for name, designs in (("a", a), ("b", b))]
    selections = [
        parse_selection([text] if text else [], f"--{n}")
        for n, text in zip("ab", (of_a, of_b), strict=True)
    ]
    with open_dataset(folders[0]) as one, open_dataset(folders[1]) as two:
        return compare(sides_of((one, two), tuple(selections)), Options(**({"metrics": MAIN} | options)))


def in_one(tmp_path, designs, of_a, of_b, **options) -> Comparison:
    folder = write_dataset(tmp_path / "d", *designs)
    selections = parse_selection([of_a], "--a"), parse_selection([of_b], "--b")
    with open_dataset(folder) as one:
        return compare(sides_of((one, one), selections), Options(**({"metrics": MAIN} | options)))


def row(answer: Comparison, metric="e2e", quantile="p50"):
    (one,) = [r for r in answer.rows if (r["metric"], r["quantile"]) == (metric, quantile)]
    return one


def everything_said(answer: Comparison) -> str:
    lines = [words.summary(answer), as_markdown(answer, "a", "b"), *answer.alone, *answer.notes]
    lines += [" ".join(words.cells_of(r)) for r in answer.rows]
    text = "\n".join([*lines, *words.method(answer)])
    json.dumps(as_document(answer, "a", "b"), allow_nan=False)
    for name, table in answer.tables().items():
        assert list(table.columns) == [field.name for field in FIELDS[name]]
    assert "nan" not in text.lower()
    assert "None" not in text
    return text


def test_a_slower_run_is_slower_and_the_rest_is_not(tmp_path):
    slow = replace(DESIGN, variants=(Variant("docker", 150),), seed=2)
    answer = found(tmp_path, [DESIGN], [slow], metrics=())
    assert row(answer)["verdict"] == "slower"
    assert row(answer)["change"] == pytest.approx(1.5, rel=0.05)
    assert row(answer)["pairing"] == "host"
    assert row(answer, "delete")["verdict"] in ("equivalent", "undecided")
    assert row(answer, "rate_per_s", None)["better"] == "higher"
    said = everything_said(answer)
    assert "slower" in words.summary(answer)
    assert "cannot be known from one run each" in said
    assert row(found(tmp_path / "2", [slow], [DESIGN]))["verdict"] == "faster"


def test_selections_of_one_dataset_are_paired_by_block(tmp_path):
    variants = (Variant("docker", 100), Variant("docker", 110, profile="crun"))
    design = replace(DESIGN, variants=variants, block_sigma=0.3, concurrency=(1, 8), instances=30)
    answer = in_one(tmp_path, [design], "profile=default", "profile=crun")
    rows = [r for r in answer.rows if (r["metric"], r["quantile"]) == ("e2e", "p50")]
    assert [r["conditions"] for r in rows] == ["concurrency 1", "concurrency 8"]
    assert {r["pairing"] for r in rows} == {"block"}
    assert [r["change"] for r in rows] == pytest.approx([1.1, 1.1], rel=0.06)
    assert all(r["change_high"] / r["change_low"] < 1.2 for r in rows)
    assert "docker → docker/crun" in everything_said(answer)


def test_a_parameter_may_be_what_differs(tmp_path):
    design = replace(DESIGN, variants=(Variant("docker", 100, per_level=0.1),), concurrency=(1, 8))
    answer = in_one(tmp_path, [design], "concurrency=1", "concurrency=8")
    assert row(answer)["verdict"] == "slower"
    assert row(answer)["change"] == pytest.approx(1.7, rel=0.1)


def test_other_drivers_are_matched_whatever_their_profiles_are_called(tmp_path):
    variants = (Variant("docker", 100, profile="runc"), Variant("libvirt", 300, profile="kvm"))
    answer = in_one(tmp_path, [replace(DESIGN, variants=variants)], "driver=docker", "driver=libvirt")
    assert row(answer)["verdict"] == "slower"
    facts = {d.fact: (d.a, d.b) for d in answer.differs}
    assert facts["docker version"] == ("1.2.3", "not said")


def test_blocks_that_are_not_shared_are_compared_by_host(tmp_path):
    answer = in_one(tmp_path, [replace(DESIGN, blocks=8)], "block<4", "block>=4")
    assert row(answer)["pairing"] == "host"


def test_two_hosts_can_be_what_is_compared(tmp_path):
    answer = in_one(tmp_path, [replace(DESIGN, host_sigma=0.5)], "host=h1", "host=h2")
    assert (row(answer)["hosts"], row(answer)["pairing"]) == (1, "host")
    assert row(answer)["change_low"] is not None


def test_cells_without_a_partner_are_listed_with_their_nearest(tmp_path):
    b = [replace(DESIGN, variants=(Variant("docker", 100, image="large"), Variant("process", 5)))]
    answer = found(tmp_path, [DESIGN], b)
    assert not answer.rows
    assert words.summary(answer).startswith("Nothing could be compared")
    said = " ".join(answer.alone)
    assert "docker is in A and has no partner in B" in said
    assert "image large instead of image tiny" in said
    assert "process" in said
    everything_said(answer)


def test_experiments_of_one_side_are_listed(tmp_path):
    answer = found(tmp_path, [DESIGN, replace(DESIGN, experiment="future")], [DESIGN])
    assert "future was measured in A only." in answer.alone
    answer = found(tmp_path / "2", *[[replace(DESIGN, experiment="future")]] * 2)
    assert answer.alone == ("future has no metric that could be compared.",)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"emulated": True}, "one side ran on an emulated CPU"),
        ({"virtual": True}, "one side is simulated"),
    ],
)
def test_what_is_not_real_is_never_compared_with_what_is(tmp_path, change, why):
    b = replace(DESIGN, variants=(replace(DESIGN.variants[0], **change),))
    answer = found(tmp_path, [DESIGN], [b])
    assert {(r["verdict"], r["why"]) for r in answer.rows} == {("withheld", why)}
    assert all(r["p_holm"] is None for r in answer.rows)


def test_suspect_trials_and_many_failures_withhold_the_verdict(tmp_path):
    suspect = replace(DESIGN, verdict="suspect", reasons=("load",))
    assert {r["why"] for r in found(tmp_path, [DESIGN], [suspect]).rows} == {"B has suspect trials only"}
    failing = replace(DESIGN, variants=(Variant("docker", 100, fails=0.3),))
    answer = found(tmp_path / "2", [DESIGN], [failing])
    assert row(answer)["verdict"] == "withheld"
    assert row(answer, "failed_share", None)["verdict"] == "worse"
    everything_said(answer)


def test_everything_failed_on_one_side(tmp_path):
    dead = replace(DESIGN, variants=(Variant("docker", 100, fails=1.0),), outcome="failed")
    answer = found(tmp_path, [DESIGN], [dead])
    assert {r["verdict"] for r in answer.rows if r["unit"] == "ns"} == {"withheld"}
    everything_said(answer)


@pytest.mark.parametrize(
    "thin",
    [
        {"hosts": ("h1",), "blocks": 1, "instances": 1},
        {"hosts": ("h1",), "blocks": 2},
        {"blocks": 1},
        {"warm_ups_only": True},
        {"hosts": ("h1",), "blocks": 3, "instances": 2},
    ],
)
def test_thin_data_are_undecided_in_plain_words(tmp_path, thin):
    answer = found(tmp_path, [replace(DESIGN, **thin)], [replace(DESIGN, **thin, seed=2)])
    assert {r["verdict"] for r in answer.rows} <= {"undecided"}
    assert all(r["why"] for r in answer.rows)
    everything_said(answer)


def test_zero_variance_and_outliers_do_not_break_it(tmp_path):
    still = replace(DESIGN, variants=(Variant("docker", 100, sigma=0.0),))
    answer = found(tmp_path, [still], [still])
    assert row(answer)["change"] == pytest.approx(1, abs=1e-6)
    wild = replace(DESIGN, variants=(Variant("docker", 100, sigma=6.0),))
    assert row(found(tmp_path / "2", [DESIGN], [wild]))["verdict"] in ("undecided", "slower", "faster")


def test_only_common_hosts_are_compared(tmp_path):
    answer = found(tmp_path, [DESIGN], [replace(DESIGN, hosts=("h2", "h9"))])
    assert row(answer)["hosts"] == 1
    assert "Left out, because only A has it: h1." in answer.notes
    assert "Left out, because only B has it: h9." in answer.notes


def test_rented_hosts_are_compared_as_samples(tmp_path):
    b = replace(DESIGN, hosts=("x1", "x2", "x3"), variants=(Variant("docker", 200),), seed=3)
    answer = found(tmp_path, [replace(DESIGN, hosts=("h1", "h2", "h3"))], [b])
    assert row(answer)["pairing"] == "none"
    assert row(answer)["verdict"] == "slower"
    assert "two samples of hosts" in everything_said(answer)
    one = found(tmp_path / "2", [DESIGN], [replace(b, hosts=("x1",))])
    assert "no host measured both sides" in row(one)["why"]


def test_facts_that_differ_are_named_and_moving_ones_are_not(tmp_path):
    facts = {"cpu_model": "Model 2", "mem_bytes": 16 << 30}
    answer = found(tmp_path, [DESIGN], [replace(DESIGN, facts=facts)])
    said = {d.fact: (d.a, d.b) for d in answer.differs}
    assert said == {"cpu model": ("Model 1", "Model 2"), "mem": ("8 GiB", "16 GiB")}


def test_the_same_measurement_twice_is_said(tmp_path):
    answer = found(tmp_path, [DESIGN], [DESIGN])
    assert any("the same measurement twice" in note for note in answer.notes)
    assert row(answer)["change"] == pytest.approx(1)


def test_missing_trials_and_what_is_not_real_are_said(tmp_path):
    simulated = replace(DESIGN, variants=(Variant("simulated", 100, virtual=True),))
    missing = [{"trial_id": "x", "host": "h1", "experiment": "lifecycle", "block": 9}]
    a = write_dataset(tmp_path / "a", simulated)
    b = write_dataset(tmp_path / "b", simulated, missing=missing)
    nothing = parse_selection([], "--a")
    with open_dataset(a) as one, open_dataset(b) as two:
        said = everything_said(compare(sides_of((one, two), (nothing, nothing)), Options(metrics=MAIN)))
    assert "B lacks 1 planned trial" in said
    assert "Time was simulated" in said
    assert "Fewer than 5 blocks" not in said
    few = replace(DESIGN, hosts=("h1",), blocks=3)
    assert "Fewer than 5 blocks" in everything_said(found(tmp_path / "3", [few], [few]))


def test_the_floor_is_the_askers(tmp_path):
    slow = replace(DESIGN, variants=(Variant("docker", 150),), seed=2)
    answer = found(tmp_path, [DESIGN], [slow], floor=0.8)
    assert row(answer)["verdict"] == "equivalent"


def test_errors_in_use(tmp_path):
    folder = write_dataset(tmp_path / "d", DESIGN)
    nothing = parse_selection([], "--a")
    h1, h12 = parse_selection(["host=h1"], "--a"), parse_selection(["host=h1,host=h2"], "--b")
    with open_dataset(folder) as one:
        with pytest.raises(UseError, match="say with --a and --b"):
            sides_of((one, one), (nothing, nothing))
        with pytest.raises(UseError, match="in common"):
            sides_of((one, one), (h1, h12))
        other = parse_selection(["host=h2"], "--b")
        with pytest.raises(UseError, match="allowed for what was measured: boot"):
            check_metrics(sides_of((one, one), (h1, other)), ["e3e"])


def test_one_metric_alone_can_be_asked_for(tmp_path):
    answer = found(tmp_path, [DESIGN], [DESIGN], metrics=("delete",))
    assert {r["metric"] for r in answer.rows} == {"delete"}


def test_values_are_those_of_the_report(tmp_path):
    answer = found(tmp_path, [DESIGN], [replace(DESIGN, seed=5)])
    from analysis.tables import lifecycle

    with open_dataset(tmp_path / "b") as dataset:
        table = lifecycle.table(dataset)["latency"]
    (fleet,) = table[(table.scope == "fleet") & (table.metric == "delete")].to_dict("records")
    assert row(answer, "delete")["b"] == pytest.approx(fleet["p50_ns"])
    assert row(answer, "delete")["b_low"] == pytest.approx(fleet["p50_low_ns"])


def test_the_truth_is_found_and_nothing_else():
    """A few pairs of tests/bench/compare_truth.py, which holds the promise over a thousand."""
    for run, truth in ((within_one, Truth(hosts=1)), (across_two, Truth())):
        assert not all(claims(run(truth, seed, 1.0)) for seed in (1, 2))
        assert says_slower(run(truth, 100, 1.2))
