"""What is asked of hypervisors whose libvirt drivers keep no metadata and send no events."""

import contextlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

import psutil

from contract.errors import EngineError, ImageError
from workers.engines.libvirt_session import NoSuchDomain, in_our_words
from workers.ownership import NAME_PREFIX

_LIST_ACTIVE = 1


def define(connection: Any, xml: str) -> str:
    """Make a domain's record. Returns its UUID, which some hypervisors choose by themselves."""
    made: str = connection.defineXML(xml).UUIDString()
    return made


def uuid_of(connection: Any, name: str) -> str | None:
    """UUID of the domain of that name; None when there is none."""
    with contextlib.suppress(NoSuchDomain), in_our_words("look up"):
        found: str = connection.lookupByName(name).UUIDString()
        return found
    return None


def shut_down(connection: Any, uuid: str) -> None:
    """Ask a guest to end. One that does not run, or is not there, is no error."""
    try:
        with in_our_words("shutdown"):
            connection.lookupByUUIDString(uuid).shutdown()
    except EngineError:
        if _runs(connection, uuid):
            raise


def count_foreign(connection: Any) -> int:
    """How many running domains do not have a name of ours."""
    running = connection.listAllDomains(_LIST_ACTIVE)
    return sum(not domain.name().startswith(NAME_PREFIX) for domain in running)


def versions(connection: Any) -> tuple[int, int]:
    """Of libvirt and of the hypervisor, as numbers of libvirt's form."""
    return connection.getLibVersion(), connection.getVersion()


def datastore_path(image: str) -> tuple[str, str]:
    """``[datastore] folder/disk.vmdk`` as its two parts. Raises ImageError for anything else."""
    store, closed, path = image.removeprefix("[").partition("] ")
    if not (image.startswith("[") and closed and store and path.endswith(".vmdk")) or ".." in path:
        raise ImageError(f"'{image}' names no disk of an ESX host: give '[datastore] folder/disk.vmdk'")
    return store, path


def see_disk(connection: Any, image: str) -> None:
    """See that a disk is in its datastore. Raises ImageError."""
    try:
        _volume(connection, image)
    except EngineError as error:
        raise ImageError(f"there is no disk '{image}': {error}") from error


def own_disk(image: str, name: str) -> str:
    """Where the copy of a disk for the machine ``name`` lies: in the same datastore."""
    store, _ = datastore_path(image)
    return f"[{store}] {name}/{name}.vmdk"


def clone_disk(connection: Any, image: str, disk: str) -> None:
    """Copy a disk within its datastore."""
    store, path = datastore_path(disk)
    base = _volume(connection, image)
    wanted = Element("volume")
    SubElement(wanted, "name").text = path
    SubElement(wanted, "capacity").text = str(base.info()[1])
    SubElement(SubElement(wanted, "target"), "format", type="vmdk")
    pool = connection.storagePoolLookupByName(store)
    pool.createXMLFrom(ET.tostring(wanted, encoding="unicode"), base, 0)


def delete_disk(connection: Any, disk: str) -> None:
    """Delete a disk of a datastore. One that is not there is no error."""
    with contextlib.suppress(EngineError):
        volume = _volume(connection, disk)
        with in_our_words("delete a disk"):
            volume.delete(0)


def process_of(name: str, programs: tuple[str, ...]) -> int | None:
    """PID of a machine's own process: its arguments name the machine. Reads all of /proc."""
    for process in psutil.process_iter(["name"]):
        if process.info["name"] in programs:
            with contextlib.suppress(OSError):
                if name.encode() in Path(f"/proc/{process.pid}/cmdline").read_bytes():
                    return process.pid
    return None


def _volume(connection: Any, image: str) -> Any:
    store, path = datastore_path(image)
    with in_our_words("look up a disk"):
        return connection.storagePoolLookupByName(store).storageVolLookupByName(path)


def _runs(connection: Any, uuid: str) -> bool:
    with contextlib.suppress(NoSuchDomain), in_our_words("look up"):
        return bool(connection.lookupByUUIDString(uuid).isActive())
    return False
