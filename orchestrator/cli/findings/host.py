"""The host itself: rights, folders, memory, and what makes its numbers unsteady."""

import ctypes
import grp
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

from orchestrator.cli.findings import Finding
from workers.gauge import read_gauge
from workers.host import can_drop_caches, host_facts
from workers.settings import HostSettings

MIN_FREE_DISK_BYTES = 5 * 2**30
"""Less free space than this in the state folder is a finding: disks of guests and the spool fill it."""
MIN_AVAILABLE_MEMORY_BYTES = 2**30
"""Less available memory than this is a finding: a few guests would wake the OOM killer."""
_LONGEST_RUN_DIR = 60
"""A socket's path may have 107 bytes; ours adds up to 45 to its folder."""
_TIME_ERROR = 5
"""What adjtimex(2) returns when the kernel's clock is not synchronised."""
_GROUPS = {"docker": "Docker's socket", "libvirt": "libvirt's socket", "kvm": "/dev/kvm"}


def of_host(host: HostSettings) -> Iterator[Finding]:
    """All that does not depend on an engine."""
    yield from _rights()
    yield _state_folder(host)
    yield _run_folder(host)
    yield _memory()
    yield from _steadiness()
    yield _control_groups()
    yield _clock()


def _rights() -> Iterator[Finding]:
    if can_drop_caches():
        yield Finding("rights", True, "root: limits of bare processes, cold page caches, LXC")
        return
    user = pwd.getpwuid(os.geteuid()).pw_name
    text = f"user '{user}': no limits for bare processes, no page_cold or image_cold trials, no LXC"
    yield Finding("rights", False, text, "fine for containers and virtual machines; else run it as root")
    own = {grp.getgrgid(number).gr_name for number in os.getgroups() if _has_name(number)}
    for name, opens in _GROUPS.items():
        if name in own:
            yield Finding(f"group {name}", True, f"'{user}' is a member: {opens}")
        elif _exists(name):
            advice = f"usermod -aG {name} {user}, then log in anew or restart the service"
            yield Finding(f"group {name}", False, f"'{user}' is not a member, so not {opens}", advice)


def _has_name(number: int) -> bool:
    return any(entry.gr_gid == number for entry in grp.getgrall())


def _exists(group: str) -> bool:
    return any(entry.gr_name == group for entry in grp.getgrall())


def _state_folder(host: HostSettings) -> Finding:
    try:
        host.state_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(host.state_dir).free
    except OSError as error:
        return Finding(
            "state folder",
            False,
            f"{host.state_dir}: {error.strerror}",
            "choose another with --state-dir",
        )
    text = f"{host.state_dir}, {free / 2**30:.1f} GiB free"
    if not os.access(host.state_dir, os.W_OK):
        return Finding(
            "state folder", False, f"{text}, and cannot be written", "chown it to the worker's user"
        )
    advice = (
        f"make room: guests' disks and the spool need {MIN_FREE_DISK_BYTES / 2**30:.0f} GiB and more"
    )
    fine = free >= MIN_FREE_DISK_BYTES
    return Finding("state folder", fine, text, "" if fine else advice)


def _run_folder(host: HostSettings) -> Finding:
    if len(os.fsencode(host.run_dir)) > _LONGEST_RUN_DIR:
        text = f"{host.run_dir} is too long for a socket's path"
        return Finding(
            "run folder", False, text, f"choose one of at most {_LONGEST_RUN_DIR} bytes with --run-dir"
        )
    place = next(
        folder for folder in (host.run_dir, *host.run_dir.absolute().parents) if folder.exists()
    )
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding(
            "run folder", False, f"{place} cannot be written", "choose another with --run-dir"
        )
    return Finding("run folder", True, str(host.run_dir))


def _memory() -> Finding:
    gauge = read_gauge()
    text = (
        f"{gauge.mem_available_bytes / 2**30:.1f} of {gauge.mem_total_bytes / 2**30:.1f} GiB available"
    )
    fine = gauge.mem_available_bytes >= MIN_AVAILABLE_MEMORY_BYTES
    return Finding(
        "memory", fine, text, "" if fine else "stop what else runs here, or use a larger host"
    )


def _steadiness() -> Iterator[Finding]:
    """What a host can do to its own numbers."""
    facts = host_facts()
    governor = facts["cpu_governor"]
    steady = governor in (None, "performance")
    advice = "cpupower frequency-set -g performance" if not steady else ""
    yield Finding(
        "governor", steady, governor or "none: the processor's speed is not ours to set", advice
    )
    swap = facts["swap_bytes"]
    text = f"{swap / 2**30:.1f} GiB: what is swapped out is slow for no reason of its own"
    yield Finding(
        "swap", not swap, text if swap else "none", "swapoff -a while you measure" if swap else ""
    )


def _control_groups() -> Finding:
    version = host_facts()["cgroup_version"]
    mixed = Path("/sys/fs/cgroup/unified/cgroup.controllers")
    if version == 1 and mixed.exists() and mixed.read_text().strip():
        text = "version 1, and version 2 beside it has controllers: crun and LXC refuse that"
        return Finding(
            "control groups", False, text, "run engines without that mount, see docs/operations.md"
        )
    return Finding("control groups", True, f"version {version}")


def _clock() -> Finding:
    """What the kernel itself says: chrony, ntpd and systemd-timesyncd all tell it."""
    advice = "run chrony or systemd-timesyncd: the clocks of a fleet's hosts are compared"
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return Finding("clock", False, "this system does not say whether it is synchronised", advice)
    if state < 0:
        return Finding("clock", False, f"cannot be asked: {os.strerror(ctypes.get_errno())}", advice)
    if state == _TIME_ERROR:
        return Finding("clock", False, "not synchronised", advice)
    return Finding("clock", True, "synchronised")
