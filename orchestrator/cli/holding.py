"""Holding this machine for measurements without a broker."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from orchestrator.plan import Cell

if TYPE_CHECKING:
    from workers.settings import HostSettings


def holding(host: "HostSettings", cells: Iterable[Cell], who: str) -> AbstractContextManager[None]:
    """Hold the host for ``who``; its name, too, unless all is simulated, which leaves nothing to sweep.

    Raises HostBusy, ResultsError.
    """
    from contract.catalog import Capability
    from workers.discover import find_driver
    from workers.host_lock import host_lock

    drivers = {cell.driver for cell in cells}
    is_real = any(Capability.VIRTUAL_TIME not in find_driver(driver).offers for driver in drivers)
    return host_lock(host.state_dir, who, host.name if is_real else None)
