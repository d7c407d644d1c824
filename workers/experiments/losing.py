"""Being the host that is lost: everything on it dies, or its operator's command takes it away."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from contract.catalog import Capability
from contract.errors import CampaignError, EngineError, EngineTimeout
from workers.bench import Bench
from workers.dead_man import Switch, run_command
from workers.drivers.base import Fault
from workers.experiments.stages import Running

DEATH_DEADLINE_S = 30.0
_WAY_BACK_S = 30.0
"""The switch waits this much longer than the worker, in case the worker is not there any more."""


async def be_lost(
    bench: Bench, residents: Sequence[Running], t_fault: int, survivors: Sequence[str]
) -> int:
    """Be lost at ``t_fault`` and take no part until the survivors are done.

    Returns how many ns later than planned all was lost. Raises CampaignError when the operator has named
    no command, EngineError when it fails.
    """
    if bench.params.loss == "command":
        return await _by_command(bench, residents, t_fault)
    took_ns = await _by_kill(bench, residents, t_fault)
    params = bench.params
    wait_s = params.recovery_deadline_s + params.meet_deadline_s
    await bench.meeting.arrive("done", wait_s, among=survivors)
    return took_ns


async def _by_kill(bench: Bench, residents: Sequence[Running], t_fault: int) -> int:
    deaths = [await _watch_death(bench, running) for running in residents]
    await bench.sleep_until(t_fault)
    bench.meeting.fall_silent()
    async with asyncio.TaskGroup() as group:
        for running in residents:
            group.create_task(_kill(bench, running))
    _, alive = await asyncio.wait(deaths, timeout=DEATH_DEADLINE_S)
    for death in alive:
        death.cancel()
    if alive:
        raise EngineTimeout(f"{len(alive)} instances outlive SIGKILL by {DEATH_DEADLINE_S:g} s")
    return bench.now() - t_fault


async def _watch_death(bench: Bench, running: Running) -> "asyncio.Future[None]":
    assert running.instance is not None
    row, death = running.row, await bench.driver.watch_exit(running.instance)
    assert death is not None, "a running instance has a process"

    def stamp(done: "asyncio.Future[Any]") -> None:
        row.t_exited = None if done.cancelled() else bench.now()

    death.add_done_callback(stamp)
    return death


async def _kill(bench: Bench, running: Running) -> None:
    assert running.instance is not None
    running.row.t_fault = bench.now()
    if Capability.VIRTUAL_TIME in bench.driver.offers:
        await bench.driver.stop(running.instance, graceful=False)  # nothing that a signal could reach
    else:
        await bench.driver.inject(running.instance, Fault.KILL)


async def _by_command(bench: Bench, residents: Sequence[Running], t_fault: int) -> int:
    """The host is away until the survivors' deadline has passed; the switch brings it back anyhow."""
    host, params = bench.driver.host, bench.params
    if not host.lose_command or not host.regain_command:
        raise CampaignError(
            f"loss 'command' needs workers with --lose-command and --regain-command, unlike {host.name}"
        )
    if Capability.VIRTUAL_TIME in bench.driver.offers:
        raise CampaignError("loss 'command' takes real hosts: in virtual time there is nothing to lose")
    back_at = t_fault + round(params.recovery_deadline_s * 1e9)
    limit_s = (back_at - bench.now()) / 1e9 + _WAY_BACK_S
    switch = await bench.driver.engine(partial(Switch, host.regain_command, limit_s))
    try:
        await bench.sleep_until(t_fault)
        for running in residents:
            running.row.t_fault = bench.now()
        await bench.driver.engine(run_command, host.lose_command, "--lose-command")
        took_ns = bench.now() - t_fault
        await bench.sleep_until(back_at)
    except BaseException:
        with suppress(EngineError):  # why it came to this says more
            await asyncio.shield(bench.driver.engine(switch.let_go))
        raise
    await bench.driver.engine(switch.let_go)
    return took_ns
