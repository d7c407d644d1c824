"""security: vectors of simulated and real instances, what they must have in common and what not."""

from pathlib import Path
from typing import Any

import pytest
from engines import DockerEngine
from simulation import instances, measure

from contract.parts import Part
from workers.experiments.security import Experiment
from workers.settings import HostSettings

HARDENED = {
    "drop_capabilities": True,
    "no_new_privileges": True,
    "read_only": True,
    "user": "65534:65534",
}


def facts_of(part: Part) -> dict[str, Any]:
    assert part.record.outcome == "completed", part.record.error_text
    return {name: fact["value"] for name, fact in part.record.facts["findings"]["security"].items()}


def numbers_of(part: Part) -> dict[str, float | None]:
    rows = part.tables["samples"].to_pylist()
    return {row["metric"]: row["value"] for row in rows if row["metric"].startswith("security.")}


def security(
    host: HostSettings, settings: dict[str, Any], driver: str = "simulated", **params: Any
) -> Part:
    return measure(host, experiment="security", driver=driver, settings=settings, params=params)


def test_the_truth_of_a_simulated_container_is_found(host_settings: HostSettings) -> None:
    part = security(host_settings, {"capabilities": 5, "shared_namespaces": 1, "host_syscalls": 7})
    facts, numbers = facts_of(part), numbers_of(part)
    assert facts["kernel_shared"] is True
    assert facts["capabilities"] == ["chown", "dac_override", "dac_read_search", "fowner", "fsetid"]
    assert facts["shared_namespaces"] == ["uts"]
    assert facts["host_file_reachable"] is False
    assert numbers["security.capabilities"] == 5
    assert numbers["security.shared_namespaces"] == 1
    assert numbers["security.host_syscalls"] == 7
    assert set(numbers) == {metric.name for metric in Experiment.metrics}
    assert [row["outcome"] for row in instances(part)] == ["ok"]


def test_the_truth_of_a_simulated_machine_is_found(host_settings: HostSettings) -> None:
    facts = facts_of(security(host_settings, {"own_kernel": True, "shared_namespaces": 7}))
    assert facts["kernel_shared"] is False
    assert facts["shared_namespaces"] == []  # numbers of another kernel, however alike
    assert len(facts["host_process_namespaces"]) == 7
    assert facts["root_is_host_root"] is False
    assert facts["host_processes_visible"] == 0


def test_a_file_of_the_host_is_found_where_it_can_be(host_settings: HostSettings) -> None:
    assert facts_of(security(host_settings, {"host_files": True}))["host_file_reachable"] is True
    assert list((host_settings.state_dir / "process").iterdir()) == []


def test_an_instance_that_never_speaks_is_a_row(host_settings: HostSettings) -> None:
    part = security(host_settings, {"silent_share": 1.0}, ready_deadline_s=1)
    assert [row["outcome"] for row in instances(part)] == ["timeout"]
    assert numbers_of(part) == {}
    assert "security" not in part.record.facts.get("findings", {})


def test_without_a_trace_nothing_is_said_of_system_calls(host_settings: HostSettings) -> None:
    part = security(host_settings, {}, trace=False)
    assert facts_of(part)["host_syscalls"] is None
    assert numbers_of(part)["security.host_syscalls"] is None


def test_a_process_is_the_host_itself(host_settings: HostSettings) -> None:
    facts = facts_of(security(host_settings, {}, "process", trace=False))
    assert facts["kernel_shared"] is True
    assert facts["shared_namespaces"] == ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]
    assert facts["host_file_reachable"] is True
    assert facts["host_processes_visible"] > 2
    assert facts["capabilities"] == facts["host_capabilities"]
    assert facts["host_process"] == "busybox"


@pytest.mark.docker
def test_containers_differ_from_the_host_and_hardened_ones_from_those(
    docker_engine: DockerEngine, host_settings: HostSettings
) -> None:
    host = host_settings.model_copy(update={"docker_socket": docker_engine.socket})
    plain = facts_of(security(host, {}, "docker", trace=False))
    hard = facts_of(security(host, HARDENED, "docker"))
    for facts in (plain, hard):
        assert facts["kernel_shared"] is True
        assert not {"pid", "mnt", "net"} & set(facts["shared_namespaces"])
        assert facts["host_file_reachable"] is False
        assert facts["processes"] < facts["host_processes"]
        assert facts["capabilities"] == facts["host_capabilities"]
    assert plain["capabilities"]
    assert (plain["user"], plain["host_user"], plain["no_new_privileges"]) == (0, 0, False)
    assert hard["capabilities"] == hard["capabilities_bounding"] == []
    assert (hard["user"], hard["host_user"], hard["no_new_privileges"]) == (65534, 65534, True)
    assert hard["engine"]["ReadonlyRootfs"] is True
    assert hard["engine"]["CapDrop"] == ["ALL"]
    assert len(hard["writable_kernel_paths"]) < len(plain["writable_kernel_paths"])


@pytest.mark.libvirt
@pytest.mark.timeout(240)
def test_a_machine_has_a_kernel_of_its_own(
    libvirt_engine: str, host_settings: HostSettings, shared_state_dir: Path
) -> None:
    update = {"libvirt_uri": libvirt_engine, "state_dir": shared_state_dir}
    host = host_settings.model_copy(update=update)
    # Guests' files lie in a folder that only libvirt's own user and group may pass.
    group = Path("/var/lib/libvirt/qemu").stat().st_gid
    settings = {"accel": "tcg", "user": f"65534:{group}"}
    part = security(host, settings, "libvirt", trace=False)
    facts = facts_of(part)
    assert facts["kernel_shared"] is False
    assert facts["shared_namespaces"] == []
    assert facts["host_file_reachable"] is False
    assert facts["host_mounts"] == []
    assert part.record.facts["findings"]["security"]["capabilities"]["guest"] is True
    if facts["host_process"] is not None:  # a libvirt in another mount namespace hides its QEMU's PID
        assert facts["host_process"].startswith("qemu")
        assert (facts["host_user"], facts["host_capabilities"]) == (65534, [])


@pytest.mark.libvirt
def test_a_user_that_libvirts_folders_are_closed_to_is_refused(
    libvirt_engine: str, host_settings: HostSettings, shared_state_dir: Path
) -> None:
    guests = Path("/var/lib/libvirt/qemu").stat()
    if libvirt_engine != "qemu:///system" or guests.st_mode & 0o001 or guests.st_uid == 65534:
        pytest.skip("this libvirt's folders are open to all")
    host = host_settings.model_copy(
        update={"libvirt_uri": libvirt_engine, "state_dir": shared_state_dir}
    )
    part = security(host, {"accel": "tcg", "user": "65534:65534"}, "libvirt", trace=False)
    assert part.record.outcome == "failed"
    assert "QEMU runs as user 65534 and may not pass /var/lib/libvirt/qemu" in str(
        part.record.error_text
    )
