"""Control groups, versions 1 and 2: limits for bare processes, and what the kernel holds of others.

Groups of ours lie at ``tonnage/<host>/<instance>``, so that a sweep knows whose they are.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from contract.campaign import Limits
from contract.errors import EngineError

ROOT = Path("/sys/fs/cgroup")
_OURS = "tonnage"
_CONTROLLERS = ("memory", "cpu", "pids")
_CPU_PERIOD_US = 100_000
_SEARCH_DEPTH = 4
"""Engines keep their groups within it: engine/ID, system.slice/engine-ID.scope, user slices."""
_TRIES = 200
_TRY_S = 0.01
_DEATH_TRIES = 3000
"""Half a minute. Under a CPU limit the kernel lets a killed process die when the group's quota allows
it, and a group that fought for memory may have overdrawn that by seconds (5.5 seen, Linux 6.18)."""


@dataclass(frozen=True, slots=True)
class Group:
    """The group of one instance: one folder per hierarchy (version 1), or one in all (version 2)."""

    host: str
    name: str
    folders: tuple[Path, ...]

    @property
    def entrances(self) -> list[Path]:
        """Files that take the PID of a process that shall belong here."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def pids(self) -> set[int]:
        """Processes that belong here, in any hierarchy."""
        return {pid for folder in self.folders for pid in pids_in(folder)}

    def kill(self) -> None:
        """Kill every process in here, also those that fork meanwhile. Blocks for 30 s at most.

        Raises EngineError when some outlive it.
        """
        for switch in (folder / "cgroup.kill" for folder in self.folders):
            if switch.exists():  # version 2, Linux 5.14 and later: all at once
                switch.write_text("1")
        for _ in _rounds(_DEATH_TRIES):
            alive = self.pids() - {os.getpid()}
            if not alive:
                return
            for pid in alive:
                _kill(pid)
        raise EngineError(f"processes in cgroup '{self.name}' outlive SIGKILL: {sorted(self.pids())}")

    def remove(self) -> None:
        """Remove the empty group. Blocks for 2 s at most while the kernel still holds it.

        Raises EngineError when it does not go. One that is gone already is no error.
        """
        for folder in self.folders:
            for _ in _rounds(_TRIES):
                if _rmdir(folder):
                    break
            else:
                raise EngineError(f"cgroup {folder} cannot be removed: {_reason(folder)}")
            for parent in (folder.parent, folder.parent.parent):
                _rmdir(parent)  # stays while others are in it


