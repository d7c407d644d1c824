"""What the drivers of VirtualBox, VMware and ESX share: machines with a copy of a user's disk.

Their libvirt drivers keep no metadata and send no events. So whose a machine is stands in a file of our
own, written before it is made, and its end is looked for.
"""

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from contract.catalog import Settings
from contract.errors import EngineAbsent, EngineError, ImageError
from workers import shell
from workers.console import Console
from workers.drivers.base import Instance, InstanceSpec
from workers.drivers.libvirt_base import GRACE_S, LibvirtDriver, S, binding_version, discard, make_folder
from workers.engines import libvirt_calls, machine_calls
from workers.engines.hypervisors.machines import MachineDomain, MachineKind, machine_xml
from workers.engines.serial_console import SerialConsole, check_socket_path
from workers.images.guest import inspect_disk
from workers.ownership import NAME_PREFIX, Leftover, Owner
from workers.settings import HostSettings

_COPY_DEADLINE_S = 1800.0
_POLL_S = 0.1


class MachineSettings(Settings):
    """What a profile of these machines can vary."""

    memory_mib: int = Field(512, ge=4, le=16_777_216, description="memory, MiB, without limits")
    vcpus: int = Field(1, ge=1, le=255, description="virtual CPUs, when the limits name none")
    network: str = Field(
        "none",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$",
        description="none, or a network of the hypervisor's",
    )
    uri: str | None = Field(None, description="where the hypervisor is, when not where the host says")


@dataclass(slots=True)
class MachineInstance(Instance):
    """A machine, and where things that belong to it lie."""

    uuid: str | None = None
    disk: str | None = None
    socket: Path | None = None
    console: SerialConsole | None = None


