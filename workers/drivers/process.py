"""process: the agent as a bare process of this host, the native baseline of every comparison."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from contract.campaign import Limits
from contract.catalog import Capability, Settings
from contract.errors import EngineAbsent, EngineError, EngineTimeout
from workers.console import Console
from workers.drivers import base
from workers.drivers.base import OOM_SCORE_ADJ, Instance, InstanceSpec
from workers.engines.cgroup import Cgroups, Group
from workers.engines.process_images import Program, prepare, program_of
from workers.engines.process_owners import kill_owned, owned_processes, owner_variables
from workers.engines.process_pipes import Pipes
from workers.exit_watch import watch_process
from workers.ownership import Leftover, Owner, owner_from_labels
from workers.settings import HostSettings
from workers.verbs.process import ProcessVerbs

STOP_GRACE_S = 10.0
"""How long a graceful stop waits before it kills: the same as Docker's."""
_OWNER_FILE = "owner.json"
_DYING_S = 0.2
_ENTER_GROUPS = """
count=$1 && shift
while [ "$count" -gt 0 ]; do
    echo $$ >"$1" || exit 125
    shift && count=$((count - 1))
done
exec "$@"
"""
"""Joins the groups named by its arguments and becomes the program, so that no moment goes unlimited."""

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Processes of this worker that are not reaped yet. A number in here names nobody else's process."""


class ProcessSettings(Settings):
    """A bare process has nothing to choose."""


@dataclass(slots=True)
class ProcessInstance(Instance):
    """A folder to work in, a group when there are limits, and the process once it was started."""

    folder: Path
    program: Program
    group: Group | None = None
    pipes: Pipes | None = None
    process: subprocess.Popen[bytes] | None = None
    removed: bool = False


