"""Lifecycles of a container as a person would write the loop: raw HTTP, the client library, the program.

All of them create, attach, start, wait for the agent's first words, kill and remove, as a trial does it.
"""

import http.client
import json
import secrets
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import docker
from trial_batches import Life

TIMEOUT_S = 60.0
_ATTACH = "attach?stream=1&stdin=1&stdout=1&stderr=1"


class _UnixConnection(http.client.HTTPConnection):
    """The standard library's HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


class RawHttp:
    """Requests over connections that stay open, one per thread."""

    def __init__(self, path: Path, version: str, body: dict[str, Any]) -> None:
        self._path, self._base = path, f"/v{version}/containers"
        self.body = json.dumps(body).encode()
        self._links = threading.local()

    def ask(self, method: str, target: str, body: bytes | None = None) -> bytes:
        """One request. Raises RuntimeError when it is refused."""
        link = getattr(self._links, "link", None)
        if link is None:
            link = self._links.link = _UnixConnection(self._path)
        link.request(method, f"{self._base}/{target}", body, {"Content-Type": "application/json"})
        answer = link.getresponse()
        said: bytes = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {target}: {answer.status} {said!r}")
        return said

    def live(self) -> Life:
        """One lifecycle."""
        begun = time.perf_counter()
        made = json.loads(self.ask("POST", f"create?name={_name()}", self.body))["Id"]
        console = self._attach(made)
        self.ask("POST", f"{made}/start")
        started = time.perf_counter()
        hear(console)
        stop = time.perf_counter()
        self.ask("POST", f"{made}/kill")
        self.ask("DELETE", f"{made}?v=true&force=true")
        gone = time.perf_counter()
        console.close()
        return Life(started - begun, gone - stop, gone - begun)

    def _attach(self, container: str) -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(TIMEOUT_S)
        link.connect(str(self._path))
        link.sendall(
            f"POST {self._base}/{container}/{_ATTACH} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = link.recv(1)
            if not piece:
                raise RuntimeError(f"attach: {head!r}")
            head += piece
        return link


class Library:
    """The client library's own calls, one client for all threads."""

    def __init__(self, path: Path, version: str, body: dict[str, Any]) -> None:
        self.api = docker.APIClient(f"unix://{path}", version=version, timeout=int(TIMEOUT_S))
        self._body = body

    def live(self) -> Life:
        """One lifecycle."""
        begun = time.perf_counter()
        made = self.api.create_container_from_config(self._body, _name())["Id"]
        console = self.api.attach_socket(
            made, params={"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}
        )
        self.api.start(made)
        started = time.perf_counter()
        hear(console._sock)
        stop = time.perf_counter()
        self.api.kill(made)
        self.api.remove_container(made, v=True, force=True)
        gone = time.perf_counter()
        console._sock.close()
        console.close()
        return Life(started - begun, gone - stop, gone - begun)


class Program:
    """``docker run --rm``: the agent ends with its input, and the program removes the container."""

    def __init__(self, path: Path, image: str) -> None:
        self._command = ["docker", "--host", f"unix://{path}", "run", "--rm", "--interactive"]
        self._command += ["--network", "none", "--log-driver", "none", "--oom-score-adj", "500"]
        self._command += ["--env", "TONNAGE_NONCE=bench", image]

    def live(self) -> Life:
        """One lifecycle. What of it is create, start and remove cannot be told apart."""
        begun = time.perf_counter()
        with subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            _, errors = process.communicate(timeout=TIMEOUT_S)
        if b"beacon" not in first or process.returncode != 0:
            raise RuntimeError(f"docker run: {process.returncode} {first!r} {errors!r}")
        took = time.perf_counter() - begun
        return Life(took, 0.0, took)


def hear(link: socket.socket) -> None:
    """Wait for the agent's first words. Raises RuntimeError when the stream ends before."""
    said = b""
    while b"beacon" not in said or not said.endswith(b"\n"):
        piece = link.recv(65536)
        if not piece:
            raise RuntimeError(f"the console closed: {said!r}")
        said += piece


def _name() -> str:
    return f"tonnage-bare-{secrets.token_hex(8)}"
