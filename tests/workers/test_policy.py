"""The operator's policy: each rule refuses by its name; a file that cannot be read allows nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from simulation import instances, measure
from trials import make_trial

from contract.errors import PolicyRefused
from workers.gauge import read_gauge
from workers.policy import Policy, load_policy
from workers.settings import HostSettings

MIB = 2**20
LIMITED = {"limits": {"cpus": 1, "memory_mib": 128}}
COMMAND = {"experiment": "overhead", "params": {"work": "command", "command": "fio --name=x"}}
DOCKER = LIMITED | {"driver": "docker", "settings": {"network": "bridge", "seccomp": "default"}}

ALLOWED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"drivers": ["docker"], "images": ["tiny", "registry.example/*"]}, DOCKER),
    ({"images": ["registry.example/*"]}, {"image": "registry.example/web:1"}),
    ({"settings": {"docker": {"network": ["none", "bridge"]}}}, DOCKER),
    ({"settings": {"libvirt": {"network": ["none"]}}}, DOCKER),
    ({"max_instances": 3, "max_deadline_s": 60, "limits_required": True}, DOCKER),
    ({"max_cpus": 1, "max_memory_mib": 128}, DOCKER),
    ({"commands": ["sysbench *", "fio *"]}, COMMAND),
    ({"commands": []}, DOCKER),
]
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"drivers": ["process"]}, {}, "rule 'drivers' allows process, not simulated"),
    ({"drivers": []}, {}, "rule 'drivers' allows nothing, not simulated"),
    ({"experiments": ["density"]}, {}, "rule 'experiments' allows density, not lifecycle"),
    ({"images": ["tiny"]}, {"image": "tiny2"}, "rule 'images' allows tiny, not tiny2"),
    (
        {"settings": {"docker": {"network": ["none"]}}},
        DOCKER,
        "rule 'settings.docker.network' allows none, not bridge",
    ),
    ({"commands": []}, COMMAND, "rule 'commands' allows nothing, not fio --name=x"),
    ({"commands": ["sysbench *"]}, COMMAND, "rule 'commands' allows sysbench *, not fio"),
    ({"max_instances": 2}, {}, "rule 'max_instances' allows 2, not 3"),
    ({"max_deadline_s": 59}, {}, "rule 'max_deadline_s' allows 59"),
    ({"limits_required": True}, {}, "rule 'limits_required' allows true, not no limit"),
    ({"limits_required": True}, {"limits": {"cpus": 1}}, "rule 'limits_required'"),
    ({"max_cpus": 0.5}, DOCKER, "rule 'max_cpus' allows 0.5, not 1.0"),
    ({"max_memory_mib": 64}, {}, "rule 'max_memory_mib' allows 64, not None"),
]


@pytest.mark.parametrize(("rules", "trial"), ALLOWED)
def test_what_is_allowed_passes(rules: dict[str, Any], trial: dict[str, Any]) -> None:
    Policy.model_validate(rules).check(make_trial(**trial), 3)


@pytest.mark.parametrize(("rules", "trial", "why"), REFUSED)
def test_what_is_not_names_its_rule(rules: dict[str, Any], trial: dict[str, Any], why: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        Policy.model_validate(rules).check(make_trial(**trial), 3)
    assert why in str(refused.value)


def test_a_host_short_of_memory_is_left_alone() -> None:
    policy = Policy(min_available_mib=1000)
    gauge = read_gauge()
    policy.check(make_trial(), 3, replace(gauge, mem_available_bytes=1000 * MIB))
    with pytest.raises(PolicyRefused, match="rule 'min_available_mib' allows 1000, not 999"):
        policy.check(make_trial(), 3, replace(gauge, mem_available_bytes=1000 * MIB - 1))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("driver: [docker]", "p.yaml:1: unknown key 'driver' (did you mean 'drivers'?)"),
        ("max_instances: many", "p.yaml:1: 'max_instances': found 'many'"),
        ("", "a mapping of rules"),
        ("[", "p.yaml"),
    ],
)
def test_a_policy_that_cannot_be_read_allows_nothing(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(PolicyRefused, match="nothing is allowed") as refused:
        load_policy(path)
    assert why in str(refused.value)
    with pytest.raises(PolicyRefused, match="cannot be read"):
        load_policy(tmp_path / "absent.yaml")


ROOTS = ["/srv/tonnage", "s3://bench/team?region=eu-central-1"]


@pytest.mark.parametrize(
    "place",
    ["", "/srv/tonnage", "/srv/tonnage/c1", "/srv//tonnage/./c1", "s3://bench/team?region=eu-central-1",
     "s3://bench/team/c1?region=eu-central-1"],
)  # fmt: skip
def test_parts_may_go_into_the_roots_and_through_the_broker(place: str) -> None:
    Policy.model_validate({"results_roots": ROOTS}).check_place(place)
    Policy().check_place(place)


@pytest.mark.parametrize(
    "place",
    ["/", "/etc", "/srv", "/srv/tonnage-2", "s3://bench?region=eu-central-1", "s3://bench/team",
     "s3://bench/team2?region=eu-central-1", "s3://other/team?region=eu-central-1",
     "s3://bench/team/../x?region=eu-central-1",
     "s3://bench/team?region=eu-central-1&endpoint_override=evil.example"],
)  # fmt: skip
def test_parts_go_nowhere_else(place: str) -> None:
    with pytest.raises(PolicyRefused, match="rule 'results_roots' allows /srv/tonnage, s3"):
        Policy.model_validate({"results_roots": ROOTS}).check_place(place)


def test_a_link_in_a_root_leads_nowhere_else(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    (root / "out").symlink_to(elsewhere)
    policy = Policy.model_validate({"results_roots": [str(root)]})
    with pytest.raises(PolicyRefused, match="rule 'results_roots'"):
        policy.check_place(str(root / "out" / "c1"))


def test_without_roots_and_with_an_empty_one_parts_go_through_the_broker_only() -> None:
    for roots in ([], [""]):
        policy = Policy.model_validate({"results_roots": roots})
        policy.check_place("")
        with pytest.raises(PolicyRefused, match="rule 'results_roots' allows nothing"):
            policy.check_place("/srv")


def test_a_refused_trial_is_a_skipped_record_and_an_allowed_one_is_measured(
    host_settings: HostSettings, tmp_path: Path
) -> None:
    path = tmp_path / "policy.yaml"
    host = host_settings.model_copy(update={"policy": path})
    path.write_text("max_instances: 2")
    part = measure(host)
    record = part.record
    assert (record.outcome, record.verdict, record.error_class) == ("skipped", "invalid", "policy")
    assert record.error_text == "this host's policy: rule 'max_instances' allows 2, not 3"
    assert [row["outcome"] for row in instances(part)] == ["skipped"] * 3
    path.write_text("max_instances: 3")
    assert measure(host).record.outcome == "completed"


STRICT = """\
drivers: [docker, simulated]
images: [tiny, "registry.example/team/*", "/srv/images/*"]
experiments: [lifecycle, isolation, density, deployment, overhead]
commands: []
settings:
  docker: {network: [none], userns: [default], seccomp: [default], runtime: [null, crun]}
