"""Finding and removing everything of ours on this host, whichever trial or worker left it."""

import asyncio
from collections.abc import Callable
from typing import Literal

from contract.errors import EngineAbsent, TonnageError
from workers.discover import build_catalog, find_driver
from workers.drivers.base import AnyDriver
from workers.events import tell
from workers.ownership import Leftover, Owner
from workers.settings import HostSettings


def sweep_host(
    host: HostSettings, owner: str | None, *, dry_run: bool, note: Callable[[str], None]
) -> tuple[list[Leftover], list[str]]:
    """List, and unless ``dry_run`` remove, what Tonnage left here under the host name ``owner`` or any.

    Returns what was found and, in words, what could not be removed. An engine that is absent can hold
    nothing and is passed over; ``note`` is told about one that does not answer.
    """
    return asyncio.run(_sweep_all(host, owner, dry_run, note))


async def sweep_own(driver: AnyDriver, host: str, when: Literal["before", "after"]) -> int:
    """Remove what trials of this host left. The host lock says that none is running.

    Returns how many there were. Raises TonnageError when one cannot be removed.
    """
    leftovers = await driver.leftovers(host)
    for leftover in leftovers:
        await driver.sweep(leftover)
    if leftovers:
        count = len(leftovers)
        tell("leftovers_swept", f"swept {count} leftovers {when} the trial", when=when, count=count)
    return len(leftovers)


async def _sweep_all(
    host: HostSettings, owner: str | None, dry_run: bool, note: Callable[[str], None]
) -> tuple[list[Leftover], list[str]]:
    found: list[Leftover] = []
    failed: list[str] = []
    for name in build_catalog().drivers:
        kind = find_driver(name)
        driver = kind(kind.Settings(), host, Owner(host.name, "sweep", "0" * 32, 0, "sweep"))
        try:
            await driver.open()
            leftovers = await driver.leftovers(owner)
            found += leftovers
            if not dry_run:
                failed += await _remove(driver, leftovers)
        except EngineAbsent:
            continue
        except TonnageError as error:
            note(f"{name}: {error}")
        finally:
            await driver.close()
    return found, failed


async def _remove(driver: AnyDriver, leftovers: list[Leftover]) -> list[str]:
    failed = []
    for leftover in leftovers:
        try:
            await driver.sweep(leftover)
        except TonnageError as error:
            failed.append(f"{leftover.kind} {leftover.name}: {error}")
    return failed
