"""Podman's records where they differ from Docker's: what can be set, and what it tells of itself."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from contract.errors import EngineError
from workers.engines.docker_records import ContainerSettings, Record, facts_of

_RUNTIME = "OCI Runtime"


class PodmanSettings(ContainerSettings):
    """A container of Podman."""

    runtime: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="OCI runtime that the service must use; None takes any",
    )
    log_driver: Literal["none", "k8s-file", "journald"] = Field(
        "none", description="where Podman keeps a copy of the output"
    )


def podman_facts(info: Record, version: Record) -> dict[str, Any]:
    """What of Podman shapes numbers. It has no daemon, so it keeps containers over any restart."""
    facts = facts_of(info, version) | {"engine": "podman", "runtime": info.get("DefaultRuntime")}
    del facts["live_restore"]
    return facts | dict(_versions(version))


def see_that_it_uses(runtime: str | None, info: Record) -> None:
    """Raises EngineError when a service uses another runtime than the profile wants.

    Its API takes a runtime per container and passes over it: one service, one runtime.
    """
    used = info.get("DefaultRuntime")
    if runtime not in (None, used):
        raise EngineError(
            f"podman's service runs all containers by '{used}', the profile wants '{runtime}': "
            f"start one that does, by 'podman --runtime {runtime} system service …', and name its socket"
        )


def _versions(version: Record) -> Iterator[tuple[str, str]]:
    """Of conmon, which holds a container's console and end, and of the runtime that makes containers.

    Podman names both in one line of text, such as "OCI Runtime (crun)" and "crun version 1.8.1 …".
    """
    for part in version.get("Components") or []:
        name, words = str(part.get("Name", "")), str(part.get("Version", "")).split()
        if name.startswith(_RUNTIME) and "(" in name:
            name = name.partition("(")[2].rstrip(")")
        elif name != "Conmon":
            continue
        if "version" in words[:-1]:
            yield f"{name.lower()}_version", words[words.index("version") + 1].rstrip(",")
