"""Which URIs of libvirt are taken, and whose each is: every hypervisor has a driver of its own."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """What libvirt calls one kind of hypervisor, and how Tonnage does."""

    driver: str
    pattern: str
    forms: tuple[str, ...]
    """How its URIs look, for people."""
    default: str | None
    """Where it is when nobody says; None where only its operator knows."""


_SOCKET = r"(\?[!-~]{1,200})?"
_HOST = r"([A-Za-z0-9._-]{1,64}@)?[A-Za-z0-9][A-Za-z0-9.-]{0,253}(:[0-9]{1,5})?"

HYPERVISORS = (
    Hypervisor(
        "libvirt",
        r"qemu:///[!-~]{1,200}",
        ("qemu:///system", "qemu:///session", "qemu:///embed?root=DIR"),
        "qemu:///system",
    ),
    Hypervisor("libvirt_lxc", rf"lxc:///(system)?{_SOCKET}", ("lxc:///",), "lxc:///"),
    Hypervisor("libvirt_vbox", rf"vbox:///session{_SOCKET}", ("vbox:///session",), "vbox:///session"),
    Hypervisor(
        "libvirt_vmware",
        r"vmware(player|ws|fusion):///session",
        ("vmwareplayer:///session", "vmwarews:///session", "vmwarefusion:///session"),
        "vmwareplayer:///session",
    ),
    Hypervisor(
        "libvirt_esx",
        rf"(esx://{_HOST}/?|vpx://{_HOST}(/[A-Za-z0-9%._-]{{1,80}}){{2,8}}/?){_SOCKET}",
        ("esx://USER@HOST/", "vpx://USER@VCENTER/DATACENTER/HOST"),
        None,
    ),
)


def driver_of(uri: str) -> str | None:
    """Name of the driver that a URI belongs to; None when it is none that is taken."""
    for hypervisor in HYPERVISORS:
        if re.fullmatch(hypervisor.pattern, uri):
            return hypervisor.driver
    return None


def checked_uris(text: str) -> str:
    """One or several URIs with spaces between them. Raises ValueError that lists what is taken."""
    for uri in text.split() or [text]:
        if driver_of(uri) is None:
            raise ValueError(f"one of {_taken()}; '{uri}' is none of them")
    return text


def own_uri(driver: str, uri: str | None) -> str | None:
    """The URI, when it is this driver's. Raises ValueError that says whose it is, or what is taken."""
    if uri is None:
        return None
    found = driver_of(uri)
    if found is None:
        raise ValueError(f"one of {_taken()}")
    if found != driver:
        raise ValueError(f"{' or '.join(_of(driver).forms)}; '{uri}' belongs to driver '{found}'")
    return uri


def uri_for(driver: str, said: str) -> str | None:
    """Where a driver's hypervisor is, by what is said of the host; else where it usually is."""
    named = [uri for uri in said.split() if driver_of(uri) == driver]
    return named[0] if named else _of(driver).default


def _of(driver: str) -> Hypervisor:
    return next(hypervisor for hypervisor in HYPERVISORS if hypervisor.driver == driver)


def _taken() -> str:
    return ", ".join(
        f"{' or '.join(hypervisor.forms)} (driver {hypervisor.driver})" for hypervisor in HYPERVISORS
    )
