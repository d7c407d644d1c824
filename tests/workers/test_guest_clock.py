"""A guest's clock that runs otherwise than the host's voids its trial; no clock at all does not."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contract.rows import InstanceRow
from workers.bench import Bench, Recorder
from workers.experiments.guest_clock import GuestClock
from workers.experiments.stages import Running

S = 1_000_000_000


class Host:
    """A bench whose clock the test moves."""

    def __init__(self) -> None:
        self.t_ns = 0
        self.recorder, self.findings, self.voided = Recorder(), {}, list[str]()

    def now(self) -> int:
        return self.t_ns

    def void(self, why: str) -> None:
        self.voided.append(why)


def look_twice(*uptimes_s: str, apart_s: float = 100) -> Host:
    host, said = Host(), iter(uptimes_s)

    async def ask(request: str) -> dict[str, Any]:
        assert request == "uptime"
        return {"uptime_s": next(said)}

    running = Running(InstanceRow(0), agent=cast("Any", SimpleNamespace(ask=ask)))

    async def look() -> None:
        clock = GuestClock(cast("Bench", host), running)
        await clock.look()
        host.t_ns = round(apart_s * S)
        await clock.judge()

    asyncio.run(look())
    return host


def test_a_clock_that_keeps_pace_is_noted() -> None:
    host = look_twice("2.00", "102.00")
    assert host.voided == []
    assert host.findings["guest_clock"]["drift"] == pytest.approx(0)
    assert [sample.metric for sample in host.recorder.rows.samples] == ["overhead.guest_clock_drift"]


def test_a_clock_that_runs_slow_voids_the_trial() -> None:
    assert look_twice("2.00", "101.50").voided == ["the guest's clock ran -0.50% against the host's"]


def test_what_steps_could_hide_is_no_drift() -> None:
    assert look_twice("2.00", "3.01", apart_s=1).voided == []


def test_an_instance_on_the_hosts_kernel_has_no_clock_of_its_own() -> None:
    host = look_twice("", "")
    assert (host.voided, host.findings, host.recorder.rows.samples) == ([], {}, [])
