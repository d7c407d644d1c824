"""What a profile of virtual machines can vary, and what the driver knows of one machine."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from contract.catalog import Settings
from workers.drivers.base import Instance
from workers.engines.serial_console import SerialConsole
from workers.libvirt_uris import own_uri

MIN_MEMORY_MIB = 96
"""For ``tiny``: with less, a stock kernel hangs before its first word."""


class LibvirtSettings(Settings):
    """What a profile of virtual machines can vary."""

    machine: Literal["pc", "q35"] = Field(
        "pc", description="machine type: the classic PC, or PCI Express"
    )
    accel: Literal["auto", "kvm", "tcg"] = Field(
        "auto", description="auto takes KVM where a guest really boots under it, else emulates (tcg)"
    )
    boot: Literal["initramfs", "disk"] = Field(
        "initramfs", description="where image 'tiny' lives: in memory, or on a qcow2 overlay"
    )
    memory_mib: int = Field(
        128, ge=MIN_MEMORY_MIB, le=16_777_216, description="memory, MiB, without limits"
    )
    vcpus: int = Field(1, ge=1, le=255, description="virtual CPUs, when the limits name none")
    network: str = Field(
        "none", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="none, or a libvirt network"
    )
    user: str | None = Field(
        None,
        pattern=r"^[0-9]{1,10}:[0-9]{1,10}$",
        description="UID:GID that QEMU runs as, where libvirt can choose; None is libvirt's own choice",
    )
    uri: str | None = Field(None, description="a local libvirt other than the host's own")

    @field_validator("uri")
    @classmethod
    def _is_qemus(cls, uri: str | None) -> str | None:
        return own_uri("libvirt", uri)

    @property
    def ids(self) -> tuple[int, int] | None:
        """User and group of ``user``."""
        if self.user is None:
            return None
        uid, gid = map(int, self.user.split(":"))
        return uid, gid


@dataclass(slots=True)
class LibvirtInstance(Instance):
    """A domain, and where things that belong to it lie."""

    uuid: str
    socket: Path
    overlay: Path | None
    console: SerialConsole | None = None
    cgroups: list[Path] = field(default_factory=list)
    """Known once it has started."""
