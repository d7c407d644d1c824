from dataclasses import replace

import pytest
from pydantic import ValidationError

from contract.campaign import Limits
from workers.drivers.base import InstanceSpec
from workers.engines.docker_records import (
    DockerSettings,
    confinement_of,
    container_body,
    facts_of,
    name_of,
    owner_of,
    places_of,
    reference,
)
from workers.ownership import Owner, owner_from_labels

OWNER = Owner("h1", "c1", "a" * 32, 2, "boot")
VERSION = {
    "Version": "20.10.24",
    "Components": [
        {"Name": "Engine", "Version": "20.10.24"},
        {"Name": "containerd", "Version": "1.6.20"},
        {"Name": "docker-init", "Version": "0.19.0"},
    ],
}


def spec(image: str = "busybox", limits: Limits | None = None) -> InstanceSpec:
    return InstanceSpec(3, OWNER.instance_name(3), image, "n0nce", limits or Limits())


def test_a_container_says_whose_it_is_and_keeps_its_input_open() -> None:
    body = container_body(spec(), DockerSettings(), OWNER)
    assert owner_from_labels(body["Labels"]) == OWNER
    assert body["Env"] == ["TONNAGE_NONCE=n0nce"]
    assert (body["OpenStdin"], body["StdinOnce"], body["Tty"]) == (True, False, False)
    assert "AutoRemove" not in body["HostConfig"]
    assert "Entrypoint" not in body  # a user's image keeps its own


def test_limits_leave_no_swap() -> None:
    config = container_body(spec(limits=Limits(cpus=1.5, memory_mib=64)), DockerSettings(), OWNER)
    host = config["HostConfig"]
    assert host["NanoCpus"] == 1_500_000_000
    assert host["Memory"] == host["MemorySwap"] == 64 * 1024 * 1024


@pytest.mark.parametrize(("profile", "own", "least"), [(None, 9, 9), (50, 9, 9), (5, 9, 5)])
def test_the_smaller_limit_of_processes_holds(profile: int | None, own: int, least: int) -> None:
    body = container_body(replace(spec(), pids=own), DockerSettings(pids_limit=profile), OWNER)
    assert body["HostConfig"]["PidsLimit"] == least


def test_defaults_limit_nothing() -> None:
    host = container_body(spec(), DockerSettings(), OWNER)["HostConfig"]
    assert not {"Memory", "NanoCpus", "Runtime", "PidsLimit", "CpusetCpus", "CapDrop"} & set(host)
    assert host["NetworkMode"] == "none"
    assert host["LogConfig"] == {"Type": "none"}


def test_a_hardened_profile() -> None:
    settings = DockerSettings(
        runtime="crun",
        read_only=True,
        no_new_privileges=True,
        drop_capabilities=True,
        seccomp="unconfined",
        user="1000:1000",
        userns="host",
        cpuset="0-1,3",
        pids_limit=50,
    )
    body = container_body(spec(), settings, OWNER)
    host = body["HostConfig"]
    assert (body["User"], host["UsernsMode"]) == ("1000:1000", "host")
    assert host["ReadonlyRootfs"] is True
    assert "/work" in host["Tmpfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges", "seccomp=unconfined"]
    assert (host["Runtime"], host["CpusetCpus"], host["PidsLimit"]) == ("crun", "0-1,3", 50)


@pytest.mark.parametrize(
    "settings",
    [
        {"network": "container:other"},
        {"network": ""},
        {"cpuset": "all"},
        {"runtime": "a b"},
        {"pids_limit": 0},
        {"user": "root"},
        {"user": "0:0:0"},
        {"userns": "container:x"},
    ],
)
def test_settings_that_could_mean_something_else_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DockerSettings.model_validate(settings)


def test_what_confines_a_container_is_told_in_the_words_of_the_api() -> None:
    record = {
        "AppArmorProfile": "docker-default",
        "Config": {"User": "1000"},
        "HostConfig": {"Privileged": False, "CapDrop": ["ALL"], "MaskedPaths": ["/a", "/b"]},
    }
    told = confinement_of(record)
    assert told["User"] == "1000"
    assert told["AppArmorProfile"] == "docker-default"
    assert (told["CapDrop"], told["CapAdd"], told["SecurityOpt"]) == (["ALL"], [], [])
    assert (told["MaskedPaths"], told["ReadonlyPaths"]) == (2, 0)
    assert told["PidsLimit"] == "not set"
    assert confinement_of({})["User"] == ""


def test_tiny_is_named_by_its_bytes_and_others_by_themselves() -> None:
    assert reference("debian:12") == "debian:12"
    repository, _, tag = reference("tiny").partition(":")
    assert repository == "tonnage/tiny"
    assert len(tag) == 16


def test_facts_of_docker() -> None:
    info = {"CgroupVersion": "2", "DriverStatus": [["Backing Filesystem", "extfs"]], "ID": "X"}
    facts = facts_of(info, VERSION)
    assert facts["engine"] == "docker"
    assert facts["engine_version"] == "20.10.24"
    assert facts["containerd_version"] == "1.6.20"
    assert facts["docker_init_version"] == "0.19.0"
    assert facts["cgroup_version"] == 2
    assert facts["storage_status"] == {"Backing Filesystem": "extfs"}


def test_what_lists_and_inspections_leave_out_is_no_error() -> None:
    assert owner_of({"Labels": None}) is None
    assert owner_of({"Labels": {"tonnage.image": "tiny"}}) is None
    assert name_of({"Names": None, "Id": "abc"}) == "abc"
    assert name_of({"Names": ["/tonnage-x"], "Id": "abc"}) == "tonnage-x"
    assert places_of({}).in_mounts() == []
    assert places_of({"GraphDriver": {"Data": None}, "NetworkSettings": {}}).in_mounts() == []


def test_places_are_the_containers_own() -> None:
    record = {
        "GraphDriver": {"Data": {"UpperDir": "/data/overlay2/f00/diff"}},
        "NetworkSettings": {"SandboxKey": "/run/docker/netns/123"},
    }
    assert places_of(record).in_mounts() == ["/data/overlay2/f00", "/run/docker/netns/123"]
    record["NetworkSettings"]["SandboxKey"] = "/run/docker/netns/default"
    assert places_of(record).in_mounts() == ["/data/overlay2/f00"]
