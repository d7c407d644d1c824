"""Verbs of libvirt on virtual machines of QEMU."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from contract.campaign import Limits
from workers.engines import cgroup_limits, libvirt_verbs
from workers.engines.libvirt_session import NoSuchDomain
from workers.ownership import NAME_PREFIX
from workers.verbs.base import Renewed, Support, Verb, Verbs, emulated, native, none

_NO_AGENT = "the guest runs no QEMU guest agent, which virDomainQemuAgentCommand would ask"
_NO_LOG = "the guest's serial port is ours; libvirt has no call that tells what was said on it"
_NO_BALLOON = "its domains have no balloon device: virDomainSetMemoryFlags has nothing to move"
_NO_DISK = "the guest lives in its initramfs and has no disk to hold one: 'boot: disk' does"


class LibvirtVerbs(Verbs):
    """What libvirt does to domains. Snapshots lie inside the guest's own qcow2 disk, memory included."""

    async def supports(self, image: str, limits: Limits) -> dict[Verb, Support]:
        """Snapshots need a disk, and a CPU limit one to begin with."""
        disk = self._has_disk(image)
        quota = native("virDomainSetSchedulerParametersFlags(global_quota): of QEMU, not its processors")
        return await super().supports(image, limits) | {
            Verb.EXEC: none(_NO_AGENT),
            Verb.LOGS: none(_NO_LOG),
            Verb.PAUSE: native("virDomainSuspend"),
            Verb.RESUME: native("virDomainResume"),
            Verb.STOP: native("virDomainShutdownFlags when graceful, virDomainDestroy"),
            Verb.START: native("virDomainCreate"),
            Verb.RESTART: emulated("virDomainDestroy, virDomainCreate"),
            Verb.SNAPSHOT: native("virDomainSnapshotCreateXML: disk and memory, in the qcow2 disk")
            if disk
            else none(_NO_DISK),
            Verb.RESTORE: native("virDomainRevertToSnapshot") if disk else none(_NO_DISK),
            Verb.CHECKPOINT: native("virDomainManagedSave: memory to a file, and off"),
            Verb.CHECKPOINT_RESTORE: native("virDomainCreate, which goes on from that file"),
            Verb.CPU_LESS: quota,
            Verb.CPU_MORE: quota,
            Verb.MEMORY_LESS: none(_NO_BALLOON),
            Verb.MEMORY_MORE: none(_NO_BALLOON),
            Verb.RENAME: emulated(
                "virDomainDestroy, virDomainRename, virDomainCreate: not while it runs"
            ),
            Verb.LIST: native("virConnectListAllDomains"),
        }

    def _has_disk(self, image: str) -> bool:
        return image != "tiny" or self._driver.settings.boot == "disk"

    async def pause(self, instance: Any) -> None:
        """Its processors stand still."""
        await self._ask(libvirt_verbs.suspend, instance.uuid)

    async def resume(self, instance: Any) -> None:
        """They go on."""
        await self._ask(libvirt_verbs.resume, instance.uuid)

    async def save(self, verb: Verb, instance: Any, name: str) -> None:
        """A snapshot of one that goes on; or its memory in a file, and off."""
        if verb is Verb.SNAPSHOT:
            await self._ask(libvirt_verbs.take_snapshot, instance.uuid, name)
        else:
            await self._ask(libvirt_verbs.save, instance.uuid)

    async def saved(self, verb: Verb, instance: Any) -> list[str]:
        """Snapshots by their names. Of memory there is one file at most, which has none."""
        if verb is Verb.SNAPSHOT:
            listed: list[str] = await self._ask(libvirt_verbs.snapshots, instance.uuid)
            return listed
        there = await self._ask(libvirt_verbs.is_saved, instance.uuid)
        return [f"{instance.spec.name}.save"] if there else []

    async def bring_back(self, verb: Verb, instance: Any, name: str) -> Renewed:
        """Revert, or start."""
        console = await self._driver.attach(instance)
        if verb is Verb.SNAPSHOT:
            await self._ask(libvirt_verbs.revert, instance.uuid, name)
        else:
            await self._driver.start(instance)
        return Renewed(instance, console)

    async def forget(self, verb: Verb, instance: Any, name: str) -> None:
        """Remove a snapshot from the disk. A file of memory is gone with the start that it was for."""
        if verb is Verb.SNAPSHOT:
            await self._ask(libvirt_verbs.drop_snapshot, instance.uuid, name)

    async def limit_cpus(self, instance: Any, cpus: float) -> None:
        """The quota of all of QEMU."""
        await self._ask(libvirt_verbs.limit_cpus, instance.uuid, cpus)

    async def cpus(self, instance: Any) -> float | None:
        """As the domain's control group has it."""
        return await self._driver.engine(cgroup_limits.cpus_of, instance.cgroups)

    async def rename(self, instance: Any, name: str) -> Renewed:
        """Off, renamed, on."""
        driver: Any = self._driver
        await driver.stop(instance, graceful=False)
        # The log goes by the name. Removed before, it cannot be left by a worker that dies in between.
        with suppress(OSError):
            driver._files.log(instance.spec.name).unlink()
        await self._ask(libvirt_verbs.rename, instance.uuid, name)
        instance.spec = replace(instance.spec, name=name)
        console = await driver.attach(instance)
        await driver.start(instance)
        return Renewed(instance, console)

    async def knows(self, instance: Any, name: str) -> bool:
        """Whether the name leads to the domain."""
        try:
            return bool(await self._ask(libvirt_verbs.is_named, instance.uuid, name))
        except NoSuchDomain:
            return False

    async def names(self) -> list[str]:
        """Domains whose names begin as ours do."""
        there = await self._ask(libvirt_verbs.names)
        return [name for name in there if name.startswith(NAME_PREFIX)]

    async def _ask(self, function: Any, *args: Any) -> Any:
        driver: Any = self._driver
        return await driver._ask(function, *args)
