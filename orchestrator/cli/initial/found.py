"""What is on this machine that a first campaign depends on."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.settings import HostSettings

USUAL = ("process", "docker", "podman", "libvirt", "libvirt_lxc")
"""Drivers that are looked for unless some are named, in the order in which they are written."""


@dataclass(frozen=True, slots=True)
class Found:
    """This machine, and its drivers: those to write, and why others cannot be used."""

    drivers: tuple[str, ...]
    present: frozenset[str]
    absent: Mapping[str, str]
    emulated: frozenset[str]
    cpus: int
    available_mib: int
    root: bool

    def lines(self) -> Iterator[str]:
        """What was found, a line each."""
        for name in self.drivers:
            if name in self.emulated:
                yield f"{name}: on an emulated processor, so slow, and never compared with containers"
            elif name in self.absent:
                yield f"{name}: cannot be used here: {self.absent[name]}"
        if self.drivers == ("simulated",) and self.absent:
            yield "no engine was found, so the driver is 'simulated': virtual time, invented numbers"
        others = [name for name in self.absent if name not in self.drivers]
        if others:
            yield f"left out, as not usable here: {', '.join(others)} (tonnage doctor says why)"


def look_around(host: "HostSettings", named: tuple[str, ...]) -> Found:
    """Look at the named drivers, or at the usual ones, of which those that are here are taken."""
    import psutil

    from workers.presence import probe_engine

    engines = {name: probe_engine(name, host) for name in named or USUAL}
    present = frozenset(name for name, facts in engines.items() if facts["present"])
    return Found(
        drivers=named or tuple(name for name in engines if name in present) or ("simulated",),
        present=present if named or present else frozenset({"simulated"}),
        absent={n: str(facts["reason"]) for n, facts in engines.items() if n not in present},
        emulated=frozenset(name for name in present if engines[name].get("emulated")),
        cpus=os.cpu_count() or 1,
        available_mib=psutil.virtual_memory().available >> 20,
        root=os.geteuid() == 0,
    )
