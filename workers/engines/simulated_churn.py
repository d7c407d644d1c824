"""Churn on simulated hosts: removals that leave something behind, and a census that finds it.

Truth: each removal leaves one mount behind with chance ``leak_share``, independently, until it is swept.
With ``slots`` at work, each of the four calls of a life (create, start, stop, remove) waits its turn,
first come first served. So a host bears ``slots`` / (sum of their mean times) instances per second, and
above that waiting grows without end.
"""

import random
from typing import Any

from pydantic import Field

from contract.catalog import Settings
from workers.drivers.base import Driver
from workers.engines.simulated_machine import machines
from workers.ownership import Leftover

_leaks: dict[str, set[str]] = {}
"""Names of instances whose mount stayed, by host; outlives a driver object as a mount would."""


class ChurnTruth(Settings):
    """What a simulated engine is like when instances come and go."""

    leak_share: float = Field(0, ge=0, le=1, description="removals that leave a mount behind")


class LeakingDriver(Driver[Any]):
    """The part of the simulated driver that leaks, and counts."""

    async def census(self) -> dict[str, int]:
        """Records, living processes and mounts of the simulated host."""
        there = machines.get(self.host.name, {})
        mounts = _leaks.get(self.host.name, set())
        alive = sum(not sim.death.is_set() for sim in there.values())
        return {"records": len(there), "processes": alive, "mounts": len(there.keys() | mounts)}

    def _reclaim(self, name: str) -> None:
        """The host has let go of a removed instance, but for what leaks."""
        machines.get(self.host.name, {}).pop(name, None)
        chance = random.Random(f"{self.owner.trial}/{self.owner.attempt}/{name}").random()
        if chance < self.settings.leak_share:
            _leaks.setdefault(self.host.name, set()).add(name)

    def _leaked(self, host: str | None) -> list[Leftover]:
        return [
            Leftover(self.name, "mount", name, owner_host)
            for owner_host, names in _leaks.items()
            if host in (None, owner_host)
            for name in sorted(names)
        ]

    def _unmount(self, leftover: Leftover) -> None:
        _leaks.get(leftover.host, set()).discard(leftover.name)
