"""Verbs of libvirt's LXC driver on containers, for the driver of that hypervisor."""

from typing import Any

from contract.campaign import Limits
from contract.errors import EngineError
from workers import shell
from workers.engines import cgroup_limits, libvirt_verbs
from workers.verbs.base import Support, Verb, emulated, native, none
from workers.verbs.libvirt import LibvirtVerbs

_EXEC_DEADLINE_S = 10.0
_NO_LOG = "the container's terminal is ours; libvirt has no call that tells what was said on it"
_NOT_BY_LXC = "libvirt's LXC driver does not have {}"


class LxcVerbs(LibvirtVerbs):
    """What libvirt does to containers: less than to machines, and more of it by the host's kernel."""

    async def supports(self, image: str, limits: Limits) -> dict[Verb, Support]:
        """Limits are those of the container's control group."""
        quota = native("virDomainSetSchedulerParametersFlags(vcpu_quota)")
        memory = native("virDomainSetMemoryFlags")
        snapshot = none(_NOT_BY_LXC.format("virDomainSnapshotCreateXML"))
        checkpoint = none(_NOT_BY_LXC.format("virDomainManagedSave"))
        return await super().supports(image, limits) | {
            Verb.EXEC: emulated("setns(2) into its namespaces, by nsenter"),
            Verb.LOGS: none(_NO_LOG),
            Verb.STOP: native("virDomainSendProcessSignal when graceful, virDomainDestroy"),
            Verb.SNAPSHOT: snapshot,
            Verb.RESTORE: snapshot,
            Verb.CHECKPOINT: checkpoint,
            Verb.CHECKPOINT_RESTORE: checkpoint,
            Verb.CPU_LESS: quota,
            Verb.CPU_MORE: quota,
            Verb.MEMORY_LESS: memory,
            Verb.MEMORY_MORE: memory,
            Verb.RENAME: none(_NOT_BY_LXC.format("virDomainRename")),
        }

    def _has_disk(self, image: str) -> bool:
        return False

    async def exec(self, instance: Any, word: str) -> str:
        """A program in the namespaces of the container's first process."""
        pid = await self._driver.pid(instance)
        if pid is None:
            raise EngineError(f"'{instance.spec.name}' does not run")
        program = ["/bin/busybox", "echo"] if instance.spec.image == "tiny" else ["/bin/echo"]
        return await self._driver.engine(_run_inside, pid, [*program, word])

    async def limit_cpus(self, instance: Any, cpus: float) -> None:
        """The quota of the whole container."""
        await self._ask(libvirt_verbs.limit_container_cpus, instance.uuid, cpus)

    async def limit_memory(self, instance: Any, memory_mib: int) -> None:
        """The limit of the container's control group."""
        await self._ask(libvirt_verbs.limit_container_memory, instance.uuid, memory_mib)

    async def memory_mib(self, instance: Any) -> int | None:
        """As the container's control group has it."""
        return await self._driver.engine(cgroup_limits.memory_mib_of, instance.cgroups)


def _run_inside(pid: int, command: list[str]) -> str:
    enter = ["nsenter", "--target", str(pid), "--mount", "--uts", "--ipc", "--pid", "--root", "--wd"]
    return str(shell.run([*enter, *command], deadline_s=_EXEC_DEADLINE_S).stdout)
