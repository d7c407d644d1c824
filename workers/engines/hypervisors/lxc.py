"""Containers of libvirt's LXC driver: their XML, and how their host must be."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from workers.engines.domain_xml import vcpus_for
from workers.engines.hypervisors.parts import PERIOD_US, add, begin, end_once
from workers.ownership import Owner

NEEDS = "libvirt's LXC driver (apt install libvirt-daemon-driver-lxc, then restart libvirtd) and root"
_MIXED = (
    "libvirt_lxc: this libvirtd sees control groups of version 1 and, at {place}, of version 2 with "
    "controllers of its own: libvirt's LXC cannot make that place in a container. Boot with version 2 "
    "alone, or run the daemon without it: unshare --mount sh -c 'umount {place}; exec libvirtd'"
)


@dataclass(frozen=True, slots=True)
class ContainerDomain:
    """One container."""

    name: str
    uuid: str
    owner: Owner
    emulator: str
    """The program that holds a container, libvirt_lxc."""
    root: Path
    """Its root file system, its own alone."""
    command: list[str]
    environment: Mapping[str, str]
    memory_mib: int
    without_swap: bool
    """Whether this kernel counts swap, so that none can be allowed."""
    cpus: float | None
    network: str | None
    """A libvirt network's name; None is a network namespace with nothing but a loopback."""


def container_xml(domain: ContainerDomain) -> str:
    """The container's definition."""
    top = begin("lxc", domain.name, domain.uuid, domain.owner)
    add(top, "memory", str(domain.memory_mib), {"unit": "MiB"})
    if domain.without_swap:  # equal values: no swap
        tune = SubElement(top, "memtune")
        add(tune, "hard_limit", str(domain.memory_mib), {"unit": "MiB"})
        add(tune, "swap_hard_limit", str(domain.memory_mib), {"unit": "MiB"})
    add(top, "vcpu", str(vcpus_for(domain.cpus) if domain.cpus else 1))
    if domain.cpus is not None:
        tune = SubElement(top, "cputune")
        add(tune, "period", str(PERIOD_US))
        add(tune, "quota", str(max(1000, round(domain.cpus * PERIOD_US))))
    _add_program(top, domain)
    if domain.network is None:
        SubElement(SubElement(top, "features"), "privnet")
    SubElement(top, "clock", offset="utc")
    end_once(top)
    _add_devices(top, domain)
    return ET.tostring(top, encoding="unicode")


def obstacle(mounts: str) -> str | None:
    """Why libvirtd, by its table of mounts, cannot start a container; None when nothing is known.

    Read off virCgroupV2BindMount (vircgroupv2.c, libvirt 9.0), and seen: version 2 counts when it has a
    controller that no hierarchy of version 1 has taken.
    """
    by_kind: dict[str, list[str]] = {"cgroup": [], "cgroup2": []}
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        kind = rest.split(" ")[0]
        if kind in by_kind:
            by_kind[kind].append(fields.split(" ")[4])
    for place in by_kind["cgroup2"] if by_kind["cgroup"] else []:
        try:
            if Path(place, "cgroup.controllers").read_text().strip():
                return _MIXED.format(place=place)
        except OSError:  # not in our own view: what it holds is not known
            continue
    return None


def emulator_of(capabilities: str) -> str | None:
    """The program for x86 containers, from libvirt's capabilities; None where it has none."""
    top = ET.fromstring(capabilities)  # noqa: S314 - libvirt's own XML
    for guest in top.iterfind("guest"):
        if guest.findtext("os_type") == "exe" and guest.find("arch/domain[@type='lxc']") is not None:
            return guest.findtext("arch/emulator")
    return None


def console_of(xml: str) -> Path | None:
    """The host's end of a running container's console; None when it does not run."""
    top = ET.fromstring(xml)  # noqa: S314 - libvirt's own XML
    source = top.find("devices/console/source")
    path = source.get("path") if source is not None else None
    return Path(path) if path else None


def _add_program(top: Element, domain: ContainerDomain) -> None:
    system = SubElement(top, "os")
    add(system, "type", "exe", {"arch": "x86_64"})
    add(system, "init", domain.command[0])
    for word in domain.command[1:]:
        add(system, "initarg", word)
    for name, value in domain.environment.items():
        add(system, "initenv", value, {"name": name})


def _add_devices(top: Element, domain: ContainerDomain) -> None:
    devices = SubElement(top, "devices")
    add(devices, "emulator", domain.emulator)
    root = SubElement(devices, "filesystem", type="mount", accessmode="passthrough")
    SubElement(root, "source", dir=str(domain.root))
    SubElement(root, "target", dir="/")
    if domain.network is not None:
        interface = SubElement(devices, "interface", type="network")
        SubElement(interface, "source", network=domain.network)
    SubElement(devices, "console", type="pty")
