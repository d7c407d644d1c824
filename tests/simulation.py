"""Measuring trials on the simulated driver: in virtual time, or, slowed down to it, in real time."""

from contextlib import suppress
from typing import Any

import pytest
from trials import make_trial

import workers.run
from contract.catalog import Capability
from contract.errors import TonnageError
from contract.parts import Part, read_part
from contract.trial import Trial
from workers.discover import find_driver
from workers.drivers import simulated
from workers.drivers.base import AnyDriver
from workers.run import Assignment, run_trial
from workers.settings import HostSettings

Row = dict[str, Any]


def measure(host: HostSettings, trial: Trial | None = None, attempt: int = 1, **changes: Any) -> Part:
    """Run a trial, by default the short one with changes, and read the part that it leaves."""
    trial = trial or make_trial(host=host.name, **changes)
    return read_part(run_trial(Assignment(trial, attempt, host, "boot")).data)


def instances(part: Part) -> list[Row]:
    """The rows of the instances table."""
    rows: list[Row] = part.tables["instances"].to_pylist()
    return rows


async def remove_all(driver: AnyDriver, host: str) -> None:
    """Remove whatever a test has left of a host, also what an abandoned call makes a little later.

    One thing that does not go keeps no other: a busy engine is asked again.
    """
    for _ in range(5):
        leftovers = await driver.leftovers(host)
        for leftover in leftovers:
            with suppress(TonnageError):
                await driver.sweep(leftover)
        if not leftovers:
            return
    raise AssertionError(f"does not go: {leftovers}")


class RealTimeDriver(simulated.Driver):
    """The simulated driver on the host's own clock: stands for every driver of a real engine."""

    offers = simulated.Driver.offers - {Capability.VIRTUAL_TIME}


FAST = {"create_ms": 1, "start_ms": 1, "boot_ms": 1, "reply_ms": 1, "stop_ms": 1, "remove_ms": 1}
"""Settings for real time."""


def use_driver(patch: pytest.MonkeyPatch, kind: type[simulated.Driver]) -> None:
    """Let trials of driver ``simulated`` run on ``kind`` instead, without waiting for a quiet host."""
    patch.setattr(
        workers.run, "find_driver", lambda name: kind if name == "simulated" else find_driver(name)
    )
    patch.setattr(workers.run, "QUIET_PROBE_S", 0.01)
    patch.setattr(workers.run, "QUIET_WAIT_S", 0.0)
