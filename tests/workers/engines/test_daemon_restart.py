"""Restarting an engine's daemon: how it is found, and one of our own that really ends and comes back."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import engines
import psutil
import pytest
from engines import DockerEngine, session

from contract.errors import EngineError
from workers.engines import daemon_restart
from workers.engines.daemon_restart import daemon_behind

SERVER = """
import os, pathlib, socket, sys
path = pathlib.Path(sys.argv[1])
path.unlink(missing_ok=True)
server = socket.socket(socket.AF_UNIX)
server.bind(str(path))
server.listen()
with open(sys.argv[2], "a") as log:
    log.write(os.environ["MARK"] + " " + os.getcwd() + "\\n")
while True:
    server.accept()[0].close()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with engines.short_folder() as path:
        yield path


def restart(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers.engines.daemon_restart", str(path), "30"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_daemon_comes_back_as_it_was(folder: Path) -> None:
    path, log = folder / "s", folder / "log"
    first = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(path), str(log)], env={"MARK": "same"}, cwd=folder
    )
    try:
        give_up = time.monotonic() + 30
        while not daemon_restart._answers(path):
            assert time.monotonic() < give_up
            time.sleep(0.02)
        ended = restart(path)
        assert ended.returncode == 0, ended.stderr
        second = daemon_behind(path)
        assert second != first.pid
        assert first.wait(10) == -15
        assert log.read_text().splitlines() == [f"same {folder}"] * 2
        psutil.Process(second).kill()
    finally:
        first.kill()
        first.wait(10)


def test_nobody_behind_the_socket_is_told(folder: Path) -> None:
    ended = restart(folder / "nothing")
    assert ended.returncode != 0
    assert "No such file" in ended.stderr


def test_systemd_that_listens_itself_is_never_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl = folder / "systemctl"
    systemctl.write_text("#!/bin/sh\necho '/run/docker.sock docker.socket docker.service'\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    assert daemon_restart._activated_by(Path("/run/docker.sock")) == "docker.service"
    with pytest.raises(EngineError, match="does not say"):
        daemon_restart._activated_by(Path("/run/other.sock"))


@pytest.fixture
def own_engine() -> Iterator[DockerEngine]:
    yield from session("docker", engines.dockerd)


@pytest.mark.docker
def test_a_docker_engine_comes_back(own_engine: DockerEngine) -> None:
    before = daemon_behind(own_engine.socket)
    ended = restart(own_engine.socket)
    assert ended.returncode == 0, ended.stderr
    after = daemon_behind(own_engine.socket)
    try:
        assert after != before
        assert engines.docker_answers(own_engine.socket)
    finally:
        again = psutil.Process(after)
        again.terminate()
        again.wait(30)