limits_required: true
max_memory_mib: 128
max_cpus: 1
max_instances: 50
max_image_mib: 100
"""
MODEST = LIMITED | {"driver": "docker", "settings": {"network": "none"}, "deadline_s": 60}

ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "the host's network": ({"settings": {"network": "host"}}, "settings.docker.network"),
    "the network of the default, left out": ({"settings": {"userns": "host"}}, "settings.docker.userns"),
    "no filter of system calls": ({"settings": {"seccomp": "unconfined"}}, "settings.docker.seccomp"),
    "a runtime of its own": ({"settings": {"runtime": "kata"}}, "settings.docker.runtime"),
    "another driver's settings": ({"driver": "podman"}, "drivers"),
    "a program of the host": ({"driver": "process", "settings": {}, "image": "/bin/sh"}, "drivers"),
    "the same image by another name": ({"image": "docker.io/library/tiny"}, "images"),
    "the image in capitals": ({"image": "TINY"}, "images"),
    "the image by digest": ({"image": f"tiny@sha256:{'0' * 64}"}, "images"),
    "another registry": ({"image": "registry.example.evil.org/team/web"}, "images"),
    "very many residents": ({"params": {"instances": 1, "residents": 10_000}}, "max_instances"),
    "a climb without end": (
        {"experiment": "density", "params": {"max_instances": 100_000}},
        "max_instances",
    ),
    "a huge image of its own": (
        {"experiment": "deployment", "params": {"size_mib": 16_384}},
        "max_image_mib",
    ),
    "neighbours without limits": (
        {"experiment": "isolation", "params": {"stress": "alloc", "limited": False}},
        "limits_required",
    ),
    "a command": (
        {"experiment": "overhead", "params": {"work": "command", "command": "rm -rf /"}},
        "commands",
    ),
    "another experiment": (
        {"experiment": "recovery", "params": {"fault": "engine_restart"}},
        "experiments",
    ),
    "no limits": ({"limits": {}}, "limits_required"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_campaign_that_tries_to_break_the_policy_is_skipped(
    name: str, host_settings: HostSettings, tmp_path: Path
) -> None:
    """Before anything of the engine is asked: none of these engines needs to be here."""
    path = tmp_path / "policy.yaml"
    path.write_text(STRICT)
    changes, rule = ATTACKS[name]
    part = measure(host_settings.model_copy(update={"policy": path}), **(MODEST | changes))
    assert (part.record.outcome, part.record.error_class) == ("skipped", "policy"), (
        part.record.error_text
    )
    assert f"rule '{rule}'" in str(part.record.error_text)


@pytest.mark.parametrize(
    "settings",
    [{"privileged": True}, {"binds": ["/:/host"]}, {"devices": ["/dev/kvm"]}, {"pid": "host"}],
)
def test_what_no_driver_offers_cannot_be_asked_for(
    settings: dict[str, Any], host_settings: HostSettings
) -> None:
    part = measure(host_settings, **(MODEST | {"settings": settings}))
    assert (part.record.outcome, part.record.error_class) == ("failed", "campaign")


def test_a_setting_is_judged_as_it_will_be_used_and_not_as_it_is_written(
    host_settings: HostSettings, tmp_path: Path
) -> None:
    """A message may leave a setting out, so that its default is used."""
    path = tmp_path / "policy.yaml"
    path.write_text("settings: {docker: {network: [null, bridge]}}")
    part = measure(host_settings.model_copy(update={"policy": path}), **(MODEST | {"settings": {}}))
    assert "rule 'settings.docker.network' allows None, bridge, not none" in str(part.record.error_text)


def test_a_way_out_of_an_allowed_folder_is_no_images_name() -> None:
    with pytest.raises(ValueError, match=r"without '\.\.'"):
        make_trial(image="/srv/images/../../etc")
