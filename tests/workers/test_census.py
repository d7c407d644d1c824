"""The census counts what is really there: each kind is left behind on purpose, and found."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workers.census import BYTES, GROWTH, KINDS, Marks, count_daemon, count_host, pid_behind

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")


@pytest.fixture
def marks() -> Marks:
    """Of a trial that nobody else has."""
    return Marks(f"tonnage-{secrets.token_hex(6)}-1-")


def comes_to(marks: Marks, kind: str, wanted: Callable[[int], bool]) -> bool:
    """Whether the count gets there within a while: kernels let go of things a little later."""
    deadline = time.monotonic() + 20
    while not wanted(count_host(marks)[kind]):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def left_behind(*make: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(make, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def test_every_kind_is_said_what_it_is() -> None:
    assert KINDS.keys() >= BYTES | GROWTH
    assert set(count_host(Marks("tonnage-none-"))) <= KINDS.keys()


def test_processes_are_found_by_name_in_their_arguments(marks: Marks) -> None:
    assert count_host(marks)["processes"] == 0
    script = "import time; print(flush=True); time.sleep(60)"
    with left_behind(sys.executable, "-c", script, f"-name={marks.prefix}7"):
        assert count_host(marks)["processes"] == 1
    assert count_host(marks)["processes"] == 0


def test_a_zombie_is_counted_until_it_is_reaped(marks: Marks) -> None:
    script = (
        "import os, time\n"
        "for _ in range(20):\n"
        "    os.fork() or os._exit(0)\n"
        "time.sleep(0.5); print(flush=True); time.sleep(60)"
    )
    before = count_host(marks)["zombies"]
    with left_behind(sys.executable, "-c", script):
        assert comes_to(marks, "zombies", lambda number: number >= before + 10)


@ROOT
def test_mounts_are_found_by_name(marks: Marks, tmp_path: Path) -> None:
    place = tmp_path / f"{marks.prefix}3"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True, timeout=20)
    try:
        assert count_host(marks)["mounts"] == 1
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=20)
    assert count_host(marks)["mounts"] == 0


def test_control_groups_are_found_by_name_also_as_systemd_writes_it(
    marks: Marks, tmp_path: Path
) -> None:
    (tmp_path / "cpu" / "machine" / f"qemu-1-{marks.prefix}0" / "libvirt").mkdir(parents=True)
    escaped = f"machine-qemu-2-{marks.prefix}1".replace("-", "\\x2d")
    (tmp_path / "cpu" / "machine.slice" / f"{escaped}.scope").mkdir(parents=True)
    (tmp_path / "cpu" / "docker" / "a").mkdir(parents=True)
    assert count_host(marks, tmp_path)["cgroups"] == 2


def test_things_are_found_by_the_ids_of_an_engine() -> None:
    own, other = secrets.token_hex(32), secrets.token_hex(32)
    marks = Marks("tonnage-none-", frozenset({own}))
    assert marks.on(f"docker-{own}.scope")
    assert not marks.on(f"docker-{other}.scope")
    assert not marks.on("user.slice")


@ROOT
def test_a_network_namespace_and_an_interface_are_counted(marks: Marks) -> None:
    """Others may start and end some meanwhile, so many are made."""
    before = count_host(marks)
    script = (
        "import ctypes, os, subprocess, sys, time\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "for _ in range(40):\n"
        "    if os.fork() == 0:\n"
        "        libc.unshare(0x40000000); time.sleep(60)\n"
        "time.sleep(1); print(flush=True); time.sleep(60)"
    )
    with left_behind("setsid", sys.executable, "-c", script) as process:
        wanted = before["namespaces"] + 20
        assert comes_to(marks, "namespaces", lambda number: number >= wanted)
        os.killpg(process.pid, 9)
    name = f"veth{secrets.token_hex(3)}"
    peer = ["type", "veth", "peer", "name", f"{name}p"]
    subprocess.run(["ip", "link", "add", name, *peer], check=True, timeout=20)
    try:
        assert count_host(marks)["interfaces"] >= 2
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True, timeout=20)


def test_a_daemon_is_known_by_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert pid_behind(path) is None
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert count_daemon(path) == {}  # nobody listens yet
        server.listen()
        assert pid_behind(path) == os.getpid()
        first = count_daemon(path)
        assert first["engine_rss"] > 1 << 20
        opened = [(tmp_path / f"{n}").open("w") for n in range(50)]
        assert count_daemon(path)["engine_fds"] >= first["engine_fds"] + 40
        for file in opened:
            file.close()
