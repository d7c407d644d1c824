"""Everything that can go wrong with an engine ends in our own errors, and within the deadline."""

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import urllib3
from docker.errors import APIError, DockerException, ImageNotFound

from contract.errors import EngineAbsent, EngineError, EngineTimeout, ImageError
from workers.drivers.docker import Driver
from workers.engines import docker_calls
from workers.engines.docker_records import DockerSettings
from workers.engines.docker_server import ApiServer
from workers.ownership import Owner
from workers.settings import HostSettings

ENGINE = ApiServer("docker", Path("/run/d.sock"), 60.0)
OWNER = Owner("h1", "c1", "a" * 32, 1, "boot")


def response(status: int) -> requests.Response:
    answer = requests.Response()
    answer.status_code = status
    answer.url = "http+docker://localhost/x"
    return answer


def refusal(words: str, status: int = 500) -> APIError:
    return APIError("refused", response=response(status), explanation=words)


def wrapped(cause: BaseException) -> Exception:
    """As requests tells it: an error with the cause as an argument of an argument."""
    inner = urllib3.exceptions.ProtocolError("Connection aborted.", cause)
    return requests.exceptions.ConnectionError(inner)


def chained(cause: Exception) -> Exception:
    """As the client's constructor tells it."""
    try:
        raise DockerException("Error while fetching server API version") from wrapped(cause)
    except DockerException as error:
        return error


@pytest.mark.parametrize(
    ("error", "ours", "words"),
    [
        (refusal("no space left on device"), EngineError, "no space left on device"),
        (refusal("", 409), EngineError, "409"),
        (ImageNotFound("x", response(404), "No such image: x:1"), ImageError, "No such image: x:1"),
        (requests.exceptions.ReadTimeout("read"), EngineTimeout, "did not answer 'start'"),
        (wrapped(TimeoutError("timed out")), EngineTimeout, "did not answer 'start'"),
        (TimeoutError(), EngineTimeout, "did not answer 'start'"),
        (
            chained(FileNotFoundError(2, "No such file")),
            EngineAbsent,
            "no engine listens at /run/d.sock",
        ),
        (wrapped(ConnectionRefusedError(111, "refused")), EngineAbsent, "no engine listens"),
        (PermissionError(13, "denied"), EngineAbsent, "group 'docker'"),
        (wrapped(ConnectionResetError(104, "reset")), EngineError, "broke during 'start'"),
        (requests.exceptions.ChunkedEncodingError("ended"), EngineError, "broke during 'start'"),
        (urllib3.exceptions.ClosedPoolError(None, "closed"), EngineError, "broke during 'start'"),
        (DockerException("odd"), EngineError, "odd"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_become_ours(error: Exception, ours: type[EngineError], words: str) -> None:
    with (
        pytest.raises(EngineError, match=words) as told,
        docker_calls.in_our_words("_start", ENGINE),
    ):
        raise error
    assert type(told.value) is ours
    assert told.value.__cause__ is error


def test_our_own_errors_and_defects_pass_through() -> None:
    with pytest.raises(ImageError, match="mine"), docker_calls.in_our_words("x", ENGINE):
        raise ImageError("mine")
    with pytest.raises(KeyError), docker_calls.in_our_words("x", ENGINE):
        raise KeyError("a defect")


def test_an_error_that_is_its_own_cause_ends() -> None:
    error = OSError("round")
    error.__cause__ = error
    with pytest.raises(EngineError, match="round"), docker_calls.in_our_words("x", ENGINE):
        raise error


def test_a_missing_client_library_names_the_extra(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(EngineAbsent, match=r"pip install 'tonnage\[docker\]'"):
        open_driver(host_settings)


def test_no_engine_says_where_it_was_looked_for(host_settings: HostSettings, tmp_path: Path) -> None:
    with pytest.raises(EngineAbsent, match=r"no engine listens at .*/nothing\.sock"):
        open_driver(host_settings.model_copy(update={"docker_socket": tmp_path / "nothing.sock"}))


def test_a_socket_that_nobody_serves_is_an_absent_engine(
    host_settings: HostSettings, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(tmp_path / "s"))
    with pytest.raises(EngineAbsent, match="no engine listens"):
        open_driver(host_settings.model_copy(update={"docker_socket": tmp_path / "s"}))


def test_an_engine_that_hangs_is_a_timeout(host_settings: HostSettings, tmp_path: Path) -> None:
    update = {"docker_socket": tmp_path / "s", "engine_deadline_s": 0.3}
    host = host_settings.model_copy(update=update)
    with engine(tmp_path / "s", lambda link: None), pytest.raises(EngineTimeout, match=r"in 0\.3 s"):
        open_driver(host)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", b"no http\r\n\r\n"],
    ids=["nothing", "half", "nonsense"],
)
def test_an_engine_that_dies_over_its_answer_is_an_error(
    host_settings: HostSettings, tmp_path: Path, answer: bytes
) -> None:
    def die(link: socket.socket) -> None:
        if link.recv(4096):
            link.sendall(answer)
            link.shutdown(socket.SHUT_RDWR)

    with engine(tmp_path / "s", die), pytest.raises(EngineError, match="docker"):
        open_driver(host_settings.model_copy(update={"docker_socket": tmp_path / "s"}))


def test_the_environment_chooses_no_other_engine(
    host_settings: HostSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(EngineAbsent, match=r"mine\.sock"):
        open_driver(host_settings.model_copy(update={"docker_socket": tmp_path / "mine.sock"}))


def open_driver(host: HostSettings) -> None:
    async def whole() -> None:
        driver = Driver(DockerSettings(), host, OWNER)
        try:
            await driver.open()
        finally:
            await driver.close()

    asyncio.run(whole())


@contextmanager
def engine(path: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """A socket whose connections are served by ``serve`` and kept open until the end."""
    links: list[socket.socket] = []

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            links.append(link)
            serve(link)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for link in links:
                link.close()