class Driver(base.Driver[ProcessSettings]):
    """Bare processes. Images: ``tiny``, an image's folder, or a program, by their absolute paths."""

    name = "process"
    summary = "bare processes of the host: the native baseline"
    Settings: ClassVar[type[Settings]] = ProcessSettings
    offers = frozenset(
        {Capability.CONSOLE, Capability.GRACEFUL_STOP, Capability.LIMITS, Capability.LINK}
    )
    verb_kind = ProcessVerbs

    def __init__(self, settings: ProcessSettings, host: HostSettings, owner: Owner) -> None:
        super().__init__(settings, host, owner)
        self._folder = host.state_dir / "process"
        self._cgroups = Cgroups()
        self._tiny: Path | None = None
        self._pipes: set[Pipes] = set()

    async def open(self) -> None:
        """See that the folder of work folders can be used."""
        try:
            await self.engine(self._folder.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise EngineAbsent(f"process: state_dir cannot be used: {error}") from error

    async def close(self) -> None:
        """Close the consoles of what was not removed, which ends its agents."""
        for pipes in self._pipes:
            pipes.close()
        self._pipes.clear()
        self._threads.close()

    async def facts(self) -> dict[str, Any]:
        """Kernel and cgroups: there is no engine. Other processes of the host are no instances."""
        return {
            "emulated": False,
            "foreign_instances": 0,
            "kernel_version": os.uname().release,
            "cgroup_version": self._cgroups.version,
            "limits_obstacle": self._cgroups.obstacle(),
        }

    async def prepare(self, image: str) -> None:
        """Build ``tiny`` when it is not there; of a program or a folder, see that it can be run."""
        self._tiny = await self.engine(prepare, image, self.host.state_dir) or self._tiny

    async def create(self, spec: InstanceSpec) -> Instance:
        """Make the work folder and, when there are limits, the group."""
        folder = self._folder / spec.name
        own = ProcessInstance(spec, folder, program_of(spec.image, self._tiny, folder))
        await self.engine(self._create, own)
        return own

    async def attach(self, instance: Instance) -> Console:
        """Make the pipes that the process will have as its standard input and output."""
        own = _own(instance)
        self._drop_pipes(own)
        own.pipes = Pipes()
        self._pipes.add(own.pipes)
        return await own.pipes.console()

    async def start(self, instance: Instance) -> None:
        """Run it: returns when the program, or the shell that puts it into its group, is loaded.

        On the event loop: a thread would hold the interpreter's lock until then, so the loop would stand
        still as well, and after that wait for a processor beside the new process.
        """
        self._start(_own(instance))

    async def pid(self, instance: Instance) -> int | None:
        """PID of the agent or program itself; none once it is reaped, when the number is free again."""
        process = _own(instance).process
        return None if process is None or process.returncode is not None else process.pid

    async def address(self, instance: Instance) -> str:
        """The host's loopback: processes share its network."""
        return "127.0.0.1"

    async def stop(self, instance: Instance, *, graceful: bool) -> None:
        """SIGTERM and at most 10 s to end when graceful; then SIGKILL for it and all that it started."""
        own = _own(instance)
        if own.process is None or own.process.returncode is not None:
            return
        pid = own.process.pid
        if graceful:
            os.kill(pid, signal.SIGTERM)
            await _dies(pid, STOP_GRACE_S)
        # Not reaped yet, so its number still names its session and nobody else's.
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        if own.group is not None:
            await self.engine(own.group.kill)
        await self._reap(pid)

    async def remove(self, instance: Instance) -> None:
        """Kill it when it runs, and remove its group, pipes and folder."""
        own = _own(instance)
        own.removed = True
        await self.stop(own, graceful=False)
        self._drop_pipes(own)
        await self.engine(_clear, own.folder, own.group)

    async def remains(self, instance: Instance) -> list[str]:
        """Process, group and folder."""
        own = _own(instance)
        left = [f"cgroup {path}" for path in own.group.folders if path.exists()] if own.group else []
        if own.process is not None and own.process.returncode is None:
            left.append(f"process {own.process.pid}")
        return left + ([f"folder {own.folder}"] if own.folder.exists() else [])

    async def leftovers(self, host: str | None) -> list[Leftover]:
        """Processes by the owner in their environment, then groups, then folders."""
        found = await self.engine(self._leftovers, host)
        if any(leftover.kind == "process" for leftover in found):
            # Children of an instance that was just killed die a little later than their parent.
            await asyncio.sleep(_DYING_S)
            found = await self.engine(self._leftovers, host)
        return found

    async def sweep(self, leftover: Leftover) -> None:
        """Kill a process, or remove a group with all in it, or a folder."""
        if leftover.kind == "process":
            pid = int(leftover.name)
            if kill_owned(pid) or pid in _children:
                await self._reap(pid)
        elif leftover.kind == "cgroup":
            for group in self._cgroups.ours():
                if (group.host, group.name) == (leftover.host, leftover.name):
                    await self.engine(group.kill)
                    await self.engine(group.remove)
        else:
            await self.engine(_clear, self._folder / Path(leftover.name).name, None)

    def _drop_pipes(self, own: ProcessInstance) -> None:
        """Of an earlier life, or at its end."""
        if own.pipes is not None:
            own.pipes.close()
            self._pipes.discard(own.pipes)
            own.pipes = None

    def _create(self, own: ProcessInstance) -> None:
        limits = own.spec.limits
        try:
            own.folder.mkdir(parents=True)
        except OSError as error:
            raise EngineError(f"process: cannot create '{own.spec.name}': {error}") from error
        try:
            (own.folder / _OWNER_FILE).write_text(json.dumps(self.owner.labels()))
            if limits != Limits() or own.spec.pids is not None:
                place = self.owner.host, own.spec.name
                own.group = self._cgroups.create(*place, limits, own.spec.pids)
        except (EngineError, OSError) as error:
            shutil.rmtree(own.folder, ignore_errors=True)
            raise EngineError(f"process: cannot create '{own.spec.name}': {error}") from error

    def _start(self, own: ProcessInstance) -> None:
        if own.removed:
            raise EngineError(f"process: '{own.spec.name}' was removed before it started")
        command = own.program.command
        if own.group is not None:
            entrances = [str(path) for path in own.group.entrances]
            script = ["/bin/sh", "-c", _ENTER_GROUPS, "sh"]
            command = [*script, str(len(entrances)), *entrances, *command]
        own.process = self._spawn(own, command)
        _children[own.process.pid] = own.process
        with suppress(OSError):
            Path(f"/proc/{own.process.pid}/oom_score_adj").write_text(str(OOM_SCORE_ADJ))

    def _spawn(self, own: ProcessInstance, command: list[str]) -> subprocess.Popen[bytes]:
        heard = own.pipes is not None
        if own.pipes is None:  # nobody listens, yet an end of input would end the agent
            own.pipes = Pipes()
            self._pipes.add(own.pipes)
        try:
            process = subprocess.Popen(  # noqa: S603 - arguments only, no shell reads any of them
                command,
                stdin=own.pipes.child_stdin,
                stdout=own.pipes.child_stdout if heard else subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                cwd=own.folder,
                env=_environment(own, self.owner),
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"process: cannot run '{own.spec.image}': {error}") from error
        own.pipes.handed_over()
        return process

    async def _reap(self, pid: int) -> None:
        if not await _dies(pid, self.host.engine_deadline_s):
            raise EngineTimeout(f"process {pid} outlives SIGKILL by {self.host.engine_deadline_s:g} s")
        if (process := _children.pop(pid, None)) is not None:
            process.poll()

    def _leftovers(self, host: str | None) -> list[Leftover]:
        for pid, process in list(_children.items()):
            if process.poll() is not None:  # ended with the console that an earlier driver closed
                del _children[pid]
        owned = [("process", str(pid), owner.host) for pid, owner in owned_processes()]
        owned += [("cgroup", group.name, group.host) for group in self._cgroups.ours()]
        owned += [("folder", path.name, self._host_of(path)) for path in self._folder.glob("*/")]
        return [Leftover(self.name, *thing) for thing in owned if host in (None, thing[2])]

    def _host_of(self, folder: Path) -> str:
        """Who the folder says its owner is; one that was cut off before it could say is this host's."""
        try:
            owner = owner_from_labels(json.loads((folder / _OWNER_FILE).read_text()))
        except (OSError, ValueError):
            owner = None
        return self.host.name if owner is None else owner.host


def _own(instance: Instance) -> ProcessInstance:
    assert isinstance(instance, ProcessInstance)
    return instance


def _environment(own: ProcessInstance, owner: Owner) -> dict[str, str]:
    """All that the process knows of its surroundings: nothing of the worker's own environment."""
    return {
        "PATH": own.program.path,
        "HOME": own.program.work,
        "TMPDIR": own.program.work,
        "LC_ALL": "C",
        "TONNAGE_NONCE": own.spec.nonce,
        "TONNAGE_WORK": own.program.work,
        "TONNAGE_INSTANCE": own.spec.name,
        **owner_variables(owner),
    }


def _clear(folder: Path, group: Group | None) -> None:
    if group is not None:
        group.kill()
        group.remove()
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise EngineError(f"process: {folder} cannot be removed: {error}") from error


async def _dies(pid: int, within_s: float) -> bool:
    """Whether the process is dead within that time. Seen even before it is reaped."""
    death = watch_process(pid)
    done, _ = await asyncio.wait({death}, timeout=within_s)
    if not done:
        death.cancel()
    return bool(done)
