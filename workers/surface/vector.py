"""The vector of facts: what was seen from inside and outside, each with what shows it. Never a score."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.surface.capabilities import names_of
from workers.surface.outside import NAMESPACES, HostView, ProcessView
from workers.surface.system_calls import SystemCalls

_OVERFLOW_UID = 65534
"""Whom a file seems to belong to whose owner a user namespace does not know."""
_DAC_OVERRIDE = 1 << 1
SECCOMP_MODES = {0: "off", 1: "strict", 2: "filter"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact. ``value`` None: it is not known, and ``how`` says why."""

    value: Any
    how: str
    """The path or command that shows it."""
    guest: bool = False
    """It is about a kernel of the instance's own, not about the host's."""


@dataclass(slots=True)
class Seen:
    """Everything that was seen of one instance."""

    inside: Mapping[str, Any]
    """The agent's answer to ``inspect``."""
    host: HostView
    engine: dict[str, Any] = field(default_factory=dict)
    """What the engine's API says."""
    marker_read: bool | None = None
    """Whether a file of the host was read from inside; None where that could not be asked."""
    calls: SystemCalls = field(default_factory=lambda: SystemCalls(None, "system calls were not traced"))

    @property
    def own_kernel(self) -> bool | None:
        """Whether the kernel inside is another than the host's: a boot has an id of its own."""
        boot = self.inside.get("boot_id")
        return None if not boot else bool(boot != self.host.boot_id)


def vector_of(seen: Seen) -> dict[str, Fact]:
    """All facts, by name; always the same names."""
    return {
        **_kernel(seen),
        **_inside(seen),
        **_shared(seen),
        **_surfaces(seen),
        **_process(seen.host.process),
        **_outside(seen),
    }


def numbers_of(facts: Mapping[str, Fact]) -> dict[str, float | None]:
    """The facts that can be counted, by the name of their metric after ``security.``."""

    def count(name: str) -> float | None:
        value = facts[name].value
        return float(len(value)) if isinstance(value, list | dict) else value

    written = facts["writable_kernel_paths"]
    return {
        "capabilities": count("capabilities"),
        "host_capabilities": count("host_capabilities"),
        "shared_namespaces": count("shared_namespaces"),
        "devices": count("devices"),
        "block_devices": count("block_devices"),
        "writable_kernel_paths": 0.0 if written.guest else count("writable_kernel_paths"),
        "host_mounts": count("host_mounts"),
        "host_processes_visible": count("host_processes_visible"),
        "host_interfaces": count("host_interfaces"),
        "host_syscalls": count("host_syscalls"),
        "host_syscall_count": count("host_syscall_count"),
    }


def _kernel(seen: Seen) -> dict[str, Fact]:
    own = seen.own_kernel
    return {
        "kernel_shared": Fact(
            None if own is None else not own,
            "/proc/sys/kernel/random/boot_id inside and on the host are the same",
        ),
        "kernel": Fact(seen.inside.get("kernel"), "uname -r inside", guest=own is True),
        "host_kernel": Fact(seen.host.kernel, "uname -r on the host"),
    }


def _inside(seen: Seen) -> dict[str, Fact]:
    inside, guest = seen.inside, seen.own_kernel is True
    return {
        "user": Fact(inside.get("uid"), "id -u inside", guest),
        "capabilities": Fact(
            _capabilities(inside.get("cap_eff")), "CapEff in /proc/PID/status inside", guest
        ),
        "capabilities_bounding": Fact(
            _capabilities(inside.get("cap_bnd")), "CapBnd in /proc/PID/status inside", guest
        ),
        "seccomp": Fact(_seccomp(inside.get("seccomp")), "Seccomp in /proc/PID/status inside", guest),
        "no_new_privileges": Fact(
            _flag(inside.get("no_new_privs")), "NoNewPrivs in /proc/PID/status inside", guest
        ),
        "lsm": Fact(
            (inside["lsm"] or "unconfined") if "lsm" in inside else None,
            "/proc/PID/attr/current inside; unconfined: no security module labels it",
            guest,
        ),
    }


def _shared(seen: Seen) -> dict[str, Fact]:
    """What of the host a program inside is together with."""
    own, inside, host = seen.own_kernel, seen.inside, seen.host
    shared = _shared_namespaces(seen)
    pid_shared = None if shared is None else "pid" in shared
    visible = inside.get("processes")
    return {
        "root_is_host_root": Fact(
            _root_is_root(own, host.process), "/proc/PID/uid_map on the host maps 0 to 0, kernel shared"
        ),
        "shared_namespaces": Fact(
            shared, "readlink /proc/PID/ns/* inside, against the host's; none where kernels differ"
        ),
        "processes": Fact(visible, "entries of /proc inside that are numbers", own is True),
        "host_processes": Fact(host.processes, "entries of /proc on the host that are numbers"),
        "host_processes_visible": Fact(
            None if pid_shared is None else (visible if pid_shared else 0),
            "the entries of /proc inside, where the pid namespace is the host's",
        ),
        "host_file_reachable": Fact(
            seen.marker_read,
            "sha256sum inside of a file that the worker made in its state folder, by its path",
        ),
        "host_mounts": Fact(
            _host_mounts(own, inside, host),
            "file systems of /proc/PID/mountinfo that the host mounts too; of a guest: 9p, virtiofs",
        ),
        "host_interfaces": Fact(
            None if shared is None else (inside.get("interfaces") if "net" in shared else []),
            "/proc/net/dev inside, where the network namespace is the host's",
        ),
    }


