"""A Podman service of our own for tests: storage, state and socket in one folder that goes with it."""

import contextlib
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from engines import (
    Bridge,
    bridge,
    daemon,
    docker_answers,
    needs_root,
    short_folder,
    unmount_below,
    without_mixed_cgroups,
)

_CONFIG = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]

[engine]
events_logger = "file"
cgroup_manager = "cgroupfs"

[network]
network_config_dir = "{folder}/networks"
"""
_PLUGINS = (Path("/usr/lib/cni"), Path("/usr/libexec/cni"), Path("/opt/cni/bin"))


@dataclass(frozen=True)
class PodmanService:
    """A service that answers."""

    socket: Path
    has_bridge: bool = True
    """Whether containers can get an address."""


@contextmanager
def podman() -> Iterator[PodmanService]:
    """It runs without systemd, and leaves the machine's own containers alone."""
    needs_root("podman", "conmon")
    with short_folder() as folder, bridge() as link:
        network = link is not None and _make_network(folder, link)
        (folder / "containers.conf").write_text(_config(folder))
        path = folder / "podman.sock"
        places = ["--root", str(folder / "data"), "--runroot", str(folder / "run")]
        service = ["podman", *places, "--tmpdir", str(folder / "tmp"), "system", "service", "--time=0"]
        command = ["env", f"CONTAINERS_CONF={folder}/containers.conf", *service, f"unix://{path}"]
        try:
            with daemon(without_mixed_cgroups(command), folder / "log", lambda: docker_answers(path)):
                yield PodmanService(path, network)
        finally:
            _kill_strays(folder)
            unmount_below(folder)
            _remove_empty_groups()


def _make_network(folder: Path, link: Bridge) -> bool:
    """Podman's default network on a bridge of ours, without a word to the machine's packet filter.

    False where Podman has no CNI plugins, and so networks of another form.
    """
    if not any((place / "bridge").exists() for place in _PLUGINS):
        return False
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": link.subnet, "rangeStart": link.subnet.replace(".0/24", ".10")}]],
        "dataDir": str(folder / "addresses"),
    }
    plugin = {"type": "bridge", "bridge": link.name, "isGateway": False, "ipMasq": False, "ipam": ipam}
    (folder / "networks").mkdir()
    described = {"cniVersion": "0.4.0", "name": "podman", "plugins": [plugin]}
    (folder / "networks/87-podman.conflist").write_text(json.dumps(described))
    return True


def _config(folder: Path) -> str:
    """Limits as they are here: Podman's are higher, too high for root without CAP_SYS_RESOURCE."""
    files, processes = (
        resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
    )
    numbers = int(Path("/proc/sys/kernel/pid_max").read_text())  # Podman lowers its own to that
    processes = numbers if processes == resource.RLIM_INFINITY else min(processes, numbers)
    return _CONFIG.format(folder=folder, files=files, processes=processes)


def _kill_strays(folder: Path) -> None:
    """Containers have no daemon that would take them along: each has a conmon that names our folder."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "conmon" and f"{folder}/" in " ".join(process.cmdline()):
                for stray in [*process.children(recursive=True), process]:
                    with contextlib.suppress(psutil.Error):
                        stray.kill()


def _remove_empty_groups() -> None:
    """Podman leaves the parents of its containers' groups behind; those in use stay."""
    for top in Path("/sys/fs/cgroup").glob("*/libpod_parent"):
        for group in [*sorted(top.rglob("*/"), reverse=True), top]:
            with contextlib.suppress(OSError):
                group.rmdir()
