"""Blocking calls of a Docker engine for day-2 verbs, and the images that snapshots leave."""

from typing import TYPE_CHECKING

from contract.errors import EngineError
from workers.engines import docker_calls
from workers.engines.docker_records import name_of, owner_of
from workers.ownership import LABEL_PREFIX, Leftover

if TYPE_CHECKING:
    from docker import APIClient  # noqa: TID251 - one half of the driver

REPOSITORY = "tonnage/snapshot"
"""Of images that were made of containers. The tag is the snapshot's name."""
_TAIL = 200


def snapshot_leftovers(api: "APIClient", driver: str, host: str | None) -> list[Leftover]:
    """Images that were made of containers of ours: a commit keeps the container's labels."""
    label = f"{LABEL_PREFIX}trial" if host is None else f"{LABEL_PREFIX}host={host}"
    found = []
    for image in api.images(filters={"label": [label]}):
        owner = owner_of(image)
        if owner is not None:
            name = (image.get("RepoTags") or [image["Id"]])[0]
            found.append(Leftover(driver, "snapshot", name, owner.host))
    return found


def run(api: "APIClient", container: str, command: list[str]) -> str:
    """Run a program in a container. Returns what it said. Raises EngineError when it fails."""
    made = api.exec_create(container, command)
    said: str = api.exec_start(made["Id"]).decode("utf-8", "replace")
    if command[-1] not in said:
        raise EngineError(f"the engine's exec of '{command[0]}' said: {said.strip()[:300] or 'nothing'}")
    return said


def logs(api: "APIClient", container: str) -> str:
    """The last lines of what the engine has kept."""
    said: bytes = api.logs(container, stdout=True, stderr=True, tail=_TAIL)
    return said.decode("utf-8", "replace")


def commit(api: "APIClient", container: str, name: str) -> None:
    """Make an image of its files. The engine pauses it meanwhile."""
    api.commit(container, repository=REPOSITORY, tag=name)


def snapshots(api: "APIClient") -> list[str]:
    """Names of all images that were made of containers."""
    tags = [tag for image in api.images(REPOSITORY) for tag in image.get("RepoTags") or []]
    return [tag.rpartition(":")[2] for tag in tags]


def drop_snapshot(api: "APIClient", name: str) -> None:
    """Remove the image of one. One that a container is made of stays, one that is gone is no error."""
    from docker.errors import APIError  # noqa: TID251 - part of the driver

    try:
        docker_calls.drop_image(api, name)
    except APIError as error:
        if error.status_code != 409:
            raise


def names(api: "APIClient", label: str) -> list[str]:
    """Names of the containers with a label, in any state."""
    return [name_of(container) for container in api.containers(all=True, filters={"label": [label]})]
