"""libvirt: virtual machines of QEMU, through this host's libvirt daemon."""

import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from contract.catalog import Capability, Settings
from contract.errors import EngineError
from workers.console import Console
from workers.drivers.base import Fault, Hear, Instance, InstanceSpec
from workers.drivers.libvirt_base import (
    LocalLibvirtDriver,
    binding_version,
    discard,
    make_folder,
    volunteer,
)
from workers.engines import libvirt_calls
from workers.engines.daemon_restart import restart_engine
from workers.engines.delivery import Delivery
from workers.engines.domain_xml import Domain, Machine, domain_xml, vcpus_for
from workers.engines.libvirt_boot import BootSources, Chosen, see_that_qemu_reaches
from workers.engines.libvirt_calls import Engine
from workers.engines.libvirt_delivery import LibvirtDelivery
from workers.engines.libvirt_files import cgroups_of, connection_limits
from workers.engines.libvirt_records import MIN_MEMORY_MIB, LibvirtInstance, LibvirtSettings
from workers.engines.serial_console import SerialConsole, check_socket_path
from workers.images.guest import DiskImage, make_overlay
from workers.images.tree import BUILD_DEADLINE_S
from workers.libvirt_uris import driver_of
from workers.ownership import NAME_PREFIX, Leftover, Owner
from workers.settings import HostSettings
from workers.verbs.libvirt import LibvirtVerbs

_NONCE = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
"""What may stand on a kernel's command line without changing its meaning."""


