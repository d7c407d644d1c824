"""Private engines for tests: started where none is named by the environment, ended by process id."""

import contextlib
import fcntl
import grp
import http.client
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

T = TypeVar("T")

UP_S = 60
DOWN_S = 40
OTHERS_S = 900
"""How long an engine that is shared waits for other test processes before it ends."""
HERE = Path(__file__).parent


class Absent(Exception):
    """This machine cannot have the engine; the text says why."""


@dataclass(frozen=True)
class DockerEngine:
    """A Docker engine that answers."""

    socket: Path
    has_bridge: bool = True
    """Whether containers can get an address."""
    pid: int | None = None
    """Of dockerd, when it is our own and so may be stopped by a test."""


def needs_root(*programs: str) -> None:
    """Raises Absent when we are not root or a program is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise Absent(f"there is no {missing[0]}")
    if os.geteuid() != 0:
        raise Absent("starting one takes root")


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short name that other users' processes can pass through, as QEMU's must."""
    with tempfile.TemporaryDirectory(prefix="tng-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def daemon(command: list[str], log: Path, answers: Callable[[], bool]) -> Iterator[int]:
    """Run a daemon in the foreground until it answers, and end it after. Raises Absent with its log."""
    # It must not outlive a test session that is killed.
    tie = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*tie, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + UP_S
        while not answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Absent(f"{command[0]} does not come up: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(DOWN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(DOWN_S)


def without_mixed_cgroups(command: list[str]) -> list[str]:
    """The command, where need be in a mount namespace that shows control groups of version 1 alone.

    crun, and libvirt's LXC, refuse a host whose version 2 has controllers beside those of version 1.
    """
    mixed = Path("/sys/fs/cgroup/unified/cgroup.controllers")
    if not mixed.exists() or not mixed.read_text().strip():
        return command
    hide = f'umount {mixed.parent} && exec "$@"'
    return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", hide, "sh", *command]


def redis_server() -> str:
    """Path of the server program. Raises Absent."""
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server is None:
        raise Absent("there is no redis-server")
    return server


@contextmanager
def redis() -> Iterator[str]:
    """A Redis that keeps nothing, on a free port of the loopback."""
    server = redis_server()
    port = free_port()

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as link:
            link.sendall(b"PING\r\n")
            return link.recv(16).startswith(b"+PONG")
        return False

    with short_folder() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command = [server, *options, "--save", "", "--appendonly", "no"]
        with daemon(command, folder / "log", answers):
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def registry() -> Iterator[str]:
    """An OCI registry of our own on a free port of the loopback, as HOST:PORT."""
    server = shutil.which("docker-registry")
    if server is None:
        raise Absent("there is no docker-registry")
    address = f"127.0.0.1:{free_port()}"
    with short_folder() as folder:
        config = folder / "config.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: warn}}\nhttp: {{addr: '{address}'}}\n"
            f"storage: {{filesystem: {{rootdirectory: '{folder}/data'}}}}\n"
        )
        with daemon([server, "serve", str(config)], folder / "log", lambda: registry_answers(address)):
            yield address


def registry_answers(address: str) -> bool:
    """Whether a registry answers there."""
    with contextlib.suppress(OSError):
        link = http.client.HTTPConnection(address, timeout=5)
        try:
            link.request("GET", "/v2/")
            return link.getresponse().status == 200
        finally:
            link.close()
    return False


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dockerd() -> Iterator[DockerEngine]:
    """An engine of our own that leaves the machine's packet filter and its other engines alone."""
    needs_root("dockerd")
    with short_folder() as folder, bridge() as link:
        path = folder / "docker.sock"
        (folder / "daemon.json").write_text("{}")  # the machine's own settings may contradict ours
        options = [f"--config-file={folder}/daemon.json", f"--data-root={folder}/data"]
        options += [f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", f"--host=unix://{path}"]
        options += [f"--bridge={link.name if link else 'none'}", "--iptables=false", "--ip-masq=false"]
        options += ["--ip-forward=false", "--userland-proxy=false", "--log-level=warn"]
        if crun := shutil.which("crun"):
            options.append(f"--add-runtime=crun={crun}")
        if Path("/run/containerd/containerd.sock").exists():
            space = f"tng-{folder.name}"
            options += [f"--containerd-namespace={space}", f"--containerd-plugins-namespace={space}-p"]
        try:
            with daemon(["dockerd", *options], folder / "log", lambda: docker_answers(path)) as pid:
                yield DockerEngine(path, link is not None, pid)
        finally:
            _kill_strays(folder)
            unmount_below(folder)


def docker_answers(path: Path) -> bool:
    """Whether an engine answers at the socket."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(str(path))
        link.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in link.recv(64)
    return False


@contextmanager
def libvirtd(uri: str) -> Iterator[str]:
    """The machine's libvirt, or its two daemons run by us for as long as the tests run.

    One daemon serves all test processes of this checkout, as pytest-xdist starts several: whichever
    comes first starts it, and ends it when no other uses it any more. A daemon that ended under a test
    would leave that test's guests running.
    """
    if importlib.util.find_spec("libvirt") is None:
        raise Absent("libvirt-python is not installed")
    with _lock(HERE) as users, ExitStack() as daemons:
        with _lock(HERE / "workers") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)
            if not libvirt_answers(uri):
                daemons.enter_context(_own_libvirtd(uri))
                daemons.callback(_see_that_nothing_runs, uri)
                daemons.callback(_wait_for_others, users)
        yield uri


@contextmanager
def _own_libvirtd(uri: str) -> Iterator[None]:
    needs_root("virtlogd", "libvirtd", "qemu-system-x86_64")
    with short_folder() as folder:
        config = folder / "libvirtd.conf"
        config.write_text('auth_unix_ro = "none"\nauth_unix_rw = "none"\nunix_sock_rw_perms = "0700"\n')
        log = ["virtlogd", "--pid-file", str(folder / "virtlogd.pid")]
        main = ["libvirtd", "--config", str(config), "--pid-file", str(folder / "libvirtd.pid")]
        with (
            _kvm_lent(),
            daemon(log, folder / "virtlogd.log", lambda: True),
            daemon(without_mixed_cgroups(main), folder / "libvirtd.log", lambda: libvirt_answers(uri)),
        ):
            yield


@contextmanager
def _lock(folder: Path) -> Iterator[int]:
    """A file descriptor to lock with ``flock``; letting go of it unlocks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _wait_for_others(users: int) -> None:
    """Until no other test process holds the lock, which then is ours alone.

    This is no time of the last test's: the alarm that pytest-timeout set for it is taken back.
    """
    signal.setitimer(signal.ITIMER_REAL, 0)
    deadline = time.monotonic() + OTHERS_S
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.2)


def _see_that_nothing_runs(uri: str) -> None:
    """Domains that tests left would outlive the daemon: they are ended, and told as a fault."""
    left = subprocess.run(
        [sys.executable, "-c", _END_DOMAINS, uri], capture_output=True, text=True, timeout=120
    ).stdout.split()
    assert not left, f"tests left these domains behind: {', '.join(left)}"


_END_DOMAINS = """
import contextlib, libvirt, sys
found = []
for uri in (sys.argv[1], sys.argv[1].replace("qemu:///system", "lxc:///")):
    with contextlib.suppress(libvirt.libvirtError):  # one that has no LXC
        connection = libvirt.open(uri)
        found += [(connection, domain) for domain in connection.listAllDomains()]
for _, domain in found:
    if domain.name().startswith("tonnage-"):
        print(domain.name())
        for end in (domain.destroy, domain.undefine):
            with contextlib.suppress(libvirt.libvirtError):
                end()
"""


@contextmanager
def _kvm_lent() -> Iterator[None]:
    """Give QEMU's user /dev/kvm, as udev would, and take it back after.

    Without it libvirt examines QEMU anew before every call, and the driver refuses to measure that.
    """
    kvm = Path("/dev/kvm")
    try:
        group = grp.getgrnam("kvm").gr_gid
        before = kvm.stat()
    except (KeyError, FileNotFoundError):
        yield
        return
    os.chown(kvm, -1, group)
    kvm.chmod(before.st_mode | 0o660)
    try:
        yield
    finally:
        os.chown(kvm, -1, before.st_gid)
        kvm.chmod(stat.S_IMODE(before.st_mode))


def libvirt_answers(uri: str) -> bool:
    """Whether libvirt can be used. Asked in a process of its own, since its library may hang."""
    ask = "import libvirt, sys; libvirt.open(sys.argv[1]).close()"
    with contextlib.suppress(subprocess.TimeoutExpired, OSError):
        return (
            subprocess.run([sys.executable, "-c", ask, uri], capture_output=True, timeout=20).returncode
            == 0
        )
    return False


@dataclass(frozen=True)
class Bridge:
    """A network bridge of our own."""

    name: str
    subnet: str


@contextmanager
def bridge() -> Iterator[Bridge | None]:
    """A bridge on a subnet that no route of the machine knows; None where none can be made."""
    name, subnet = f"tng{secrets.token_hex(4)}", None
    made = _ip("link", "add", name, "type", "bridge")
    for number in range(1, 250) if made else ():
        address = f"10.215.{number}.1"
        routes = subprocess.run(
            ["ip", "-4", "route", "show", "to", "match", address],
            capture_output=True,
            text=True,
            timeout=10,
        ).stdout.splitlines()
        if all(route.startswith("default") for route in routes):
            if _ip("addr", "add", f"{address}/24", "dev", name) and _ip("link", "set", name, "up"):
                subnet = f"10.215.{number}.0/24"
            break
    try:
        yield Bridge(name, subnet) if subnet else None
    finally:
        _ip("link", "delete", name)


def _ip(*arguments: str) -> bool:
    if shutil.which("ip") is None:
        return False
    return subprocess.run(["ip", *arguments], capture_output=True, timeout=10).returncode == 0


def _kill_strays(folder: Path) -> None:
    """A dockerd that was killed leaves its containerd, shims and containers behind."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name().startswith("containerd") and f"{folder}/" in " ".join(process.cmdline()):
                for stray in [process, *process.children(recursive=True)]:
                    with contextlib.suppress(psutil.Error):
                        stray.kill()


def unmount_below(folder: Path) -> None:
    """What an engine has mounted in its folder, innermost first."""
    targets = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for target in sorted((t for t in targets if t.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", target], capture_output=True, timeout=10)


def session(
    name: str, start: Callable[[], AbstractContextManager[T]], otherwise: T | None = None
) -> Iterator[T]:
    """Body of a fixture: the engine for as long as it is needed; absent, it skips, or fails in CI."""
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(start())
        except Absent as absence:
            if otherwise is None:
                _absent(name, absence)
            engine = otherwise
        yield engine


def _absent(name: str, absence: Absent) -> None:
    reason = f"no {name}: {absence}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
