"""What the XML of all domains has in common, whatever hypervisor they are for."""

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

from workers.engines.domain_xml import OWNER_NAMESPACE
from workers.ownership import Owner

PERIOD_US = 100_000
"""Accounting period of a CPU quota, microseconds: the kernel's and Docker's default."""


def begin(kind: str, name: str, uuid: str, owner: Owner | None) -> Element:
    """A domain with its names and, where the hypervisor keeps such things, its owner."""
    top = Element("domain", type=kind)
    add(top, "name", name)
    add(top, "uuid", uuid)
    if owner is not None:
        metadata = SubElement(top, "metadata")
        SubElement(metadata, f"{{{OWNER_NAMESPACE}}}owner", owner.labels())
    return top


def add(parent: Element, tag: str, text: str, attributes: Mapping[str, str] | None = None) -> None:
    """An element that holds text."""
    SubElement(parent, tag, dict(attributes or {})).text = text


def end_once(top: Element) -> None:
    """Whatever ends a domain, nobody starts it again."""
    for event in ("on_poweroff", "on_reboot", "on_crash"):
        add(top, event, "destroy")