class MachineDriver(LibvirtDriver[S]):
    """Virtual machines that boot a copy of a user's disk by firmware. They have no image ``tiny``."""

    kind: ClassVar[MachineKind]
    version_fact = "hypervisor_version"

    def __init__(self, settings: S, host: HostSettings, owner: Owner) -> None:
        assert isinstance(settings, MachineSettings)
        super().__init__(settings, host, owner, settings.uri)
        self._machine: MachineSettings = settings
        self._records = host.state_dir / self.name
        self._sockets = host.run_dir / self.name

    async def open(self) -> None:
        """See that what the hypervisor needs is here, and connect."""
        kind = self.kind
        if kind.command is not None and not shell.has_program(kind.command):
            raise EngineAbsent(
                f"{self.name}: there is no '{kind.command}' on this host: it needs {kind.needs}"
            )
        uri = self.uri
        try:
            await self._ask(machine_calls.versions)
        except EngineError as error:
            raise EngineAbsent(f"{self.name} at {uri}: {error}; it needs {kind.needs}") from error
        for folder in (self._records, self._sockets):
            await self.engine(make_folder, folder / self.host.name)

    async def facts(self) -> dict[str, Any]:
        """Versions. Nobody has measured with this driver yet: its facts say so."""
        libvirt, hypervisor = await self._ask(machine_calls.versions)
        return {
            "libvirt_version": libvirt_calls.dotted(libvirt),
            "hypervisor_version": libvirt_calls.dotted(hypervisor),
            "libvirt_python_version": binding_version(),
            "libvirt_uri": self.uri,
            "emulated": False,
            "untested_driver": True,
            "foreign_instances": await self._ask(machine_calls.count_foreign),
        }

    async def prepare(self, image: str) -> None:
        """See that the disk is there. Raises ImageError."""
        if image == "tiny":
            raise ImageError(
                f"there is no image 'tiny' for {self.name}, which loads no kernel itself: give a disk "
                "that firmware boots"
            )
        await self._see_image(image)

    async def create(self, spec: InstanceSpec) -> Instance:
        """Write down whose it is, copy the disk, define the machine."""
        await self.prepare(spec.image)
        own = MachineInstance(spec)
        vcpus = self._vcpus(spec)
        if self.kind.disk_format is not None:
            own.socket = self._sockets / self.host.name / f"{spec.name}.sock"
            check_socket_path(own.socket)
        own.disk = self._disk_of(spec)
        await self.engine(self._claim, spec.name, own.disk)
        try:
            await self._copy_disk(spec, own.disk)
            domain = MachineDomain(
                name=spec.name,
                uuid=str(uuid.uuid4()),
                memory_mib=spec.limits.memory_mib or self._machine.memory_mib,
                vcpus=vcpus,
                disk=own.disk,
                console=own.socket,
                network=None if self._machine.network == "none" else self._machine.network,
            )
            own.uuid = await self._ask(machine_calls.define, machine_xml(self.kind, domain))
        except EngineError:
            await self.remove(own)
            raise
        return own

    async def attach(self, instance: Instance) -> Console:
        """Listen for the hypervisor's call as the guest's serial port."""
        own = _own(instance)
        if own.socket is None:
            raise EngineError(f"{self.name} gives no console")
        self._let_go(own.console)
        own.console = await SerialConsole.listen(own.socket)
        self._consoles.add(own.console)
        return own.console

    async def start(self, instance: Instance) -> None:
        """Start the machine."""
        own = _own(instance)
        if own.socket is not None and (own.console is None or own.console.is_closed):
            await self.attach(own)
            assert own.console is not None
            own.console.drain()
        await self._ask(libvirt_calls.start, _uuid(own))

    async def pid(self, instance: Instance) -> int | None:
        """PID of the process that runs the machine, where that is on this host."""
        if not self.kind.programs:
            return None
        return await self.engine(machine_calls.process_of, instance.spec.name, self.kind.programs)

    async def stop(self, instance: Instance, *, graceful: bool) -> None:
        """Ask the guest and look for GRACE_S whether it ends, or switch the machine off."""
        own = _own(instance)
        if own.uuid is None:
            return
        if graceful:
            await self._ask(machine_calls.shut_down, own.uuid)
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE_S):
                    while await self._ask(libvirt_calls.is_running, own.uuid):
                        await asyncio.sleep(_POLL_S)
        await self._ask(libvirt_calls.destroy, own.uuid)

    async def remove(self, instance: Instance) -> None:
        """Switch it off; remove machine, disk and socket, and last the file that says whose it is."""
        own = _own(instance)
        self._let_go(own.console)
        await self._remove(own.spec.name, self.host.name)

    async def remains(self, instance: Instance) -> list[str]:
        """The machine, its disk, and the file that says whose it is."""
        own = _own(instance)
        folder = self._records / self.host.name
        left = [str(path) for path in sorted(folder.glob(f"{own.spec.name}.*"))]
        if await self._ask(machine_calls.uuid_of, own.spec.name) is not None:
            left.append(f"domain {own.spec.name}")
        return left

    async def leftovers(self, host: str | None) -> list[Leftover]:
        """Machines that a file of ours speaks of, whether they were made or not."""
        found = [
            Leftover(self.name, "domain", path.stem, path.parent.name)
            for path in sorted(self._records.glob(f"*/{NAME_PREFIX}*.owner"))
        ]
        return [leftover for leftover in found if host in (None, leftover.host)]

    async def sweep(self, leftover: Leftover) -> None:
        """Remove a machine of ours with all that belongs to it."""
        if leftover in await self.leftovers(leftover.host):
            await self._remove(leftover.name, leftover.host)

    async def _see_image(self, image: str) -> None:
        if self.kind.disk_format is None:
            await self._ask(machine_calls.see_disk, image)
            return
        if not Path(image).is_absolute():
            raise ImageError(f"'{image}' names no disk of this host: give its absolute path")
        await self.engine(inspect_disk, Path(image))

    def _disk_of(self, spec: InstanceSpec) -> str:
        """Where the machine's own disk shall lie."""
        if self.kind.disk_format is None:
            return machine_calls.own_disk(spec.image, spec.name)
        return str(self._records / self.host.name / f"{spec.name}.{self.kind.disk_format}")

    async def _copy_disk(self, spec: InstanceSpec, disk: str) -> None:
        """A whole copy: no overlay of one hypervisor is another's."""
        if self.kind.disk_format is None:
            await self._ask(machine_calls.clone_disk, spec.image, disk)
            return
        command = ["qemu-img", "convert", "-O", self.kind.disk_format, spec.image, disk]
        await self._threads.call(_COPY_DEADLINE_S, _run, command)

    async def _remove(self, name: str, host: str) -> None:
        found = await self._ask(machine_calls.uuid_of, name)
        if found is not None:
            await self._ask(libvirt_calls.destroy, found)
            await self._ask(libvirt_calls.undefine_record, found)
        record = self._records / host / f"{name}.owner"
        if self.kind.disk_format is not None:
            discard(self._records / host / f"{name}.{self.kind.disk_format}")
        elif (disk := await self.engine(_read, record)) is not None:
            await self._ask(machine_calls.delete_disk, disk)
        discard(self._sockets / host / f"{name}.sock")
        discard(record)

    def _claim(self, name: str, disk: str) -> None:
        """Write down whose a machine will be, and where its disk will lie."""
        record = self._records / self.host.name / f"{name}.owner"
        try:
            with record.open("x") as file:
                file.write(disk)
        except OSError as error:
            raise EngineError(f"{self.name}: '{name}' cannot be made: {error}") from error

    def _vcpus(self, spec: InstanceSpec) -> int:
        cpus = spec.limits.cpus
        if cpus is None:
            return self._machine.vcpus
        if cpus != int(cpus):
            raise EngineError(f"{self.name} gives whole processors only, and the limits say {cpus:g}")
        return int(cpus)


def _own(instance: Instance) -> MachineInstance:
    assert isinstance(instance, MachineInstance), "an instance of another driver"
    return instance


def _uuid(own: MachineInstance) -> str:
    assert own.uuid is not None, "it was not created"
    return own.uuid


def _run(command: list[str]) -> None:
    shell.run(command, deadline_s=_COPY_DEADLINE_S)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