class Cgroups:
    """The control groups of this host."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self.version = 2 if (root / "cgroup.controllers").is_file() else 1

    def obstacle(self) -> str | None:
        """Why no group can be made here, in words; None when it can."""
        for top in self._tops(_CONTROLLERS):
            if not os.access(top, os.W_OK):
                return f"{top} cannot be written (a worker needs root and a writable cgroup file system)"
        if not self._tops(_CONTROLLERS):
            return f"no cgroup controllers are mounted under {self._root}"
        return None

    def create(self, host: str, name: str, limits: Limits, pids: int | None = None) -> Group:
        """Make an instance's group and set its limits. Raises EngineError when this host cannot."""
        if (why := self.obstacle()) is not None:
            raise EngineError(f"limits cannot be set on this host: {why}")
        tops = self._tops(_CONTROLLERS)
        group = Group(host, name, tuple(top / _OURS / host / name for top in tops))
        try:
            for top in tops:
                self._make(top, host, name)
            self._limit(group, limits)
            if pids is not None:
                (self._folder(group, "pids") / "pids.max").write_text(str(pids))
        except OSError as error:
            group.remove()
            raise EngineError(f"limits cannot be set on this host: {error}") from error
        return group

    def of_process(self, pid: int) -> list[Path]:
        """The groups that a process is in, of any engine; none when it is dead. Roots do not count."""
        try:
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except OSError:
            return []
        found = []
        for _, controllers, path in (line.split(":", 2) for line in lines):
            folder = self._top_of(controllers) / path.lstrip("/")
            if path != "/" and ".." not in path and folder.is_dir():
                found.append(folder)
        return found

    def memory_of(self, pid: int) -> tuple[Path, int] | None:
        """The group that a process's memory is charged to, and how much that is, bytes.

        Page cache is in it. None when the process is dead or only the root is charged.
        """
        name = "memory.current" if self.version == 2 else "memory.usage_in_bytes"
        top = self._top_of("memory")
        for folder in self.of_process(pid):
            # Threaded groups of version 2 have no such file: a group further up is charged.
            for place in (folder, *folder.parents):
                if place == top or not place.is_relative_to(top):
                    break
                with suppress(OSError, ValueError):
                    return place, int((place / name).read_text())
        return None

    def counts_swap(self) -> bool:
        """Whether this kernel charges swap to groups, so that a limit can leave none."""
        return self.version == 2 or (self._root / "memory/memory.memsw.limit_in_bytes").exists()

    def find_named(self, text: str) -> list[Path]:
        """Groups of any engine whose folder's name contains ``text``, an id or an instance name.

        Looks at every group there is: for a process that still lives, ``of_process`` is far cheaper.
        """
        return [found for top in self._all_tops() for found in _search(top, text, _SEARCH_DEPTH)]

    def ours(self) -> list[Group]:
        """Every group of ours that exists, of all hosts."""
        folders: dict[tuple[str, str], list[Path]] = {}
        for top in self._tops(_CONTROLLERS):
            for folder in sorted((top / _OURS).glob("*/*/")):
                folders.setdefault((folder.parent.name, folder.name), []).append(folder)
        return [Group(host, name, tuple(paths)) for (host, name), paths in folders.items()]

    def _tops(self, controllers: tuple[str, ...]) -> list[Path]:
        """Where the hierarchies of these controllers begin, each once when mounted together."""
        if self.version == 2:
            return [self._root]
        there = [self._root / name for name in controllers]
        return list(dict.fromkeys(top.resolve() for top in there if top.is_dir()))

    def _top_of(self, controllers: str) -> Path:
        """Where the hierarchy of a line in /proc/PID/cgroup begins; version 2 names no controllers."""
        if self.version == 2:
            return self._root
        if not controllers:
            return self._root / "unified"
        together = self._root / controllers.removeprefix("name=")
        return together if together.is_dir() else self._root / controllers.partition(",")[0]

    def _all_tops(self) -> list[Path]:
        if self.version == 2:
            return [self._root]
        return [top for top in _folders(self._root) if not top.is_symlink()]

    def _make(self, top: Path, host: str, name: str) -> None:
        folder = top / _OURS / host / name
        for attempt in count(1):
            try:
                if self.version == 2:
                    self._delegate(top, top / _OURS / host)
                folder.mkdir(parents=True, exist_ok=True)
                return
            except FileNotFoundError:
                # The last instance beside ours has just taken the shared parents away.
                if attempt == 5:
                    raise

    def _delegate(self, top: Path, parent: Path) -> None:
        """Hand the controllers down to the children of ``parent``: version 2 does so level by level."""
        parent.mkdir(parents=True, exist_ok=True)
        for folder in (top, parent.parent, parent):
            has = (folder / "cgroup.controllers").read_text().split()
            switch = folder / "cgroup.subtree_control"
            handed_down = switch.read_text().split() if switch.exists() else []
            wanted = [f"+{name}" for name in _CONTROLLERS if name in has and name not in handed_down]
            if wanted:
                switch.write_text(" ".join(wanted))

    def _limit(self, group: Group, limits: Limits) -> None:
        if limits.memory_mib is not None:
            _set_memory(self._folder(group, "memory"), self.version, limits.memory_mib * 1024 * 1024)
        if limits.cpus is not None:
            _set_cpu(self._folder(group, "cpu"), self.version, round(limits.cpus * _CPU_PERIOD_US))

    def _folder(self, group: Group, controller: str) -> Path:
        if self.version == 2:
            return group.folders[0]
        for top in self._tops((controller,)):
            return top / _OURS / group.host / group.name
        raise FileNotFoundError(f"controller '{controller}' is not mounted under {self._root}")


def _set_memory(folder: Path, version: int, limit_bytes: int) -> None:
    """Memory without any swap, as Docker does it with equal Memory and MemorySwap."""
    if version == 2:
        (folder / "memory.max").write_text(str(limit_bytes))
        swap, allowance = folder / "memory.swap.max", 0
    else:
        (folder / "memory.limit_in_bytes").write_text(str(limit_bytes))
        swap, allowance = folder / "memory.memsw.limit_in_bytes", limit_bytes
    if swap.exists():  # not on kernels without swap accounting
        swap.write_text(str(allowance))


def _set_cpu(folder: Path, version: int, quota_us: int) -> None:
    if version == 2:
        (folder / "cpu.max").write_text(f"{quota_us} {_CPU_PERIOD_US}")
        return
    (folder / "cpu.cfs_period_us").write_text(str(_CPU_PERIOD_US))
    (folder / "cpu.cfs_quota_us").write_text(str(quota_us))


def pids_in(folder: Path) -> list[int]:
    """Processes in a group itself, not in those below it; none when it is gone."""
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except (FileNotFoundError, OSError):  # ENODEV: it went while it was read
        return []


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _rounds(tries: int) -> Iterator[int]:
    """Tries with a moment between them: dying processes hold their group for some milliseconds."""
    for attempt in range(tries):
        yield attempt
        time.sleep(_TRY_S)


def _rmdir(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _reason(folder: Path) -> str:
    pids = pids_in(folder)
    return f"processes {pids} are in it" if pids else "the kernel still holds it"


def _search(folder: Path, text: str, depth: int) -> Iterator[Path]:
    for child in _folders(folder):
        if text in child.name:
            yield child
        elif depth > 1 and not _is_leaf(child.name):
            yield from _search(child, text, depth - 1)


def _is_leaf(name: str) -> bool:
    """Whether a folder is some other instance's or service's own: nobody else's lies below it."""
    return len(name) >= 64 or name.endswith((".service", ".scope", ".mount", ".socket"))


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry) for entry in entries if entry.is_dir()]
    except OSError:  # gone meanwhile, or not for us to see
        return []
