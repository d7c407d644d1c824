"""What day-2 verbs ask of libvirt, each as one function of a connection, run on an engine thread."""

from typing import Any

from workers.engines.cgroup_limits import PERIOD_US

# Constants of libvirt's stable interface, spelt out since its library may not be installed.
_AFFECT_LIVE = 1
_SNAPSHOT = "<domainsnapshot><name>{name}</name></domainsnapshot>"


def suspend(connection: Any, uuid: str) -> None:
    """Stop a guest's processors."""
    connection.lookupByUUIDString(uuid).suspend()


def resume(connection: Any, uuid: str) -> None:
    """Let them go on."""
    connection.lookupByUUIDString(uuid).resume()


def take_snapshot(connection: Any, uuid: str, name: str) -> None:
    """Keep disk and memory inside the guest's qcow2 disk. Names hold no character that XML knows."""
    connection.lookupByUUIDString(uuid).snapshotCreateXML(_SNAPSHOT.format(name=name), 0)


def snapshots(connection: Any, uuid: str) -> list[str]:
    """Names of a guest's snapshots."""
    return list(connection.lookupByUUIDString(uuid).snapshotListNames(0))


def revert(connection: Any, uuid: str, name: str) -> None:
    """Bring a guest back to a snapshot."""
    domain = connection.lookupByUUIDString(uuid)
    domain.revertToSnapshot(domain.snapshotLookupByName(name, 0), 0)


def drop_snapshot(connection: Any, uuid: str, name: str) -> None:
    """Remove a snapshot and what the disk keeps of it."""
    domain = connection.lookupByUUIDString(uuid)
    if name in domain.snapshotListNames(0):
        domain.snapshotLookupByName(name, 0).delete(0)


def save(connection: Any, uuid: str) -> None:
    """Write a guest's memory to a file of libvirt's own, and end it. Its next start goes on there."""
    connection.lookupByUUIDString(uuid).managedSave(0)


def is_saved(connection: Any, uuid: str) -> bool:
    """Whether such a file is there."""
    return bool(connection.lookupByUUIDString(uuid).hasManagedSaveImage(0))


def limit_cpus(connection: Any, uuid: str, cpus: float) -> None:
    """Move the limit of the whole of QEMU, that of the running guest."""
    wanted = {"global_period": PERIOD_US, "global_quota": max(1000, round(cpus * PERIOD_US))}
    connection.lookupByUUIDString(uuid).setSchedulerParametersFlags(wanted, _AFFECT_LIVE)


def limit_container_cpus(connection: Any, uuid: str, cpus: float) -> None:
    """The same of a container of libvirt's LXC driver, which calls it otherwise."""
    wanted = {"vcpu_period": PERIOD_US, "vcpu_quota": max(1000, round(cpus * PERIOD_US))}
    connection.lookupByUUIDString(uuid).setSchedulerParametersFlags(wanted, _AFFECT_LIVE)


def limit_container_memory(connection: Any, uuid: str, memory_mib: int) -> None:
    """Move the memory limit of a container that runs. Of a guest the same call moves its balloon."""
    connection.lookupByUUIDString(uuid).setMemoryFlags(memory_mib * 1024, _AFFECT_LIVE)


def rename(connection: Any, uuid: str, name: str) -> None:
    """Give a domain that is off another name."""
    connection.lookupByUUIDString(uuid).rename(name, 0)


def is_named(connection: Any, uuid: str, name: str) -> bool:
    """Whether a name leads to the domain. Raises NoSuchDomain."""
    return bool(connection.lookupByName(name).UUIDString() == uuid)


def names(connection: Any) -> list[str]:
    """Names of all domains, running or not."""
    return [domain.name() for domain in connection.listAllDomains(0)]
