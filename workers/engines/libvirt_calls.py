"""What the driver asks of libvirt, each as one function of a connection, run on an engine thread."""

import contextlib
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from contract.errors import EngineAbsent, EngineError
from workers.engines.domain_xml import OWNER_NAMESPACE, owner_from_metadata
from workers.engines.libvirt_session import NoSuchDomain, NotRunning, in_our_words
from workers.ownership import NAME_PREFIX, Owner

# Constants of libvirt's stable interface, spelt out since its library may not be installed.
_LIST_ACTIVE = 1
_METADATA_ELEMENT = 2
_SHUTDOWN_ACPI_POWER_BUTTON = 1
_SHUTDOWN_SIGNAL = 8
_UNDEFINE_ALL = 1 | 2 | 4 | 16
"""With managed save, snapshots' metadata, NVRAM and checkpoints' metadata."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One host's libvirt and QEMU."""

    libvirt_version: str
    qemu_version: str
    emulator: str
    """QEMU's program."""
    machine_version: str
    """What the machine type stands for in this QEMU."""
    qemu_user: tuple[int, int] | None
    """User and group ids that QEMU runs as, when not as this libvirt's own user."""


def examine(connection: Any, machine: str) -> Engine:
    """Look at libvirt and QEMU. Raises EngineAbsent when it cannot run x86 machines of this type."""
    try:
        with in_our_words("getDomainCapabilities"):
            described = connection.getDomainCapabilities(None, "x86_64", machine, "qemu", 0)
    except EngineError as error:
        raise EngineAbsent(
            f"this libvirt cannot run x86 machines of type '{machine}' ({error}): "
            "install 'qemu-system-x86'"
        ) from error
    found = ET.fromstring(described)  # noqa: S314 - libvirt's own XML
    return Engine(
        libvirt_version=dotted(connection.getLibVersion()),
        qemu_version=dotted(connection.getVersion()),
        emulator=found.findtext("path", ""),
        machine_version=found.findtext("machine", machine),
        qemu_user=qemu_user(connection.getCapabilities()),
    )


def qemu_user(capabilities: str) -> tuple[int, int] | None:
    """Ids that QEMU runs as, from libvirt's capabilities; None when libvirt does not change users."""
    top = ET.fromstring(capabilities)  # noqa: S314 - libvirt's own XML
    for model in top.iterfind("host/secmodel"):
        label = model.findtext("baselabel", "")
        if model.findtext("model") == "dac" and label.count(":") == 1:
            user, group = label.replace("+", "").split(":")
            return int(user), int(group)
    return None


def define(connection: Any, xml: str) -> None:
    """Make a domain's record. Raises EngineError when the name is taken."""
    connection.defineXML(xml)


def start(connection: Any, uuid: str) -> None:
    """Run a domain."""
    connection.lookupByUUIDString(uuid).create()


def destroy(connection: Any, uuid: str) -> None:
    """Kill a domain's QEMU. One that does not run, or is not there, is no error."""
    with contextlib.suppress(NoSuchDomain, NotRunning), in_our_words("destroy"):
        connection.lookupByUUIDString(uuid).destroy()


def press_power_button(connection: Any, uuid: str) -> bool:
    """Press a guest's power button. Returns whether it was running to hear it."""
    return _ask_to_end(connection, uuid, _SHUTDOWN_ACPI_POWER_BUTTON)


def send_sigterm(connection: Any, uuid: str) -> bool:
    """Ask a container's first process to end. Returns whether it was running to hear it."""
    return _ask_to_end(connection, uuid, _SHUTDOWN_SIGNAL)


def inject_nmi(connection: Any, uuid: str) -> None:
    """Send a guest an interrupt that nothing asked for; ``unknown_nmi_panic`` makes its kernel panic."""
    connection.lookupByUUIDString(uuid).injectNMI(0)


def is_running(connection: Any, uuid: str) -> bool:
    """Whether a domain is there and runs."""
    with contextlib.suppress(NoSuchDomain), in_our_words("look up"):
        return bool(connection.lookupByUUIDString(uuid).isActive())
    return False


def running_id(connection: Any, uuid: str) -> int | None:
    """A domain's number while it runs: for LXC the PID of what holds the container; None else."""
    with contextlib.suppress(NoSuchDomain), in_our_words("look up"):
        number: int = connection.lookupByUUIDString(uuid).ID()
        return number if number > 0 else None
    return None


def definition(connection: Any, uuid: str) -> str:
    """A domain's XML, of the running one where it runs."""
    text: str = connection.lookupByUUIDString(uuid).XMLDesc(0)
    return text


def exists(connection: Any, uuid: str) -> bool:
    """Whether libvirt knows a domain, running or not."""
    with contextlib.suppress(NoSuchDomain), in_our_words("look up"):
        connection.lookupByUUIDString(uuid)
        return True
    return False


def undefine(connection: Any, uuid: str) -> None:
    """Remove a domain's record and all that libvirt keeps with it. One that is not there is no error."""
    with contextlib.suppress(NoSuchDomain), in_our_words("undefine"):
        connection.lookupByUUIDString(uuid).undefineFlags(_UNDEFINE_ALL)


def undefine_record(connection: Any, uuid: str) -> None:
    """Remove a domain's record, for drivers that keep nothing with it and take no flags."""
    with contextlib.suppress(NoSuchDomain), in_our_words("undefine"):
        connection.lookupByUUIDString(uuid).undefine()


def owned_domains(connection: Any) -> list[tuple[str, str, Owner]]:
    """Name, UUID and owner of every domain of ours, running or not."""
    found = []
    for domain in connection.listAllDomains(0):
        if not domain.name().startswith(NAME_PREFIX):
            continue
        with contextlib.suppress(NoSuchDomain), in_our_words("metadata"):
            owner = owner_from_metadata(domain.metadata(_METADATA_ELEMENT, OWNER_NAMESPACE, 0))
            if owner is not None:
                found.append((domain.name(), domain.UUIDString(), owner))
    return found


def count_foreign(connection: Any) -> int:
    """How many running domains are not ours."""
    ours = {uuid for _, uuid, _ in owned_domains(connection)}
    running = connection.listAllDomains(_LIST_ACTIVE)
    return sum(domain.UUIDString() not in ours for domain in running)


def _ask_to_end(connection: Any, uuid: str, how: int) -> bool:
    try:
        with in_our_words("shutdown"):
            connection.lookupByUUIDString(uuid).shutdownFlags(how)
    except EngineError:
        if is_running(connection, uuid):
            raise
        return False
    return True


def dotted(version: int) -> str:
    """libvirt writes 9.1.2 as 9001002."""
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
