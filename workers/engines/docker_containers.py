"""What is done to one container of a Docker engine, as a trial does it: each call is one request."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from workers.census import pid_behind
from workers.engines.docker_http import ApiConnections
from workers.engines.docker_records import Places
from workers.engines.docker_server import ApiServer

STOP_GRACE_S = 10
"""How long a graceful stop waits before the engine kills: its own default."""
_GONE = 404
_CONFLICT = 409


async def create(api: ApiConnections, name: str, body: dict[str, Any]) -> str:
    """Create a container. Returns the engine's id. Raises ImageError when its image is not there."""
    answer = await api.ask("create", f"POST /containers/create?name={name}", body)
    return str(answer.json()["Id"])


async def start(api: ApiConnections, container: str) -> None:
    """Start the container."""
    await api.ask("start", f"POST /containers/{container}/start")


async def stop(api: ApiConnections, container: str) -> None:
    """Ask the container to end, wait, then kill; one that is gone is no error."""
    request = f"POST /containers/{container}/stop?t={STOP_GRACE_S}"
    await api.ask("stop", request, more_s=STOP_GRACE_S, accept=[_GONE])


async def kill(api: ApiConnections, container: str) -> None:
    """Kill the container; one that does not run, or is gone, is no error."""
    answer = await api.ask("kill", f"POST /containers/{container}/kill", accept=range(400, 600))
    # Docker says 409 of one that does not run; Podman says 500, as of everything else.
    if answer.status >= 400 and answer.status not in (_GONE, _CONFLICT) and await _runs(api, container):
        api.refuse("kill", answer)


async def remove(api: ApiConnections, container: str) -> bool:
    """Remove the container and its anonymous volumes. False: another removal of it is under way."""
    request = f"DELETE /containers/{container}?v=true&force=true"
    answer = await api.ask("remove", request, accept=[_GONE, _CONFLICT])
    return answer.status != _CONFLICT


async def inspect(api: ApiConnections, container: str) -> dict[str, Any] | None:
    """The engine's record of the container; None when it has none."""
    answer = await api.ask("inspect", f"GET /containers/{container}/json", accept=[_GONE])
    if answer.status == _GONE:
        return None
    record: dict[str, Any] = answer.json()
    return record


async def pause(api: ApiConnections, container: str) -> None:
    """Freeze a container."""
    await api.ask("pause", f"POST /containers/{container}/pause")


async def unpause(api: ApiConnections, container: str) -> None:
    """Let it go on."""
    await api.ask("unpause", f"POST /containers/{container}/unpause")


async def restart(api: ApiConnections, container: str, grace_s: int) -> None:
    """End it, after so long at most, and start it again."""
    await api.ask("restart", f"POST /containers/{container}/restart?t={grace_s}", more_s=grace_s)


async def rename(api: ApiConnections, container: str, name: str) -> None:
    """Give it another name."""
    await api.ask("rename", f"POST /containers/{container}/rename?name={name}")


async def update(api: ApiConnections, container: str, body: dict[str, int]) -> None:
    """Change limits of a container that runs."""
    await api.ask("update", f"POST /containers/{container}/update", body)


async def has_update(api: ApiConnections) -> bool:
    """Whether the engine knows the call at all: of a container that nobody has it says so in JSON."""
    answer = await api.ask("update", f"POST /containers/{'0' * 64}/update", {}, accept=range(400, 600))
    return answer.is_json


def files_left(server: ApiServer, container: str, groups: Iterable[Path], places: Places) -> list[str]:
    """Cgroups, mounts and layer that are still there of a container."""
    left = [f"cgroup {path}" for path in groups if _is_there(path)]
    left += [
        f"mount {target}" for target in _mounts(mount_table(server), [container, *places.in_mounts()])
    ]
    # Of a network namespace only the mount counts: the engine leaves the empty file for a minute.
    if places.layer is not None and _is_there(Path(places.layer)):
        left.append(f"layer {places.layer}")
    return left


def mount_table(server: ApiServer) -> str:
    """All mounts as the engine sees them: it may have a mount namespace of its own."""
    pid = pid_behind(server.socket)
    for process in (str(pid), "self") if pid else ("self",):
        with suppress(OSError):  # it ended meanwhile, or is another user's
            return Path(f"/proc/{process}/mountinfo").read_text()
    return ""


async def _runs(api: ApiConnections, container: str) -> bool:
    record = await inspect(api, container)
    return record is not None and bool(record["State"].get("Running"))


def _mounts(table: str, keys: list[str]) -> list[str]:
    """Targets of the mounts whose lines contain one of the keys."""
    if not any(key in table for key in keys):
        return []
    return [line.split()[4] for line in table.splitlines() if any(key in line for key in keys)]


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:  # gone, or not for us to see
        return False
    return True
