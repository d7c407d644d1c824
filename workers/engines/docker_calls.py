"""A Docker engine's client and its images, for a thread; everything that can go wrong, in our words."""

import fcntl
import json
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import EngineAbsent, EngineError, EngineTimeout, ImageError, TonnageError
from workers.engines.docker_records import reference
from workers.engines.docker_server import ApiServer
from workers.images import tiny
from workers.ownership import LABEL_PREFIX

if TYPE_CHECKING:
    from docker import APIClient  # noqa: TID251 - one half of the driver

_NEWEST_API = "1.44"
"""Answers change shape in later versions; every engine from 25 on speaks this one."""


def connect(server: ApiServer) -> "APIClient":
    """A client of the engine at that socket, whatever the environment says of others.

    Raises EngineAbsent when the client library is missing, and the library's own errors.
    """
    try:
        from docker import APIClient  # noqa: TID251 - one half of the driver
    except ImportError as error:
        raise EngineAbsent(
            f"{server.name}: the client library is not installed: pip install 'tonnage[docker]'"
        ) from error
    base_url, timeout_s = f"unix://{server.socket}", math.ceil(server.deadline_s)
    with socket.socket(socket.AF_UNIX) as knock:  # the library would leak a socket on each failure
        knock.settimeout(timeout_s)
        knock.connect(str(server.socket))
    # With a version given the constructor sends nothing, so there is a client to close on a failure.
    client = APIClient(base_url, version=_NEWEST_API, timeout=timeout_s)
    try:
        spoken = client.version(api_version=False).get("ApiVersion", _NEWEST_API)
    except BaseException:
        client.close()
        raise
    if _number(spoken) < _number(_NEWEST_API):
        client.close()
        client = APIClient(base_url, version=spoken, timeout=timeout_s)
    return client


def see_who_answers(api: "APIClient", server: ApiServer) -> None:
    """Raises EngineAbsent when Podman answers where Docker should, or the reverse.

    Only Podman knows a path below /libpod. What either does for the same request is not the same, so
    numbers of one must never go by the name of the other.
    """
    found = "podman" if api.get(f"{api.base_url}/libpod/_ping", timeout=api.timeout).ok else "docker"
    if found != server.name:
        raise EngineAbsent(
            f"{server.name}: at {server.socket} it is {found} that answers: use driver '{found}' with "
            f"--{found}-socket {server.socket}, or name a socket of {server.name}"
        )


@contextmanager
def in_our_words(doing: str, server: ApiServer) -> Iterator[None]:
    """Turn every error of engine, client library and socket into EngineError or a class below it."""
    try:
        yield
    except TonnageError:
        raise
    except _foreign_errors() as error:
        raise _translate(error, doing.strip("_"), server) from error


def has_image(api: "APIClient", image: str) -> bool:
    """Whether the engine has the image. Raises ImageError when that cannot be an image's name."""
    from docker.errors import APIError  # noqa: TID251 - one half of the driver

    try:
        api.inspect_image(image)  # type: ignore[no-untyped-call]
    except APIError as error:
        if error.status_code == 400:
            raise ImageError(f"'{image}' is no image: {error.explanation}") from error
        if error.status_code != 404:
            raise
        return False
    return True


def import_tiny(api: "APIClient", state_dir: Path) -> None:
    """Import ``tiny`` unless it is there. Of several workers one imports and the others wait."""
    if has_image(api, reference("tiny")):
        return
    try:
        lock = state_dir / "images" / ".docker-tiny.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = lock.open("w")
    except OSError as error:
        raise ImageError(f"image 'tiny' could not be imported: {error}") from error
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not has_image(api, reference("tiny")):
            _import_tiny(api)


def pull(api: "APIClient", image: str) -> None:
    """Pull the image. The engine tells of a failure inside a stream that began as a success."""
    from docker.errors import APIError  # noqa: TID251 - one half of the driver

    name = image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"
    try:
        for event in api.pull(name, stream=True, decode=True):
            if "error" in event:
                raise ImageError(f"image '{image}' could not be pulled: {event['error']}")
    except APIError as error:
        raise ImageError(
            f"image '{image}' is not here and could not be pulled: {error.explanation or error}; "
            "check its name, or bring it to this host's engine first"
        ) from error
    if not has_image(api, image):
        raise ImageError(f"image '{image}' was pulled and is not there")


def drop_image(api: "APIClient", image: str) -> None:
    """Remove the image; one that is not there is no error."""
    from docker.errors import NotFound  # noqa: TID251 - one half of the driver

    try:
        api.remove_image(image)
    except NotFound:
        return


def _import_tiny(api: "APIClient") -> None:
    entrypoint = json.dumps(tiny.command())
    changes = [f"ENTRYPOINT {entrypoint}", "ENV PATH=/bin", f"LABEL {LABEL_PREFIX}image=tiny"]
    answer = api.import_image_from_data(
        tiny.docker_archive(), repository=reference("tiny"), changes=changes
    )  # Podman passes over a tag that is given apart
    if not has_image(api, reference("tiny")):
        raise ImageError(f"image 'tiny' could not be imported: {answer!r:.500}")


def _foreign_errors() -> tuple[type[Exception], ...]:
    """Everything that the client library lets through; requests' errors are OSErrors."""
    from docker.errors import DockerException  # noqa: TID251 - one half of the driver
    from urllib3.exceptions import HTTPError

    return (DockerException, HTTPError, OSError)


def _translate(error: Exception, doing: str, server: ApiServer) -> EngineError:
    from docker.errors import APIError, ImageNotFound  # noqa: TID251 - one half of the driver
    from requests.exceptions import Timeout
    from urllib3.exceptions import TimeoutError as PoolTimeout

    if isinstance(error, ImageNotFound):
        words = error.explanation or error
        return ImageError(
            f"{server.name}: {words}; check the name, or bring the image to this host first"
        )
    if isinstance(error, APIError):
        return EngineError(f"{server.name} refused '{doing}': {error.explanation or error}")
    causes = list(_causes(error))
    if any(isinstance(cause, (TimeoutError, Timeout, PoolTimeout)) for cause in causes):
        return EngineTimeout(f"{server.name} did not answer '{doing}' in time")
    if any(isinstance(cause, PermissionError) for cause in causes):
        return EngineAbsent(f"{server.name}: this worker may not use {server.socket}: {server.allow_it}")
    if any(isinstance(cause, (FileNotFoundError, ConnectionRefusedError)) for cause in causes):
        return EngineAbsent(f"{server.name}: no engine listens at {server.socket}: {server.start_it}")
    return EngineError(f"{server.name}: the connection broke during '{doing}': {error}")


def _causes(error: BaseException | None, depth: int = 8) -> Iterator[BaseException]:
    """The error and everything it wraps, by chaining or, as urllib3 and requests do, as an argument."""
    if error is None or depth == 0:
        return
    yield error
    inner: list[Any] = [error.__cause__, error.__context__, *error.args]
    for cause in inner:
        if isinstance(cause, BaseException):
            yield from _causes(cause, depth - 1)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
