"""Docker's records: what a container shall be, and what the engine tells, in the words of its API."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from contract.catalog import Settings
from contract.errors import EngineError
from workers.drivers.base import OOM_SCORE_ADJ, InstanceSpec
from workers.images import tiny
from workers.images.tree import is_tree, read_tree
from workers.ownership import LABEL_PREFIX, Owner, owner_from_labels

TINY_REPOSITORY = "tonnage/tiny"
TREE_REPOSITORY = "tonnage/tree"
_MIB = 1024 * 1024

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Places:
    """Paths that belong to one container alone; None where the engine does not tell."""

    layer: str | None = None
    namespace: str | None = None
    """Of its network."""
    cgroups: tuple[Path, ...] | None = None

    def in_mounts(self) -> list[str]:
        """What shows in the path of a mount that is its own."""
        return [place for place in (self.layer, self.namespace) if place is not None]


class ContainerSettings(Settings):
    """One way to run a container: what all engines of Docker's API share. Defaults are the engine's."""

    network: str = Field(
        "none", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="none, bridge, host or a network"
    )
    log_driver: str = Field("none", description="where the engine keeps a copy of the output")
    read_only: bool = Field(False, description="root file system read-only, /work and /tmp in memory")
    no_new_privileges: bool = Field(False, description="no gain of privileges by set-uid programs")
    drop_capabilities: bool = Field(False, description="drop all capabilities")
    seccomp: Literal["default", "unconfined"] = Field("default", description="system call filter")
    user: str | None = Field(
        None,
        pattern=r"^[0-9]{1,10}(:[0-9]{1,10})?$",
        description="user that the first process is, UID or UID:GID; None is the image's",
    )
    userns: Literal["default", "host"] = Field(
        "default", description="user namespace: the engine's (remapped or not), or the host's"
    )
    cpuset: str | None = Field(
        None, pattern=r"^[0-9]+([,-][0-9]+)*$", description="processors to be pinned to, like 0-3,8"
    )
    pids_limit: int | None = Field(None, ge=1, le=4_194_304, description="processes and threads")


class DockerSettings(ContainerSettings):
    """A container of Docker."""

    runtime: str | None = Field(
        None, pattern=r"^[A-Za-z0-9._-]+$", description="OCI runtime; None is the engine's default"
    )
    log_driver: Literal["none", "json-file", "local"] = Field(
        "none", description="where the engine keeps a copy of the output"
    )
    live_restore: bool | None = Field(
        None, description="whether the engine must keep containers while it restarts; None takes either"
    )


@cache
def tiny_tag() -> str:
    """Tag of ``tiny``: new bytes, new tag."""
    return tiny.tiny_digest()[:16]


def reference(image: str) -> str:
    """The engine's name for an image of a campaign. Raises ImageError for a folder that is none."""
    if is_tree(image):
        return f"{TREE_REPOSITORY}:{read_tree(image).shape}"
    return f"{TINY_REPOSITORY}:{tiny_tag()}" if image == "tiny" else image


def container_body(spec: InstanceSpec, settings: ContainerSettings, owner: Owner) -> dict[str, Any]:
    """Body of the create call. An image other than ``tiny`` keeps its own entrypoint."""
    return {
        "Image": reference(spec.image),
        "Labels": owner.labels() | {f"{LABEL_PREFIX}instance": str(spec.index)},
        "Env": [f"TONNAGE_NONCE={spec.nonce}"],
        "OpenStdin": True,
        "StdinOnce": False,  # or letting go of the console would end the agent
        "Tty": False,
        "HostConfig": _host_config(spec, settings),
    } | ({} if settings.user is None else {"User": settings.user})


def confinement_of(record: Record) -> dict[str, Any]:
    """What an inspected container may do, in the words of the API; paths only counted."""
    host = record.get("HostConfig") or {}
    names = (
        "Privileged",
        "ReadonlyRootfs",
        "UsernsMode",
        "PidMode",
        "IpcMode",
        "NetworkMode",
        "Runtime",
    )
    return {
        "User": (record.get("Config") or {}).get("User") or "",
        "AppArmorProfile": record.get("AppArmorProfile") or "",
        **{name: host[name] for name in names if name in host},
        **{name: sorted(host.get(name) or []) for name in ("CapAdd", "CapDrop", "SecurityOpt")},
        "PidsLimit": host.get("PidsLimit") or "not set",
        **{name: len(host.get(name) or []) for name in ("MaskedPaths", "ReadonlyPaths")},
    }


