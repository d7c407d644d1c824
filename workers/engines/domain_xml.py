"""The XML by which libvirt is told of a virtual machine, and the owner that is written into it."""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from workers.engines.accelerator import Accelerator
from workers.ownership import Owner, owner_from_labels

OWNER_NAMESPACE = "urn:tonnage:owner"
"""XML namespace of the owner's element in a domain's metadata."""

_PERIOD_US = 100_000
"""Accounting period of a CPU quota, microseconds: the kernel's and Docker's default."""

ET.register_namespace("tonnage", OWNER_NAMESPACE)


@dataclass(frozen=True, slots=True)
class DirectBoot:
    """A kernel that QEMU loads by itself."""

    kernel: Path
    initramfs: Path
    command_line: str


@dataclass(frozen=True, slots=True)
class OverlayDisk:
    """A disk that holds its differences from a base that is never written to."""

    overlay: Path
    base: Path
    base_format: str
    deeper: tuple[Path, ...] = ()
    """What lies below the base, the next one first; all in qcow2."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is the same for all instances of a profile on this host."""

    emulator: str
    """QEMU's program."""
    kind: str
    """Machine type: pc, q35."""
    accelerator: Accelerator
    network: str | None
    """A libvirt network's name."""
    relabels: bool
    """Whether this libvirt hands files over to QEMU's own user (security model ``dac``)."""


@dataclass(frozen=True, slots=True)
class Domain:
    """One virtual machine."""

    name: str
    uuid: str
    owner: Owner
    machine: Machine
    memory_mib: int
    vcpus: int
    cpus: float | None
    """Limit of the whole QEMU process, CPU seconds per second."""
    boot: DirectBoot | None
    """None: firmware boots the disk."""
    disk: OverlayDisk | None
    console: Path
    """Socket that QEMU calls."""
    user: str | None = None
    """UID:GID that QEMU runs as; None is libvirt's own choice."""
    revived: bool = False
    """libvirt starts it again when it powers off, restarts or panics. Not when its QEMU is killed."""


def domain_xml(domain: Domain) -> str:
    """The domain's definition. Once it ends, restarts or panics it is off, unless it is revived."""
    top = Element("domain", type="kvm" if domain.machine.accelerator == "kvm" else "qemu")
    _text(top, "name", domain.name)
    _text(top, "uuid", domain.uuid)
    metadata = SubElement(top, "metadata")
    SubElement(metadata, f"{{{OWNER_NAMESPACE}}}owner", domain.owner.labels())
    _text(top, "memory", str(domain.memory_mib), unit="MiB")
    _text(top, "vcpu", str(domain.vcpus))
    _add_cpu_limit(top, domain)
    _add_boot(top, domain)
    SubElement(SubElement(top, "features"), "acpi")
    if domain.machine.accelerator == "kvm":
        SubElement(top, "cpu", mode="host-passthrough")
    SubElement(top, "clock", offset="utc")
    for event in ("on_poweroff", "on_reboot", "on_crash"):
        _text(top, event, "restart" if domain.revived else "destroy")
    _add_devices(top, domain)
    if domain.user is not None:
        # What it needs is handed over to that user while it runs.
        label = SubElement(top, "seclabel", type="static", model="dac", relabel="yes")
        _text(label, "label", "+" + domain.user.replace(":", ":+"))  # + says: a number, not a name
    return ET.tostring(top, encoding="unicode")


def owner_from_metadata(xml: str) -> Owner | None:
    """The owner in a domain's metadata element, or None when it is not ours."""
    try:
        return owner_from_labels(ET.fromstring(xml).attrib)  # noqa: S314 - libvirt's own XML
    except ET.ParseError:
        return None


def vcpus_for(cpus: float) -> int:
    """Virtual CPUs needed to use ``cpus`` CPU seconds per second."""
    return max(1, math.ceil(cpus))


def _add_cpu_limit(top: Element, domain: Domain) -> None:
    if domain.cpus is None:
        return
    tune = SubElement(top, "cputune")
    # The global limit covers all of QEMU, as a container's covers all of the container.
    _text(tune, "global_period", str(_PERIOD_US))
    _text(tune, "global_quota", str(max(1000, round(domain.cpus * _PERIOD_US))))


def _add_boot(top: Element, domain: Domain) -> None:
    system = SubElement(top, "os")
    _text(system, "type", "hvm", arch="x86_64", machine=domain.machine.kind)
    if domain.boot is None:
        SubElement(system, "boot", dev="hd")
        return
    _text(system, "kernel", str(domain.boot.kernel))
    _text(system, "initrd", str(domain.boot.initramfs))
    _text(system, "cmdline", domain.boot.command_line)


def _add_devices(top: Element, domain: Domain) -> None:
    devices = SubElement(top, "devices")
    _text(devices, "emulator", domain.machine.emulator)
    if domain.disk is not None:
        _add_disk(devices, domain.disk, relabels=domain.machine.relabels)
    if domain.machine.network is not None:
        interface = SubElement(devices, "interface", type="network")
        SubElement(interface, "source", network=domain.machine.network)
        SubElement(interface, "model", type="virtio")
    serial = SubElement(devices, "serial", type="unix")
    SubElement(serial, "source", mode="connect", path=str(domain.console))
    SubElement(serial, "target", type="isa-serial", port="0")
    # What libvirt would add unasked: a USB controller costs the guest start-up time, and a balloon
    # makes its memory a moving target.
    SubElement(devices, "controller", type="usb", model="none")
    SubElement(devices, "memballoon", model="none")


def _add_disk(devices: Element, disk: OverlayDisk, *, relabels: bool) -> None:
    top = SubElement(devices, "disk", type="file", device="disk")
    SubElement(top, "driver", name="qemu", type="qcow2")
    SubElement(top, "source", file=str(disk.overlay))
    # Spelt out, since libvirt does not guess formats, and would hand the base over to QEMU's user.
    below = top
    for path, kind in ((disk.base, disk.base_format), *((path, "qcow2") for path in disk.deeper)):
        below = SubElement(below, "backingStore", type="file")
        SubElement(below, "format", type=kind)
        source = SubElement(below, "source", file=str(path))
        if relabels:
            SubElement(source, "seclabel", model="dac", relabel="no")
    SubElement(below, "backingStore")
    SubElement(top, "target", dev="vda", bus="virtio")


def _text(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, attributes).text = text
