import pytest
from make_dataset import Design, Variant, pair, write_dataset

from analysis import provenance
from analysis.dataset import open_dataset

DOCKER = (Variant("docker", 170),)


def facts_of(tmp_path, *designs):
    with open_dataset(write_dataset(tmp_path / "d", *designs)) as dataset:
        return provenance.lift_facts(dataset)


@pytest.mark.parametrize(
    ("rerun", "again"),
    [
        (
            "tonnage run 'my c.yaml' --retry-failed --broker redis://b --results /srv/r",
            "tonnage run 'my c.yaml' --broker redis://b --results results/c-again",
        ),
        ("tonnage import x --format columns", "tonnage import x --format columns"),
        ("", ""),
    ],
)
def test_the_command_for_the_rest_becomes_one_for_everything(rerun, again):
    assert provenance.measured_again(rerun, "c") == again


def test_what_all_hosts_share_is_lifted_out(tmp_path):
    facts = facts_of(tmp_path, pair(3, 170, hosts=("h1", "h2")))
    assert dict(facts.common)["cpu model"] == "Model 1"
    assert dict(facts.common)["mem"] == "8 GiB"
    assert facts.varying == ()
    assert [group.hosts for group in facts.classes] == ["h1 and h2"]


def test_only_what_differs_between_hosts_is_a_column(tmp_path):
    facts = facts_of(
        tmp_path,
        Design(DOCKER, hosts=("h1", "h2"), facts={"cpu_model": "Model 1", "cpu_count": 2}),
        Design(DOCKER, hosts=("h3",), facts={"cpu_model": "Model 1", "cpu_count": 64}),
    )
    assert facts.varying == ("cpu count",)
    assert [(c.hosts, c.values) for c in facts.classes] == [("h1 and h2", ("2",)), ("h3", ("64",))]


def test_what_moves_from_trial_to_trial_is_a_range(tmp_path):
    assert dict(facts_of(tmp_path, Design(DOCKER, blocks=3)).moving) == {"load1": "0.0 to 0.2"}


def test_what_depends_on_the_driver_is_said_with_it(tmp_path):
    facts = facts_of(
        tmp_path,
        Design((Variant("docker", 170),), hosts=("h1", "h2"), facts={"storage": {"kind": "overlay2"}}),
        Design((Variant("process", 3),), hosts=("h1", "h2"), facts={"storage": {"kind": "none"}}),
    )
    named = dict(facts.of_variants)
    assert named == {"storage.kind (docker)": "overlay2", "storage.kind (process)": "none"}


def test_what_depends_on_both_is_a_column_of_the_driver(tmp_path):
    designs = [
        Design((Variant(driver, 1),), hosts=(host,), facts={"runtime": f"{driver}-{host}"})
        for driver in ("docker", "process")
        for host in ("h1", "h2")
    ]
    facts = facts_of(tmp_path, *designs)
    assert facts.varying == ("runtime (docker)", "runtime (process)")
    assert facts.classes[0].values == ("docker-h1", "process-h1")


def test_facts_of_every_type_can_be_shown(tmp_path):
    given = {"a": None, "b": True, "c": [1, "x"], "d": [], "e": "y" * 500, "f_bytes": 1024, "g": 0.5}
    shown = dict(facts_of(tmp_path, Design(DOCKER, facts=given)).common)
    assert (shown["a"], shown["b"], shown["c"], shown["d"]) == ("not said", "yes", "1, x", "none")
    assert len(shown["e"]) == provenance.MOST_VALUE
    assert (shown["f"], shown["g"]) == ("1 KiB", "0.5")


def test_the_same_reason_with_other_numbers_counts_once(tmp_path):
    designs = [
        Design(DOCKER, blocks=2, verdict="suspect", reasons=(f"host not quiet: {n}%",), seed=n)
        for n in (30, 40)
    ]
    with open_dataset(write_dataset(tmp_path / "d", *designs)) as dataset:
        reasons, more = provenance.verdict_reasons(dataset)
    assert reasons == [("suspect", "host not quiet: 30%", "4", "1")]
    assert more == 0


def test_what_an_experiment_found_is_no_fact_of_the_host(tmp_path):
    found = {"cpu_model": "Model 1", "findings": {"density": {"stop_rule": "count", "deaths": 0}}}
    facts = facts_of(tmp_path, Design(DOCKER, facts=found), Design(DOCKER, facts={}, seed=2))
    named = [name for group in (facts.common, facts.of_variants, facts.moving) for name, _ in group]
    assert "cpu model" in named
    assert not [name for name in (*named, *facts.varying) if "finding" in name or "stop" in name]
