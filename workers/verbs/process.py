"""Verbs on bare processes: the kernel's own calls, without any engine."""

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from contract.campaign import Limits
from contract.errors import EngineError
from workers.engines import cgroup_limits
from workers.verbs.base import Support, Verb, Verbs, emulated, native, none

if TYPE_CHECKING:
    from workers.drivers.process import ProcessInstance

_EXEC_DEADLINE_S = 10.0
_NO_GROUP = "without limits it has no control group of its own"


class ProcessVerbs(Verbs):
    """What can be done to a process, its session, its folder and its control group."""

    async def supports(self, image: str, limits: Limits) -> dict[Verb, Support]:
        """Limits can be moved where there are some."""
        cpu = native("write to cpu.cfs_quota_us or cpu.max of its control group")
        memory = native("write to memory.limit_in_bytes or memory.max of its control group")
        grouped = limits != Limits()
        return await super().supports(image, limits) | {
            Verb.EXEC: emulated("fork, exec in its folder; no namespace or group to enter"),
            Verb.LOGS: none("its output is a pipe; nobody keeps a copy"),
            Verb.PAUSE: native("killpg(SIGSTOP)"),
            Verb.RESUME: native("killpg(SIGCONT)"),
            Verb.STOP: native("kill(SIGTERM) when graceful, killpg(SIGKILL)"),
            Verb.START: emulated("fork, exec: a new process in the same folder and group"),
            Verb.RESTART: emulated("killpg(SIGKILL), then fork, exec in the same folder and group"),
            Verb.SNAPSHOT: none("a process and its folder have no snapshots"),
            Verb.RESTORE: none("a process and its folder have no snapshots"),
            Verb.CHECKPOINT: none("the kernel has no call for it; CRIU is not driven"),
            Verb.CHECKPOINT_RESTORE: none("the kernel has no call for it; CRIU is not driven"),
            Verb.CPU_LESS: cpu if grouped else none(_NO_GROUP),
            Verb.CPU_MORE: cpu if grouped else none(_NO_GROUP),
            Verb.MEMORY_LESS: memory if grouped else none(_NO_GROUP),
            Verb.MEMORY_MORE: memory if grouped else none(_NO_GROUP),
            Verb.RENAME: none("a process is known by its number, which cannot be changed"),
            Verb.LIST: emulated("list of our work folders"),
        }

    async def exec(self, instance: Any, word: str) -> str:
        """A program beside it: the same folder and user, and nothing else that they share."""
        return await self._driver.engine(_echo, _own(instance), word)

    async def pause(self, instance: Any) -> None:
        """Stop it and all that it has started."""
        await self._signal(instance, signal.SIGSTOP)

    async def resume(self, instance: Any) -> None:
        """Let them go on."""
        await self._signal(instance, signal.SIGCONT)

    async def limit_cpus(self, instance: Any, cpus: float) -> None:
        """By its control group."""
        await self._driver.engine(cgroup_limits.limit_cpus, _folders(instance), cpus)

    async def cpus(self, instance: Any) -> float | None:
        """As its control group has it."""
        return await self._driver.engine(cgroup_limits.cpus_of, list(_folders(instance)))

    async def limit_memory(self, instance: Any, memory_mib: int) -> None:
        """By its control group."""
        await self._driver.engine(cgroup_limits.limit_memory, _folders(instance), memory_mib)

    async def memory_mib(self, instance: Any) -> int | None:
        """As its control group has it."""
        return await self._driver.engine(cgroup_limits.memory_mib_of, list(_folders(instance)))

    async def names(self) -> list[str]:
        """The folders of instances that exist."""
        return await self._driver.engine(self._folder_names)

    def _folder_names(self) -> list[str]:
        return [path.name for path in (self._driver.host.state_dir / "process").glob("*/")]

    async def _signal(self, instance: Any, number: signal.Signals) -> None:
        pid = await self._driver.pid(instance)
        if pid is None:
            raise EngineError(f"process: '{instance.spec.name}' does not run")
        try:
            os.killpg(pid, number)
        except ProcessLookupError as error:
            raise EngineError(f"process: '{instance.spec.name}' has ended") from error


def _own(instance: Any) -> "ProcessInstance":
    own: ProcessInstance = instance
    return own


def _folders(instance: Any) -> Any:
    group = _own(instance).group
    if group is None:
        raise EngineError(f"process: '{instance.spec.name}': {_NO_GROUP}")
    return group.folders


def _echo(own: "ProcessInstance", word: str) -> str:
    done = subprocess.run(  # noqa: S603 - arguments only, no shell reads any of them
        ["/bin/echo", word],
        cwd=own.folder,
        capture_output=True,
        text=True,
        timeout=_EXEC_DEADLINE_S,
        check=False,
    )
    return done.stdout
