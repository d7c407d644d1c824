"""libvirt_esx: virtual machines of ESX and vCenter, through libvirt. Untested beyond the connection."""

from typing import ClassVar

from pydantic import field_validator

from contract.catalog import Capability, Settings
from workers.drivers.libvirt_machines import MachineDriver, MachineSettings
from workers.engines.hypervisors.machines import MachineKind
from workers.libvirt_uris import own_uri


class EsxSettings(MachineSettings):
    """What a profile of ESX and vCenter can vary."""

    @field_validator("uri")
    @classmethod
    def _is_its_own(cls, uri: str | None) -> str | None:
        return own_uri("libvirt_esx", uri)


class Driver(MachineDriver[EsxSettings]):
    """Images: a disk of the host, ``[datastore] folder/disk.vmdk``, that firmware boots."""

    name = "libvirt_esx"
    summary = "virtual machines of ESX and vCenter, through libvirt; untested"
    Settings: ClassVar[type[Settings]] = EsxSettings
    offers = frozenset({Capability.GRACEFUL_STOP, Capability.LIMITS})
    kind = MachineKind(
        domain_type="vmware",
        bus="scsi",
        target="sda",
        controller="lsilogic",
        interface="bridge",
        disk_format=None,
        programs=(),
        command=None,
        needs=(
            "an ESX host or vCenter within reach by HTTPS (--libvirt-uri esx://USER@HOST/), a "
            "licence that lets its API write, and credentials in libvirt's auth.conf (LIBVIRT_AUTH_FILE)"
        ),
    )
