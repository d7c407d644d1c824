"""A small fleet of our own: a Redis that may be killed, and workers as processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.request import Request, urlopen

import engines
import redis

from contract.broker import connect
from contract.errors import BrokerError
from orchestrator.fleet import read_fleet

TONNAGE = str(Path(sys.executable).with_name("tonnage"))
PATIENCE_S = 60.0
"""Longest wait for anything that should take a few seconds."""


def wait_until(reached: Callable[[], bool], what: str, wait_s: float = PATIENCE_S) -> None:
    """Poll until something is so. Fails, saying what never was."""
    deadline = time.monotonic() + wait_s
    while not reached():
        assert time.monotonic() < deadline, f"after {wait_s:g} s still not: {what}"
        time.sleep(0.05)


class Broker:
    """A Redis without memory on a port that stays the same, so that it can die and come back."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Come up, empty. Raises engines.Absent where there is no server program."""
        server = shutil.which("redis-server") or shutil.which("valkey-server")
        if server is None:
            raise engines.Absent("there is no redis-server")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        options += ["--save", "", "--appendonly", "no"]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([server, *options], stdout=log, stderr=log)
        wait_until(self.answers, "Redis answers")

    def kill(self) -> None:
        """Die at once, as in a power cut."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def answers(self) -> bool:
        """Whether it is up."""
        with suppress(BrokerError):
            connect(self.url).close()
            return True
        return False

    def client(self) -> "redis.Redis[bytes]":
        """A connection to it."""
        return connect(self.url)


@contextmanager
def own_broker() -> Iterator[Broker]:
    """A broker of this test's own."""
    with engines.short_folder() as folder, ExitStack() as stack:
        broker = Broker(folder)
        stack.callback(broker.kill)
        broker.start()
        yield broker


@contextmanager
def s3_server(log: int | IO[bytes] = subprocess.DEVNULL) -> Iterator[str]:
    """A local S3 service with a bucket ``parts``; gives the place of a campaign's ``results``.

    ``log`` gets a line per request.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = str(Path(sys.executable).with_name("moto_server"))
    server = subprocess.Popen(
        [program, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    try:
        bucket = Request(f"http://127.0.0.1:{port}/parts", method="PUT")

        def has_bucket() -> bool:
            with suppress(OSError), urlopen(bucket, timeout=5):  # noqa: S310
                return True
            return False

        wait_until(has_bucket, "the S3 service answers")
        yield (f"s3://parts/some/prefix?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1")
    finally:
        server.kill()
        server.wait(PATIENCE_S)


def alive(broker: str) -> set[str]:
    """Names of the hosts that have a heartbeat."""
    try:
        client = connect(broker)
        with client:
            return {name for name, entry in read_fleet(client).items() if entry.alive}
    except (BrokerError, redis.RedisError):
        return set()


class Process:
    """One ``tonnage`` command that runs beside the test, with its children, ended by its group."""

    def __init__(self, log: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [TONNAGE, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=os.environ | {"COLUMNS": "200"} | (env or {}),
            )

    @property
    def pid(self) -> int:
        """Of the command itself."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the command and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def catches(self, number: signal.Signals) -> bool:
        """Whether the command handles a signal by itself by now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return bool(caught >> (number - 1) & 1)

    def wait(self, wait_s: float = PATIENCE_S) -> int:
        """Exit code of the command; fails, showing its log, when it does not end."""
        try:
            return self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running:\n{self.said()[-3000:]}") from None

    def kill(self) -> None:
        """End it at once, children and all."""
        self.send(signal.SIGKILL)
        self.wait()

    def said(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None


@contextmanager
def running(log: Path, *arguments: str) -> Iterator[Process]:
    """A command for as long as the block runs."""
    process = Process(log, *arguments)
    try:
        yield process
    finally:
        process.kill()
