import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.campaign import Limits
from contract.errors import EngineError
from workers.engines import cgroup
from workers.engines.cgroup import Cgroups, Group

LIMITS = Limits(cpus=0.5, memory_mib=64)
KERNEL_FILES = {
    1: {
        "memory": ("cgroup.procs", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
        "cpu": ("cgroup.procs", "cpu.cfs_period_us", "cpu.cfs_quota_us"),
        "pids": ("cgroup.procs", "pids.max"),
        "systemd": ("cgroup.procs",),
    },
    2: {
        ".": (
            "cgroup.procs",
            "cgroup.subtree_control",
            "memory.max",
            "memory.swap.max",
            "cpu.max",
            "pids.max",
        )
    },
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "_TRIES", 3)
    monkeypatch.setattr(cgroup, "_DEATH_TRIES", 3)


class CgroupFolder:
    """Makes and removes folders as a cgroup file system does: they come with files, and go with them."""

    make = Path.mkdir
    unmake = Path.rmdir

    def __init__(self, root: Path, version: int) -> None:
        self.root, self.version = root, version
        for top in KERNEL_FILES[version]:
            (root / top).mkdir(exist_ok=True)
            self.populate(root / top)

    def populate(self, folder: Path) -> None:
        top = folder.relative_to(self.root).parts[0] if self.version == 1 else "."
        for name in KERNEL_FILES[self.version][top]:
            (folder / name).touch()
        if self.version == 2:
            (folder / "cgroup.controllers").write_text("cpu io memory pids\n")

    def mkdir(self, folder: Path, *args: object, **kwargs: object) -> None:
        new = not folder.exists()
        CgroupFolder.make(folder, *args, **kwargs)  # type: ignore[arg-type]
        if new:
            self.populate(folder)

    def rmdir(self, folder: Path) -> None:
        if any(child.is_dir() for child in folder.iterdir()) or (folder / "cgroup.procs").read_text():
            raise OSError(errno.EBUSY, "busy")
        for child in folder.iterdir():
            child.unlink()
        CgroupFolder.unmake(folder)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """The root of a tree that behaves like a cgroup file system of either version."""

    def build(version: int) -> Path:
        kernel = CgroupFolder(tmp_path, version)

        def mkdir(path: Path, *args: object, **kwargs: object) -> None:
            kernel.mkdir(path, *args, **kwargs)

        def rmdir(path: Path) -> None:
            kernel.rmdir(path)

        monkeypatch.setattr(Path, "mkdir", mkdir)
        monkeypatch.setattr(Path, "rmdir", rmdir)
        return tmp_path

    return build


def test_version_1_limits_memory_without_swap_and_cpu(tree: Callable[[int], Path]) -> None:
    root = tree(1)
    group = Cgroups(root).create("h1", "tonnage-x", LIMITS)
    memory, cpu = root / "memory/tonnage/h1/tonnage-x", root / "cpu/tonnage/h1/tonnage-x"
    assert (memory / "memory.limit_in_bytes").read_text() == str(64 * 1024 * 1024)
    assert (memory / "memory.memsw.limit_in_bytes").read_text() == str(64 * 1024 * 1024)
    assert (cpu / "cpu.cfs_quota_us").read_text() == "50000"
    assert (cpu / "cpu.cfs_period_us").read_text() == "100000"
    assert {path.relative_to(root).parts[0] for path in group.entrances} == {"memory", "cpu", "pids"}


def test_version_2_hands_controllers_down_and_limits(tree: Callable[[int], Path]) -> None:
    root = tree(2)
    group = Cgroups(root).create("h1", "tonnage-x", LIMITS)
    (folder,) = group.folders
    assert folder == root / "tonnage/h1/tonnage-x"
    for parent in (root, root / "tonnage", root / "tonnage/h1"):
        assert (parent / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"
    assert (folder / "memory.max").read_text() == str(64 * 1024 * 1024)
    assert (folder / "memory.swap.max").read_text() == "0"
    assert (folder / "cpu.max").read_text() == "50000 100000"


@pytest.mark.parametrize(("version", "place"), [(1, "pids/tonnage/h1/x"), (2, "tonnage/h1/x")])
def test_processes_are_limited_when_asked_for(
    tree: Callable[[int], Path], version: int, place: str
) -> None:
    root = tree(version)
    Cgroups(root).create("h1", "x", Limits(), 40)
    assert (root / place / "pids.max").read_text() == "40"
    Cgroups(root).create("h1", "y", LIMITS)
    assert (root / place).with_name("y").joinpath("pids.max").read_text() == ""


@pytest.mark.parametrize("version", [1, 2])
def test_groups_of_ours_are_listed_by_host_and_removed_to_the_last(
    tree: Callable[[int], Path], version: int
) -> None:
    groups = Cgroups(tree(version))
    made = [groups.create("h1", "a", Limits()), groups.create("h1", "b", LIMITS)]
    made.append(groups.create("h2", "a", LIMITS))
    assert {(group.host, group.name) for group in groups.ours()} == {
        ("h1", "a"),
        ("h1", "b"),
        ("h2", "a"),
    }
    for group in groups.ours():
        group.remove()
    for group in made:
        group.remove()  # gone already
    assert groups.ours() == []
    assert groups.find_named("tonnage") == []


def test_version_1_without_a_controller_says_which(tree: Callable[[int], Path]) -> None:
    root = tree(1)
    (root / "cpu").rmdir()
    groups = Cgroups(root)
    groups.create("h1", "memory-only", Limits(memory_mib=64))
    with pytest.raises(EngineError, match="'cpu' is not mounted"):
        groups.create("h1", "x", LIMITS)
    assert [group.name for group in groups.ours()] == ["memory-only"]


@pytest.mark.parametrize("version", [1, 2])
def test_a_tree_that_cannot_be_written_is_an_obstacle_in_words(
    tree: Callable[[int], Path], version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = Cgroups(tree(version))
    assert groups.obstacle() is None
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "cannot be written" in (groups.obstacle() or "")
    with pytest.raises(EngineError, match="limits cannot be set on this host"):
        groups.create("h1", "x", LIMITS)


def test_no_cgroups_at_all_is_an_obstacle(tmp_path: Path) -> None:
    assert "no cgroup controllers" in (Cgroups(tmp_path).obstacle() or "")
    assert Cgroups(tmp_path / "nothing").find_named("x") == []
    assert Cgroups(tmp_path / "nothing").ours() == []


def test_finds_what_other_engines_named_by_id(tmp_path: Path) -> None:
    instance = "ab" * 32
    (tmp_path / "memory/docker" / instance).mkdir(parents=True)
    (tmp_path / "memory/docker" / ("cd" * 32) / instance).mkdir(parents=True)
    (tmp_path / f"cpu/system.slice/docker-{instance}.scope").mkdir(parents=True)
    (tmp_path / f"cpu/system.slice/other.service/docker-{instance}.scope").mkdir(parents=True)
    found = {str(path.relative_to(tmp_path)) for path in Cgroups(tmp_path).find_named(instance)}
    # What lies inside another instance or service is that one's own.
    assert found == {f"memory/docker/{instance}", f"cpu/system.slice/docker-{instance}.scope"}


def test_a_controller_under_two_names_counts_once(tree: Callable[[int], Path]) -> None:
    root = tree(1)
    (root / "cpu").rename(root / "cpu,cpuacct")
    (root / "cpu").symlink_to("cpu,cpuacct")
    KERNEL_FILES[1]["cpu,cpuacct"] = KERNEL_FILES[1]["cpu"]
    try:
        group = Cgroups(root).create("h1", "x", LIMITS)
    finally:
        del KERNEL_FILES[1]["cpu,cpuacct"]
    assert root / "cpu,cpuacct/tonnage/h1/x" in group.folders
    assert len(group.folders) == 3


@pytest.mark.usefixtures("quick")
def test_a_group_that_does_not_go_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "memory/tonnage/h1/x"
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").write_text(f"{os.getpid()}\n")
    with pytest.raises(EngineError, match=f"processes \\[{os.getpid()}\\] are in it"):
        Group("h1", "x", (folder,)).remove()


def test_kill_uses_the_kernels_switch_where_there_is_one(tmp_path: Path) -> None:
    for name in ("cgroup.kill", "cgroup.procs"):
        (tmp_path / name).touch()
    Group("h1", "x", (tmp_path,)).kill()
    assert (tmp_path / "cgroup.kill").read_text() == "1"


@pytest.mark.usefixtures("quick")
def test_kill_gives_up_on_what_does_not_die(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    (tmp_path / "cgroup.procs").write_text(f"{sleeper.pid}\n{os.getpid()}\n")  # and never itself
    with pytest.raises(EngineError, match="outlive SIGKILL"):
        Group("h1", "x", (tmp_path,)).kill()
    assert sleeper.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("root", [cgroup.ROOT, cgroup.ROOT / "unified"], ids=["main", "hybrid"])
def test_on_this_kernel(sleeper: subprocess.Popen[bytes], root: Path) -> None:
    groups = Cgroups(root)
    if (why := groups.obstacle()) is not None:
        pytest.skip(why)
    limits = LIMITS if root == cgroup.ROOT else Limits()  # the other hierarchy has no controllers
    group = groups.create("test-host", f"tonnage-test-{os.getpid()}", limits)
    try:
        for entrance in group.entrances:
            entrance.write_text(str(sleeper.pid))
        assert group.pids() == {sleeper.pid}
        assert set(group.folders) <= set(Cgroups().of_process(sleeper.pid))
        assert set(group.folders) <= set(groups.find_named(group.name))
    finally:
        group.kill()
        sleeper.wait(10)
        group.remove()
    assert groups.find_named(group.name) == []
    assert group.pids() == set()
    assert groups.of_process(sleeper.pid) == []  # it is dead


def test_what_has_overdrawn_its_processor_time_dies_late_but_dies() -> None:
    groups = Cgroups()
    if (why := groups.obstacle()) is not None:
        pytest.skip(why)
    group = groups.create("test-host", f"tonnage-test-{os.getpid()}", Limits(cpus=0.01))
    copying = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M"]  # much work in one call of the kernel
    with subprocess.Popen(copying, stderr=subprocess.DEVNULL) as hog:
        try:
            for entrance in group.entrances:
                entrance.write_text(str(hog.pid))
            time.sleep(0.5)
        finally:
            group.kill()
            hog.wait(10)
            group.remove()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()
