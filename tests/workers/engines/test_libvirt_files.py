"""Files of libvirt and QEMU, on made-up hosts."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.engines import libvirt_files
from workers.engines.libvirt_files import (
    LibvirtFiles,
    cgroups_of,
    connection_limits,
    readable,
    unreachable,
    usable,
)

NAME = "tonnage-0123456789ab-1-0"
OTHER_USER = (64055, 64055)


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(libvirt_files, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(libvirt_files, "_CGROUPS", tmp_path / "cgroup")
    (tmp_path / "proc/7").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may pass; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="tng-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_cgroups_of_version_1_are_found_in_each_hierarchy(roots: Path) -> None:
    group = f"machine/qemu-3-{NAME}.libvirt-qemu"
    (roots / "proc/7/cgroup").write_text(
        f"8:pids:/\n4:memory:/{group}\n3:cpu,cpuacct:/{group}/emulator\n1:name=systemd:/{group}\n0::/\n"
    )
    made = [roots / "cgroup" / top / group for top in ("memory", "cpu,cpuacct")]
    for folder in made:
        (folder / "emulator").mkdir(parents=True)
    assert cgroups_of(7, NAME) == made


def test_the_cgroup_of_version_2_is_found_under_systemd(roots: Path) -> None:
    scope = "machine.slice/machine-qemu\\x2d3\\x2d" + NAME.replace("-", "\\x2d") + ".scope"
    (roots / "proc/7/cgroup").write_text(f"0::/{scope}/libvirt/emulator\n")
    (roots / "cgroup" / scope).mkdir(parents=True)
    assert cgroups_of(7, NAME) == [roots / "cgroup" / scope]


def test_shared_cgroups_are_not_the_domain_s(roots: Path) -> None:
    (roots / "proc/7/cgroup").write_text("0::/system.slice/libvirtd.service\n")
    assert cgroups_of(7, NAME) == []
    assert cgroups_of(8, NAME) == []


def test_pid_and_state_files_of_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    state = tmp_path / "libvirt/qemu/run"
    state.mkdir(parents=True)
    files = LibvirtFiles("qemu:///session")
    assert files.pid(NAME) is None
    assert files.state_files(NAME) == []
    (state / f"{NAME}.pid").write_text("42")
    assert files.pid(NAME) == 42
    assert files.state_files(NAME) == [state / f"{NAME}.pid"]
    (state / f"{NAME}.pid").write_text("")
    assert files.pid(NAME) is None


def test_daemon_limits_are_the_stock_ones_unless_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "libvirtd.conf"
    monkeypatch.setattr(libvirt_files, "_DAEMON_SETTINGS", (tmp_path / "missing", settings))
    assert connection_limits()["max_client_requests"] == 5
    settings.write_text('#max_workers = 1\nmax_client_requests = 50\nmax_clients="x"\nother = 1\n')
    assert connection_limits() == {"max_clients": 5000, "max_workers": 20, "max_client_requests": 50}


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to another user")
def test_the_closed_folder_on_the_way_is_named(open_folder: Path) -> None:
    closed = open_folder / "closed"
    target = closed / "open" / "file"
    target.parent.mkdir(parents=True, mode=0o755)
    closed.chmod(0o755)
    assert unreachable(target, *OTHER_USER) is None
    closed.chmod(0o700)
    assert unreachable(target, *OTHER_USER) == closed
    assert unreachable(target, 0, 0) is None
    os.chown(closed, OTHER_USER[0], 0)
    assert unreachable(target, *OTHER_USER) is None
    os.chown(closed, 0, OTHER_USER[1])
    assert unreachable(target, *OTHER_USER) == closed
    closed.chmod(0o710)
    assert unreachable(target, *OTHER_USER) is None


def test_usable_goes_by_the_bits_or_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "kvm"
    device.touch()
    for mode, expected in ((0o600, False), (0o664, False), (0o666, True)):
        device.chmod(mode)
        assert usable(device, *OTHER_USER) is expected
        assert usable(device, 0, 0) is True
    device.chmod(0o660)
    assert usable(device, OTHER_USER[0], device.stat().st_gid) is True
    assert usable(device, *OTHER_USER) is False
    monkeypatch.setattr(os, "listxattr", lambda _: ["system.posix_acl_access"])
    assert usable(device, *OTHER_USER) is True


def test_readable_goes_by_the_bits(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.touch(mode=0o600)
    assert not readable(path, *OTHER_USER)
    assert readable(path, 0, 0)
    path.chmod(0o604)
    assert readable(path, *OTHER_USER)
