"""security: facts and differences of simulated truth, disagreements, what is not known."""

import json
from dataclasses import replace

import pytest
from make_trials import Made, write_trials
from simulation import instances, measure

from analysis.dataset import open_dataset
from analysis.security.words import LABELS
from analysis.tables import security
from analysis.words import records
from workers.engines.simulated_security import SecurityTruth, seen_outside, told_inside
from workers.surface.vector import Seen, vector_of

CONTAINER = {"capabilities": 14, "shared_namespaces": 2}
HARDENED = {"capabilities": 0, "shared_namespaces": 2, "no_new_privileges": True}
MACHINE = {"own_kernel": True, "capabilities": 41, "host_syscalls": 6}


@pytest.fixture
def made(host_settings):
    """Measures a simulated profile on named hosts, a block each."""

    def make(profile, settings, hosts=("h1",), blocks=2):
        found = []
        for host in hosts:
            for block in range(blocks):
                here = host_settings.model_copy(update={"name": host})
                part = measure(
                    here,
                    experiment="security",
                    profile=profile,
                    settings=settings,
                    params={},
                    block=block,
                    seed=block,
                )
                samples = part.tables["samples"].to_pylist()
                record = replace_verdict(part.record)
                found.append(Made(record, instances(part), samples))
        return found

    return make


def replace_verdict(record):
    """The machine of the tests may be busy: that is not what these are about."""
    return record.model_copy(update={"verdict": "valid", "reasons": ()})


def read(folder, *groups):
    with open_dataset(write_trials(folder, *groups)) as dataset:
        tables = security.table(dataset)
        return {name: records(table) for name, table in tables.items()}, security.section(
            dataset, tables
        )


def test_every_fact_has_words():
    truth = SecurityTruth()
    seen = Seen(told_inside(truth, "inspect"), seen_outside(truth))
    assert set(vector_of(seen)) - {"engine"} == set(LABELS)


def test_truth_is_found_again_and_differences_are_named(made, tmp_path):
    tables, section = read(
        tmp_path, made("default", CONTAINER), made("hardened", HARDENED), made("vm", MACHINE)
    )
    facts = {(r["variant"], r["fact"]): r for r in tables["facts"]}
    assert len(json.loads(facts["simulated", "capabilities"]["value"])) == 14
    assert json.loads(facts["simulated/hardened", "capabilities"]["value"]) == []
    assert facts["simulated/vm", "kernel_shared"]["value"] == "false"
    assert facts["simulated/vm", "capabilities"]["guest"]
    assert len(json.loads(facts["simulated/vm", "host_syscalls"]["value"])) == 6
    assert all(r["how"] and r["trials"] == 2 and r["agreed"] for r in tables["facts"])
    differ = {(r["variant"], r["fact"]) for r in tables["differences"] if r["other"] == "simulated"}
    assert differ == {
        *(("simulated/hardened", name) for name in ("capabilities", "capabilities_bounding")),
        *(("simulated/hardened", name) for name in ("host_capabilities", "no_new_privileges")),
        ("simulated/hardened", "host_no_new_privileges"),
        *(("simulated/vm", name) for name in ("kernel_shared", "kernel", "root_is_host_root")),
        *(("simulated/vm", name) for name in ("capabilities", "capabilities_bounding")),
        *(("simulated/vm", name) for name in ("host_capabilities", "shared_namespaces")),
        ("simulated/vm", "host_syscalls"),
    }
    hardened, machine = section.summary
    assert "effective capabilities none instead of 14" in hardened
    assert "no new privileges inside yes instead of no" in hardened
    assert machine.startswith("simulated/vm against simulated: kernel shared with the host no")
    shown = section.parts[0]
    assert shown.columns == ("Fact", "simulated", "simulated/hardened", "simulated/vm", "Seen by")
    assert all(row[-1] for row in shown.rows)


def test_hosts_that_disagree_are_named_and_nothing_is_claimed(made, tmp_path):
    tables, section = read(
        tmp_path,
        made("default", CONTAINER, hosts=("h1",)),
        made("default", CONTAINER | {"seccomp_filter": False}, hosts=("h2",)),
        made("hardened", HARDENED, hosts=("h1", "h2")),
    )
    (fact,) = [r for r in tables["facts"] if (r["variant"], r["fact"]) == ("simulated", "seccomp")]
    assert (fact["agreed"], fact["value"], fact["known"]) == (False, None, 4)
    assert {v["value"]: v["trials"] for v in json.loads(fact["values"])} == {"filter": 2, "off": 2}
    said = [text for text in section.caveats if "disagree about 'seccomp inside'" in text]
    assert said == ["Trials of simulated disagree about 'seccomp inside': h1: filter; h2: off."]
    (difference,) = [r for r in tables["differences"] if r["fact"] == "seccomp"]
    assert difference["undecided"]
    assert "seccomp inside filter" not in " ".join(section.summary)


def test_what_is_not_known_of_one_is_no_difference(made, tmp_path):
    one, other = made("default", CONTAINER), made("hardened", CONTAINER)
    for trial in other:
        vector = trial.record.facts["findings"]["security"]
        vector["host_syscalls"] = {"value": None, "how": "strace is not on this host"}
    tables, section = read(tmp_path, one, other)
    assert tables["differences"] == []
    assert section.summary == ("No fact was seen that tells simulated/hardened from simulated.",)
    assert any(
        "Not known of simulated/hardened" in text and "strace is not on this host" in text
        for text in section.caveats
    )


def test_lists_that_change_by_the_moment_are_put_together(made, tmp_path):
    first, second = made("default", CONTAINER)
    facts = second.record.facts["findings"]["security"]
    facts["host_syscalls"]["value"] = [*facts["host_syscalls"]["value"][1:], "late_call"]
    facts["host_processes"]["value"] = 130
    tables, section = read(tmp_path, [first, second])
    found = {r["fact"]: r for r in tables["facts"]}
    assert found["host_syscalls"]["said"] == "29 in every trial, 31 in any"
    assert len(json.loads(found["host_syscalls"]["value"])) == 31
    assert found["host_processes"]["said"] == "120 to 130"
    assert not [text for text in section.caveats if "disagree" in text]


def test_what_is_there_only_at_times_is_no_difference(made, tmp_path):
    (first, second), other = made("default", CONTAINER), made("hardened", CONTAINER)
    first.record.facts["findings"]["security"]["host_syscalls"]["value"].append("restart_syscall")
    tables, _ = read(tmp_path / "a", [first, second], other)
    assert tables["differences"] == []
    second.record.facts["findings"]["security"]["host_syscalls"]["value"].append("restart_syscall")
    tables, _ = read(tmp_path / "b", [first, second], other)
    assert [r["only_other"] for r in tables["differences"]] == ['["restart_syscall"]']


def test_a_trial_without_a_vector_is_counted_and_tells_nothing(made, tmp_path):
    (only,) = made("default", {"silent_share": 1.0}, blocks=1)
    failed = replace(only, record=only.record.model_copy(update={"outcome": "failed"}))
    tables, section = read(tmp_path, [failed])
    assert tables["facts"] == []
    assert [r["failed"] for r in tables["outcomes"] if r["scope"] == "fleet"] == [1]
    assert section.summary[0].startswith("There is nothing to compare")