def _surfaces(seen: Seen) -> dict[str, Fact]:
    inside, guest = seen.inside, seen.own_kernel is True
    return {
        "interfaces": Fact(inside.get("interfaces"), "/proc/net/dev inside", guest),
        "devices": Fact(inside.get("dev_entries"), "ls /dev inside", guest),
        "block_devices": Fact(inside.get("block_devices"), "ls -l /dev inside", guest),
        "writable_kernel_paths": Fact(
            _writable(inside),
            "owner and mode (ls -ldn) of chosen paths in /proc and /sys, and ro or rw of their mount "
            "(/proc/self/mountinfo) inside; nothing is written, and the kernel may ask for more",
            guest,
        ),
    }


def _process(process: ProcessView | None) -> dict[str, Fact]:
    """The instance's own process on the host: container PID 1, QEMU, the bare process."""

    def fact(value: Any, how: str) -> Fact:
        return Fact(value, how) if process else Fact(None, "it has no process on this host to be read")

    p = process
    return {
        "host_process": fact(p and p.program, "/proc/PID/comm on the host"),
        "host_user": fact(p and p.uid, "Uid in /proc/PID/status on the host"),
        "host_capabilities": fact(
            p and names_of(p.capabilities), "CapEff in /proc/PID/status on the host"
        ),
        "host_seccomp": fact(p and _seccomp(p.seccomp), "Seccomp in /proc/PID/status on the host"),
        "host_no_new_privileges": fact(
            p and _flag(p.no_new_privs), "NoNewPrivs in /proc/PID/status on the host"
        ),
        "host_lsm": fact(
            p and (p.label or "unconfined"),
            "/proc/PID/attr/current on the host; unconfined: no security module labels it",
        ),
        "host_devices_open": fact(
            p and [path for path in p.devices if path != "/dev/null"], "device files in /proc/PID/fd"
        ),
        "emulator_sandbox": fact(
            p and _sandbox(p), "-sandbox in /proc/PID/cmdline of QEMU; no emulator elsewhere"
        ),
    }


def _outside(seen: Seen) -> dict[str, Fact]:
    host, p, counts = seen.host, seen.host.process, seen.calls.counts
    return {
        "host_process_namespaces": Fact(
            None if p is None else [n for n in NAMESPACES if p.namespaces[n] == host.namespaces[n]],
            "readlink /proc/PID/ns/* on the host: those of the worker",
        ),
        "own_cgroup": Fact(
            None if p is None else p.cgroups != host.cgroups, "/proc/PID/cgroup is not the worker's"
        ),
        "engine": Fact(seen.engine or None, "the engine's API: its record of the instance"),
        "host_syscalls": Fact(None if counts is None else sorted(counts), seen.calls.how),
        "host_syscall_count": Fact(None if counts is None else sum(counts.values()), seen.calls.how),
    }


def _capabilities(text: Any) -> list[str] | None:
    try:
        return names_of(int(str(text), 16))
    except ValueError:
        return None


def _seccomp(mode: Any) -> str | None:
    return SECCOMP_MODES.get(mode, f"mode {mode}") if isinstance(mode, int) else None


def _flag(number: Any) -> bool | None:
    return bool(number) if isinstance(number, int) else None


def _root_is_root(own_kernel: bool | None, process: ProcessView | None) -> bool | None:
    if own_kernel:
        return False
    if own_kernel is None or process is None:
        return None
    return any(inside == 0 == outside and count for inside, outside, count in process.uid_map)


def _shared_namespaces(seen: Seen) -> list[str] | None:
    """By number, which says nothing across kernels: each numbers its first ones alike."""
    inside = seen.inside.get("namespaces")
    if seen.own_kernel:
        return []
    if seen.own_kernel is None or not isinstance(inside, Mapping):
        return None
    return [name for name in NAMESPACES if inside.get(name) == seen.host.namespaces[name]]


def _host_mounts(own_kernel: bool | None, inside: Mapping[str, Any], host: HostView) -> list[str] | None:
    """Where they are mounted inside. The root of an image is its own, though the host has it mounted."""
    if own_kernel:
        return inside.get("passed_mounts")
    if own_kernel is None or host.process is None:
        return None
    known = {mount.device for mount in host.mounts}
    apart = host.process.namespaces["mnt"] != host.namespaces["mnt"]
    shared = {mount.point for mount in host.process.mounts if mount.device in known}
    return sorted(shared - {"/"} if apart else shared)


def _writable(inside: Mapping[str, Any]) -> list[str] | None:
    paths, capabilities = inside.get("kernel_paths"), inside.get("cap_eff")
    if not isinstance(paths, Mapping) or capabilities is None:
        return None
    overrides = bool(int(str(capabilities), 16) & _DAC_OVERRIDE)
    return sorted(
        path
        for path, told in paths.items()
        if _may_write(str(told).split(), (inside.get("uid"), inside.get("gid")), overrides=overrides)
    )


def _may_write(told: list[str], who: tuple[Any, Any], *, overrides: bool) -> bool:
    """``mode owner group ro|rw``, as the agent says them. A device in the path's place masks it."""
    if len(told) != 4 or told[3] != "rw" or told[0][0] == "c":
        return False
    mode, owner, group = told[0], int(told[1]), int(told[2])
    if overrides and owner != _OVERFLOW_UID:
        return True
    if owner == who[0]:
        return mode[2] == "w"
    return mode[5] == "w" if group == who[1] else mode[8] == "w"


def _sandbox(process: ProcessView) -> str:
    if not process.program.startswith("qemu"):
        return "no emulator"
    words = process.arguments
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word == "-sandbox"), "off")