class Driver(LocalLibvirtDriver[LibvirtSettings]):
    """Virtual machines. Images: ``tiny``, or the absolute path of an image's folder or a disk image."""

    name = "libvirt"
    summary = "virtual machines of QEMU under libvirt, with KVM where it works or emulated"
    version_fact = "libvirt_version"
    verb_kind = LibvirtVerbs
    Settings: ClassVar[type[Settings]] = LibvirtSettings
    offers = frozenset(
        {
            Capability.CONSOLE,
            Capability.GRACEFUL_STOP,
            Capability.LIMITS,
            Capability.RESTART_POLICY,
            Capability.GUEST_KERNEL,
            Capability.ENGINE_RESTART,
            Capability.REGISTRY,
            Capability.DISK_FORMS,
        }
    )

    @classmethod
    def stands_for(cls, settings: Mapping[str, Any]) -> str:
        """The driver that a URI belongs to: each hypervisor has one, with capabilities of its own."""
        return driver_of(str(settings.get("uri"))) or cls.name

    def __init__(self, settings: LibvirtSettings, host: HostSettings, owner: Owner) -> None:
        super().__init__(settings, host, owner, settings.uri)
        self._disks = host.state_dir / "libvirt"
        self._sockets = host.run_dir / "libvirt"
        self._boots = BootSources(host, settings.boot)
        self._delivery = LibvirtDelivery(host, self._threads, self._boots.delivered)
        self._engine: Engine | None = None

    @property
    def _opened(self) -> Engine:
        assert self._engine is not None, "the driver is not open"
        return self._engine

    async def open(self) -> None:
        """Connect, and see that QEMU will be able to reach our files."""
        self._engine = await self._ask(libvirt_calls.examine, self.settings.machine)
        for folder in (self._disks, self._sockets):
            await self.engine(make_folder, folder / self.host.name)
        user = self.settings.ids or self._opened.qemu_user
        see_that_qemu_reaches(self._sockets / self.host.name / "any", user, "run_dir")
        if self.settings.ids and self._files.guests:
            see_that_qemu_reaches(self._files.guests / "any", self.settings.ids, "user")
        await self.engine(self._session.listen)

    async def facts(self) -> dict[str, Any]:
        """Versions, accelerator and why, machine, guest kernel, and the daemon's limits."""
        chosen = await self._choose()
        guest = self._boots.guest
        of_guest = (
            {
                "guest_kernel_version": guest.kernel_version,
                "guest_power_button": guest.power_button,
            }
            if guest
            else {}
        )
        return of_guest | {
            "libvirt_version": self._opened.libvirt_version,
            "libvirt_python_version": binding_version(),
            "qemu_version": self._opened.qemu_version,
            "libvirt_uri": self.uri,
            "machine": self._opened.machine_version,
            "accelerator": chosen.accelerator,
            "accelerator_reason": chosen.reason,
            "emulated": chosen.accelerator == "tcg",
            "daemon_limits": connection_limits(),
            "foreign_instances": await self._ask(libvirt_calls.count_foreign),
        }

    async def prepare(self, image: str) -> None:
        """Build ``tiny`` or a folder's disk, or look at a disk image; settle the accelerator."""
        await self._threads.call(BUILD_DEADLINE_S, self._boots.prepare, image, self._opened)
        await self._choose()

    async def create(self, spec: InstanceSpec) -> Instance:
        """Define the domain, and make its disk."""
        domain = await self._domain(spec)
        # The record comes first: it claims the name, and tells a sweep whose the disk is.
        await self._ask(libvirt_calls.define, domain_xml(domain))
        overlay = domain.disk.overlay if domain.disk else None
        instance = LibvirtInstance(spec, domain.uuid, domain.console, overlay)
        if domain.disk is not None:
            below = DiskImage(domain.disk.base, domain.disk.base_format)
            try:
                await self.engine(make_overlay, below, domain.disk.overlay)
            except EngineError:
                await self.remove(instance)
                raise
        return instance

    async def attach(self, instance: Instance) -> Console:
        """Listen for QEMU's call: lines come once the domain has started."""
        return await self._listen(_own(instance))

    async def start(self, instance: Instance) -> None:
        """Start the domain."""
        own = _own(instance)
        if own.console is None or own.console.is_closed:
            (await self._listen(own)).drain()
        await self._ask(libvirt_calls.start, own.uuid)
        pid = self._files.pid(own.spec.name)
        if pid is not None:
            own.cgroups = cgroups_of(pid, own.spec.name)
            volunteer(pid)

    async def pid(self, instance: Instance) -> int | None:
        """PID of its QEMU."""
        return self._files.pid(instance.spec.name)

    async def listen(self, instance: Instance, hear: Hear) -> Callable[[], None]:
        """Follow libvirt's events about the domain."""
        await self.engine(self._session.listen)
        return self._session.tell(_own(instance).uuid, hear)

    async def inject(self, instance: Instance, fault: Fault) -> None:
        """Signals to QEMU, an interrupt that a guest of ours panics at, or a restart of libvirt."""
        if fault is Fault.PANIC:
            await self._ask(libvirt_calls.inject_nmi, _own(instance).uuid)
        elif fault is Fault.ENGINE_RESTART:
            await restart_engine(self, self._files.daemon_socket)
            await self.engine(self._session.listen)
        else:
            await super().inject(instance, fault)

    async def stop(self, instance: Instance, *, graceful: bool) -> None:
        """Press the power button and wait for GRACE_S, or kill QEMU at once."""
        own = _own(instance)
        if not (graceful and await self._ends_when_asked(own.uuid, libvirt_calls.press_power_button)):
            await self._ask(libvirt_calls.destroy, own.uuid)

    async def remove(self, instance: Instance) -> None:
        """Kill QEMU if it runs; remove record, disk, socket and log."""
        own = _own(instance)
        self._let_go(own.console)
        await self._drop_domain(own.spec.name, own.uuid)
        for path in (own.socket, own.overlay):
            if path is not None:
                discard(path)

    async def remains(self, instance: Instance) -> list[str]:
        """Record, state files, control groups, disk and socket."""
        own = _own(instance)
        places = [*own.cgroups, own.socket, *([own.overlay] if own.overlay else [])]
        return await self._left_of(own.spec.name, own.uuid, places)

    async def leftovers(self, host: str | None) -> list[Leftover]:
        """Domains that carry our metadata, disks and sockets in our folders."""
        found = await self._left_domains()
        for kind in ("disk", "socket"):
            files = self._files_of_ours(kind)
            found += [Leftover(self.name, kind, path.name, path.parent.name) for path in files]
        return [leftover for leftover in found if host in (None, leftover.host)]

    async def sweep(self, leftover: Leftover) -> None:
        """Remove a domain of ours by its name, or a file in our folders."""
        if leftover.kind == "domain":
            await self._sweep_domain(leftover)
            return
        for path in self._files_of_ours(leftover.kind):
            if (path.name, path.parent.name) == (leftover.name, leftover.host):
                path.unlink(missing_ok=True)

    def delivery(self) -> Delivery:
        """Disks, which travel as blobs of an image."""
        return self._delivery

    async def _choose(self) -> Chosen:
        return await self.engine(self._boots.choose, self.settings.accel, self._opened)

    async def _domain(self, spec: InstanceSpec) -> Domain:
        if not _NONCE.match(spec.nonce):
            raise EngineError(f"nonce {spec.nonce!r} cannot stand on a kernel's command line")
        limits = spec.limits
        memory_mib = limits.memory_mib or self.settings.memory_mib
        if self._boots.is_ours(spec.image) and memory_mib < MIN_MEMORY_MIB:
            raise EngineError(
                f"a virtual machine of image 'tiny' needs {MIN_MEMORY_MIB} MiB at least, the limits "
                f"give it {memory_mib}: its kernel would hang before its first word"
            )
        socket = self._sockets / self.host.name / f"{spec.name}.sock"
        check_socket_path(socket)
        overlay = self._disks / self.host.name / f"{spec.name}.qcow2"
        boot, disk = await self.engine(
            self._boots.sources, spec.image, spec.nonce, overlay, self._opened
        )
        return Domain(
            name=spec.name,
            uuid=str(uuid.uuid4()),
            owner=self.owner,
            machine=await self._machine(),
            memory_mib=memory_mib,
            vcpus=vcpus_for(limits.cpus) if limits.cpus else self.settings.vcpus,
            cpus=limits.cpus,
            boot=boot,
            disk=disk,
            console=socket,
            user=self.settings.user,
            revived=spec.revived,
        )

    async def _machine(self) -> Machine:
        return Machine(
            emulator=self._opened.emulator,
            kind=self.settings.machine,
            accelerator=(await self._choose()).accelerator,
            network=None if self.settings.network == "none" else self.settings.network,
            relabels=(self.settings.ids or self._opened.qemu_user) is not None,
        )

    def _files_of_ours(self, kind: str) -> list[Path]:
        """Disks or sockets of all hosts that share our folders; one folder per host."""
        top = self._disks if kind == "disk" else self._sockets
        return sorted(top.glob(f"*/{NAME_PREFIX}*"))

    async def _listen(self, own: LibvirtInstance) -> SerialConsole:
        self._let_go(own.console)
        own.console = await SerialConsole.listen(own.socket)
        self._consoles.add(own.console)
        return own.console


def _own(instance: Instance) -> LibvirtInstance:
    assert isinstance(instance, LibvirtInstance), "an instance of another driver"
    return instance