def facts_of(info: Record, version: Record) -> dict[str, Any]:
    """What of the engine shapes numbers, out of its ``info`` and ``version``."""
    components = {part["Name"]: part["Version"] for part in version.get("Components") or []}
    parts = {
        f"{name.lower().replace('-', '_')}_version": text
        for name, text in components.items()
        if name in ("containerd", "runc", "crun", "docker-init")
    }
    return parts | {
        "engine": "docker",
        "engine_id": info.get("ID"),
        "engine_version": version.get("Version"),
        "kernel_version": info.get("KernelVersion"),
        "storage_driver": info.get("Driver"),
        "storage_status": dict(info.get("DriverStatus") or []),
        "cgroup_version": int(info.get("CgroupVersion") or 1),
        "cgroup_driver": info.get("CgroupDriver"),
        "default_runtime": info.get("DefaultRuntime"),
        "runtimes": sorted(info.get("Runtimes") or {}),
        "live_restore": info.get("LiveRestoreEnabled"),
        "security_options": info.get("SecurityOptions") or [],
        "swap_limit": info.get("SwapLimit"),
    }


def see_that_it_is_as_asked(info: Record, settings: DockerSettings) -> None:
    """Raises EngineError when the engine lacks the runtime, or treats restarts otherwise."""
    runtime, known = settings.runtime, sorted(info.get("Runtimes") or {})
    listed = runtime is not None and not runtime.startswith("io.containerd.")  # engines list no others
    if listed and runtime not in known:
        raise EngineError(f"docker has no runtime '{runtime}'; it has: {', '.join(known)}")
    keeps = bool(info.get("LiveRestoreEnabled"))
    if settings.live_restore not in (None, keeps):
        raise EngineError(
            f"docker's live-restore is {'on' if keeps else 'off'}, and the profile wants it otherwise"
        )


def owner_of(container: Record) -> Owner | None:
    """Whose a listed container is; None when it is not ours."""
    return owner_from_labels(container.get("Labels") or {})


def name_of(container: Record) -> str:
    """A listed container's name; its id when a failed removal has taken the name away."""
    names = container.get("Names") or [container["Id"]]
    return str(names[0]).lstrip("/")


def places_of(record: Record) -> Places:
    """Where an inspected container's things lie. Engines with images in containerd tell no layer."""
    upper = ((record.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir")
    namespace = (record.get("NetworkSettings") or {}).get("SandboxKey") or ""
    shared = not namespace.startswith("/") or namespace.endswith("/default")  # the host's own
    return Places(str(Path(upper).parent) if upper else None, None if shared else namespace)


def _host_config(spec: InstanceSpec, settings: ContainerSettings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "NetworkMode": settings.network,
        "LogConfig": {"Type": settings.log_driver},
        "OomScoreAdj": OOM_SCORE_ADJ,
        "ReadonlyRootfs": settings.read_only,
        "SecurityOpt": _security(settings),
        "RestartPolicy": {"Name": "always" if spec.revived else "no"},
        "UsernsMode": "" if settings.userns == "default" else settings.userns,
    }
    if settings.read_only:
        config["Tmpfs"] = {"/work": "mode=1777", "/tmp": "mode=1777"}  # noqa: S108 - the container's
    if settings.drop_capabilities:
        config["CapDrop"] = ["ALL"]
    if isinstance(settings, DockerSettings) and settings.runtime is not None:
        config["Runtime"] = settings.runtime
    if settings.cpuset is not None:
        config["CpusetCpus"] = settings.cpuset
    pids = [limit for limit in (settings.pids_limit, spec.pids) if limit is not None]
    if pids:
        config["PidsLimit"] = min(pids)
    if spec.limits.cpus is not None:
        config["NanoCpus"] = round(spec.limits.cpus * 1e9)
    if spec.limits.memory_mib is not None:  # equal values: no swap
        config["Memory"] = config["MemorySwap"] = spec.limits.memory_mib * _MIB
    return config


def _security(settings: ContainerSettings) -> list[str]:
    options = ["no-new-privileges"] if settings.no_new_privileges else []
    return options + (["seccomp=unconfined"] if settings.seccomp == "unconfined" else [])
