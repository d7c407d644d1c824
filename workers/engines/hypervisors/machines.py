"""Virtual machines of hypervisors that boot a disk by firmware: VirtualBox, VMware, ESX and vCenter.

Written from the documentation of libvirt's drivers for them, validated against its schema, and run up to
the connection: nobody has run an instance of these yet.
"""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from workers.engines.hypervisors.parts import add, begin, end_once


@dataclass(frozen=True, slots=True)
class MachineDomain:
    """One virtual machine with one disk."""

    name: str
    uuid: str
    memory_mib: int
    vcpus: int
    disk: str
    """A path of this host, or ``[datastore] path`` of an ESX host."""
    console: Path | None
    """Socket that the hypervisor calls as the guest's serial port; None where it cannot."""
    network: str | None


@dataclass(frozen=True, slots=True)
class MachineKind:
    """One hypervisor: what its libvirt driver calls things, and what it needs."""

    domain_type: str
    bus: str
    target: str
    controller: str | None
    """Model of the disk's controller, where it must be said."""
    interface: str
    """Type of network interfaces: a libvirt network, or a bridge of the hypervisor's own."""
    disk_format: str | None
    """What qemu-img calls the format of its disks; None where the hypervisor keeps them itself."""
    programs: tuple[str, ...]
    """Process names of a machine's own process on this host; none where it runs on another."""
    command: str | None
    """A program of the hypervisor's that this host must have."""
    needs: str


def machine_xml(kind: MachineKind, domain: MachineDomain) -> str:
    """The machine's definition."""
    top = begin(kind.domain_type, domain.name, domain.uuid, None)
    add(top, "memory", str(domain.memory_mib), {"unit": "MiB"})
    add(top, "vcpu", str(domain.vcpus))
    system = SubElement(top, "os")
    add(system, "type", "hvm", {"arch": "x86_64"})
    SubElement(system, "boot", dev="hd")
    features = SubElement(top, "features")
    SubElement(features, "acpi")
    SubElement(top, "clock", offset="utc")
    end_once(top)
    devices = SubElement(top, "devices")
    disk = SubElement(devices, "disk", type="file", device="disk")
    SubElement(disk, "source", file=domain.disk)
    SubElement(disk, "target", dev=kind.target, bus=kind.bus)
    if kind.controller is not None:
        SubElement(devices, "controller", type=kind.bus, index="0", model=kind.controller)
    _add_network(devices, kind, domain.network)
    if domain.console is not None:
        serial = SubElement(devices, "serial", type="pipe")
        SubElement(serial, "source", path=str(domain.console))
        SubElement(serial, "target", port="0")
    return ET.tostring(top, encoding="unicode")


def _add_network(devices: Element, kind: MachineKind, network: str | None) -> None:
    if network is None:
        return
    interface = SubElement(devices, "interface", type=kind.interface)
    SubElement(interface, "source", {kind.interface: network})
