"""What a simulated instance has within reach: the truth of security experiments.

It is told in the shapes in which real instances and hosts tell it, so that all that follows is real.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from contract.catalog import Settings
from workers.surface.capabilities import NAMES
from workers.surface.outside import NAMESPACES, HostView, Mount, ProcessView
from workers.surface.system_calls import SystemCalls

_HOST_BOOT, _GUEST_BOOT = "00000000-host", "00000000-guest"
_CALLS_EACH = 3
_HOST_PROCESSES = 120


class SecurityTruth(Settings):
    """What there is to be seen in and around a simulated instance."""

    own_kernel: bool = Field(False, description="its kernel is not the host's")
    capabilities: int = Field(14, ge=0, le=len(NAMES), description="effective capabilities inside")
    shared_namespaces: int = Field(
        2, ge=0, le=len(NAMESPACES), description="namespaces that its process shares with the host"
    )
    seccomp_filter: bool = Field(True, description="a filter of system calls is on")
    no_new_privileges: bool = Field(False, description="no program inside can gain privileges")
    host_files: bool = Field(False, description="files of the host can be read from inside")
    host_syscalls: int = Field(30, ge=0, le=400, description="distinct system calls for the workload")


def told_inside(truth: SecurityTruth, request: str) -> dict[str, Any]:
    """What its agent adds to an answer, for ``inspect`` and ``digest``."""
    kind, _, path = request.partition(" ")
    if kind == "digest":
        readable = truth.host_files and Path(path).is_file()
        return {"sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest() if readable else None}
    if kind != "inspect":
        return {}
    shared = _namespaces(truth)
    return {
        "boot_id": _GUEST_BOOT if truth.own_kernel else _HOST_BOOT,
        "kernel": "guest" if truth.own_kernel else "host",
        "uid": 0,
        "gid": 0,
        "cap_eff": f"{(1 << truth.capabilities) - 1:016x}",
        "cap_bnd": f"{(1 << truth.capabilities) - 1:016x}",
        "seccomp": 2 if truth.seccomp_filter else 0,
        "no_new_privs": int(truth.no_new_privileges),
        "lsm": "",
        "processes": _HOST_PROCESSES if shared["pid"] == _host_namespaces()["pid"] else 2,
        "namespaces": shared,
        "kernel_paths": {"/proc/sysrq-trigger": "--w------- 0 0 ro"},
        "dev_entries": 12,
        "block_devices": [],
        "interfaces": ["lo"],
        "passed_mounts": [],
    }


def seen_outside(truth: SecurityTruth) -> HostView:
    """What /proc of its host would show."""
    return HostView(
        boot_id=_HOST_BOOT,
        kernel="host",
        namespaces=_host_namespaces(),
        processes=_HOST_PROCESSES,
        cgroups=("0::/",),
        mounts=(Mount("8:1", "/"),),
        process=ProcessView(
            pid=1000,
            program="simulated",
            uid=0,
            uid_map=((0, 0, 2**32 - 1),),
            capabilities=(1 << truth.capabilities) - 1,
            seccomp=2 if truth.seccomp_filter else 0,
            no_new_privs=int(truth.no_new_privileges),
            namespaces=_namespaces(truth),
            label=None,
            cgroups=("0::/instance",),
            mounts=(Mount("8:2", "/"),),
            devices=(),
            arguments=("simulated",),
        ),
    )


@dataclass(frozen=True, slots=True)
class SimulatedTracer:
    """Counts calls that nobody made."""

    truth: SecurityTruth

    async def begin(self) -> None:
        """Nothing to attach to."""

    async def end(self) -> SystemCalls:
        """As many as the truth says."""
        names = (f"call_{number:03}" for number in range(self.truth.host_syscalls))
        return SystemCalls(dict.fromkeys(names, _CALLS_EACH), "simulated")


def _host_namespaces() -> dict[str, str]:
    return {name: f"{name}:[1]" for name in NAMESPACES}


def _namespaces(truth: SecurityTruth) -> dict[str, str]:
    """The last ones by name are shared: of two, ``user`` and ``uts``."""
    own = len(NAMESPACES) - truth.shared_namespaces
    return _host_namespaces() | {name: f"{name}:[2]" for name in NAMESPACES[:own]}
