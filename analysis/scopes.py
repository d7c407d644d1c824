"""Scopes: the hosts that a row of numbers is about. The fleet, a class of hosts, or one host."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["fleet", "class", "host"]


@dataclass(frozen=True, slots=True)
class Scope:
    """The fleet, the hosts of one class, or one host."""

    kind: Kind
    host_class: str | None = None
    """Name of the class; of a host its own; None for the fleet."""
    host: str | None = None
    """Name of the host, None for more than one."""
    codes: frozenset[int] | None = None
    """Codes of its hosts in ``Cells.hosts``; None: all of them."""

    def has(self, host: int) -> bool:
        """Whether a host, by its code, is one of them."""
        return self.codes is None or host in self.codes


FLEET = Scope("fleet")
"""All hosts together."""


def scopes_of(hosts: Sequence[str], class_of: dict[str, str]) -> tuple[Scope, ...]:
    """The fleet, then every class where there is more than one, then every host by its code."""
    found = [FLEET]
    if len(set(class_of.values())) > 1:
        for name in sorted({class_of[host] for host in hosts}):
            codes = frozenset(code for code, host in enumerate(hosts) if class_of[host] == name)
            found.append(Scope("class", name, None, codes))
    found += [Scope("host", class_of[host], host, frozenset({code})) for code, host in enumerate(hosts)]
    return tuple(found)
