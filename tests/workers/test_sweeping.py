"""Sweeping a host: all engines, one after another, whatever one of them does."""

from typing import Any

import pytest

import workers.sweeping
from contract.catalog import Catalog
from contract.errors import EngineAbsent, EngineError
from workers.drivers import simulated
from workers.drivers.base import InstanceSpec
from workers.engines.simulated_machine import SimulatedInstance, machines
from workers.ownership import Leftover
from workers.settings import HostSettings
from workers.sweeping import sweep_host


class Absent(simulated.Driver):
    async def open(self) -> None:
        raise EngineAbsent("not installed")


class Mute(simulated.Driver):
    async def leftovers(self, host: str | None) -> list[Leftover]:
        raise EngineError("does not answer")


class Sticky(simulated.Driver):
    async def leftovers(self, host: str | None) -> list[Leftover]:
        return [Leftover("sticky", "disk", name, "h") for name in ("one", "two")]

    async def sweep(self, leftover: Leftover) -> None:
        if leftover.name == "one":
            raise EngineError("in use")


KINDS: dict[str, type[simulated.Driver]] = {
    "absent": Absent,
    "mute": Mute,
    "sticky": Sticky,
    "simulated": simulated.Driver,
}


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    drivers: dict[str, Any] = dict.fromkeys(KINDS)
    monkeypatch.setattr(workers.sweeping, "build_catalog", lambda: Catalog(drivers=drivers))
    monkeypatch.setattr(workers.sweeping, "find_driver", KINDS.__getitem__)
    return []


def put(host: str, *names: str) -> dict[str, SimulatedInstance]:
    machine = machines.setdefault(host, {})
    for name in names:
        spec = InstanceSpec(0, name, "tiny", "n", limits=None)  # type: ignore[arg-type]
        machine[name] = SimulatedInstance(spec)
    return machine


def test_what_can_be_removed_is_removed_and_the_rest_is_named(
    host_settings: HostSettings, notes: list[str]
) -> None:
    machine = put(host_settings.name, "a", "b")
    found, failed = sweep_host(host_settings, host_settings.name, dry_run=False, note=notes.append)
    assert [leftover.name for leftover in found] == ["one", "two", "a", "b"]
    assert failed == ["disk one: in use"]
    assert notes == ["mute: does not answer"]
    assert machine == {}


def test_a_dry_run_removes_nothing(host_settings: HostSettings, notes: list[str]) -> None:
    machine = put(host_settings.name, "a")
    found, failed = sweep_host(host_settings, host_settings.name, dry_run=True, note=notes.append)
    assert [leftover.name for leftover in found] == ["one", "two", "a"]
    assert failed == []
    assert list(machine) == ["a"]
    machine.clear()


def test_another_hosts_things_are_left_alone(host_settings: HostSettings, notes: list[str]) -> None:
    mine, other = put(host_settings.name, "a"), put(f"{host_settings.name}-2", "b")
    sweep_host(host_settings, host_settings.name, dry_run=False, note=notes.append)
    assert (list(mine), list(other)) == ([], ["b"])
    sweep_host(host_settings, None, dry_run=False, note=notes.append)  # whoever made it
    assert list(other) == []
