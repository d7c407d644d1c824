"""libvirt_vmware: machines of VMware Workstation, Player or Fusion. Untested beyond the connection."""

from typing import ClassVar

from pydantic import field_validator

from contract.catalog import Capability, Settings
from workers.drivers.libvirt_machines import MachineDriver, MachineSettings
from workers.engines.hypervisors.machines import MachineKind
from workers.libvirt_uris import own_uri


class VmwareSettings(MachineSettings):
    """What a profile of VMware Workstation, Player or Fusion can vary."""

    @field_validator("uri")
    @classmethod
    def _is_its_own(cls, uri: str | None) -> str | None:
        return own_uri("libvirt_vmware", uri)


class Driver(MachineDriver[VmwareSettings]):
    """Images: the absolute path of a disk image of this host that firmware boots."""

    name = "libvirt_vmware"
    summary = "virtual machines of VMware on this host, through libvirt; untested"
    Settings: ClassVar[type[Settings]] = VmwareSettings
    offers = frozenset({Capability.CONSOLE, Capability.GRACEFUL_STOP, Capability.LIMITS})
    kind = MachineKind(
        domain_type="vmware",
        bus="scsi",
        target="sda",
        controller="lsilogic",
        interface="bridge",
        disk_format="vmdk",
        programs=("vmware-vmx",),
        command="vmrun",
        needs=(
            "VMware Workstation, Player or Fusion with its program 'vmrun', and a worker that runs as "
            "the user who owns the machines"
        ),
    )
