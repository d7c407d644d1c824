"""libvirt_vbox: virtual machines of VirtualBox, through libvirt. Untested beyond the connection."""

from typing import ClassVar

from pydantic import field_validator

from contract.catalog import Capability, Settings
from workers.drivers.libvirt_machines import MachineDriver, MachineSettings
from workers.engines.hypervisors.machines import MachineKind
from workers.libvirt_uris import own_uri


class VboxSettings(MachineSettings):
    """What a profile of VirtualBox can vary."""

    @field_validator("uri")
    @classmethod
    def _is_its_own(cls, uri: str | None) -> str | None:
        return own_uri("libvirt_vbox", uri)


class Driver(MachineDriver[VboxSettings]):
    """Images: the absolute path of a disk image of this host that firmware boots."""

    name = "libvirt_vbox"
    summary = "virtual machines of VirtualBox, through libvirt; untested"
    Settings: ClassVar[type[Settings]] = VboxSettings
    offers = frozenset({Capability.CONSOLE, Capability.GRACEFUL_STOP, Capability.LIMITS})
    kind = MachineKind(
        domain_type="vbox",
        bus="sata",
        target="sda",
        controller=None,
        interface="network",
        disk_format="vdi",
        programs=("VBoxHeadless", "VirtualBoxVM"),
        command="VBoxManage",
        needs=(
            "VirtualBox of a version that libvirt's driver knows, that driver (apt install "
            "libvirt-daemon-driver-vbox), and a worker that runs as the user who owns the machines"
        ),
    )
