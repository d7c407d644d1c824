"""How what was seen becomes facts."""

import os
from dataclasses import replace
from typing import Any

import pytest

from workers.engines.simulated_security import SecurityTruth, seen_outside, told_inside
from workers.surface.capabilities import names_of
from workers.surface.outside import Mount, look
from workers.surface.system_calls import SystemCalls
from workers.surface.vector import Seen, numbers_of, vector_of

TRUTH = SecurityTruth()


def seen(inside: dict[str, Any] | None = None, **truth: Any) -> Seen:
    settings = TRUTH.model_copy(update=truth)
    return Seen(told_inside(settings, "inspect") | (inside or {}), seen_outside(settings))


def value(seen: Seen, name: str) -> Any:
    return vector_of(seen)[name].value


def test_capabilities_have_the_names_of_their_bits() -> None:
    assert names_of(0) == []
    assert names_of(1 << 21 | 1) == ["chown", "sys_admin"]
    assert names_of(1 << 40 | 1 << 63) == ["checkpoint_restore", "capability_63"]


def test_an_agent_that_tells_nothing_leaves_facts_unknown() -> None:
    nothing = Seen({}, seen_outside(TRUTH))
    facts = vector_of(nothing)
    for name in ("kernel_shared", "capabilities", "shared_namespaces", "host_mounts", "lsm", "devices"):
        assert facts[name].value is None, name
    assert numbers_of(facts)["capabilities"] is None
    assert set(facts) == set(vector_of(seen()))


def test_a_process_that_is_gone_leaves_the_outside_unknown() -> None:
    gone = Seen(told_inside(TRUTH, "inspect"), replace(seen_outside(TRUTH), process=None))
    assert value(gone, "host_capabilities") is None
    assert value(gone, "host_mounts") is None
    assert value(gone, "own_cgroup") is None
    assert value(gone, "capabilities") == names_of(2**14 - 1)


def test_facts_of_another_kernel_are_marked() -> None:
    facts = vector_of(seen(own_kernel=True))
    assert facts["capabilities"].guest
    assert not facts["host_capabilities"].guest
    assert not vector_of(seen())["capabilities"].guest


@pytest.mark.parametrize(
    ("told", "inside", "may"),
    [
        ("-rw-r--r-- 0 0 rw", {}, True),
        ("-rw-r--r-- 0 0 ro", {}, False),
        ("-rw-r--r-- 0 0 rw", {"uid": 1000, "gid": 1000, "cap_eff": "0"}, False),
        ("-rw-r--r-- 0 0 rw", {"uid": 1000, "gid": 1000, "cap_eff": "2"}, True),
        ("-rw-r--r-- 65534 65534 rw", {"cap_eff": "2"}, False),  # owned by nobody that this one knows
        ("-r--r--r-- 0 0 rw", {"cap_eff": "0"}, False),
        ("-rw-rw-r-- 5 7 rw", {"uid": 1000, "gid": 7, "cap_eff": "0"}, True),
        ("-rw----rw- 5 7 rw", {"uid": 1000, "gid": 7, "cap_eff": "0"}, False),
        ("-rw-r--rw- 5 7 rw", {"uid": 1000, "gid": 8, "cap_eff": "0"}, True),
        ("crw-rw-rw- 0 0 rw", {}, False),  # /dev/null over it
        ("nonsense", {}, False),
    ],
)
def test_what_may_be_written_is_seen_by_owner_mode_and_mount(
    told: str, inside: dict[str, Any], *, may: bool
) -> None:
    found = seen({"kernel_paths": {"/proc/x": told}} | inside)
    assert value(found, "writable_kernel_paths") == (["/proc/x"] if may else [])


def test_a_guests_writable_paths_are_none_of_the_hosts() -> None:
    guest = seen({"kernel_paths": {"/proc/x": "-rw-r--r-- 0 0 rw"}}, own_kernel=True)
    facts = vector_of(guest)
    assert facts["writable_kernel_paths"].value == ["/proc/x"]
    assert numbers_of(facts)["writable_kernel_paths"] == 0


def test_the_root_of_an_image_is_no_mount_of_the_host() -> None:
    host = seen_outside(TRUTH)
    assert host.process is not None
    mounts = (Mount("8:1", "/"), Mount("8:1", "/etc/hosts"), Mount("9:9", "/proc"))
    inside = Seen(
        told_inside(TRUTH, "inspect"), replace(host, process=replace(host.process, mounts=mounts))
    )
    assert value(inside, "host_mounts") == ["/etc/hosts"]


def test_a_user_namespace_takes_root_away() -> None:
    host = seen_outside(TRUTH)
    assert host.process is not None
    mapped = replace(host, process=replace(host.process, uid_map=((0, 100000, 65536),)))
    assert value(Seen(told_inside(TRUTH, "inspect"), mapped), "root_is_host_root") is False
    assert value(seen(), "root_is_host_root") is True


def test_calls_are_named_and_counted() -> None:
    found = seen()
    found.calls = SystemCalls({"read": 3, "mmap": 2}, "strace")
    assert value(found, "host_syscalls") == ["mmap", "read"]
    assert value(found, "host_syscall_count") == 5


def test_the_sandbox_of_qemu_is_read_from_its_arguments() -> None:
    host = seen_outside(TRUTH)
    assert host.process is not None
    for arguments, sandbox in (
        (("qemu", "-sandbox", "on,spawn=deny"), "on,spawn=deny"),
        (("qemu",), "off"),
    ):
        qemu = replace(host.process, program="qemu-system-x86", arguments=arguments)
        inside = Seen(told_inside(TRUTH, "inspect"), replace(host, process=qemu))
        assert value(inside, "emulator_sandbox") == sandbox
    assert value(seen(), "emulator_sandbox") == "no emulator"


def test_this_very_process_shares_all_with_its_host() -> None:
    view = look(os.getpid())
    assert view.process is not None
    assert view.process.namespaces == view.namespaces
    assert view.process.uid == os.geteuid()
    assert view.process.mounts == view.mounts
    assert view.process.cgroups == view.cgroups
    assert look(None).process is None
    assert look(2**22 + 1).process is None  # beyond the largest number of a process
