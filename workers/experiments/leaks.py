"""What is there after churn that was not there before: counted, told, and swept."""

import asyncio
from contextlib import suppress

from contract.errors import TonnageError
from workers.bench import Bench
from workers.census import GROWTH

SETTLE_S = 5.0
"""How long something may take to go before it counts as left behind."""
_STEP_S = 0.5


async def count_leaks(bench: Bench, before: dict[str, int]) -> dict[str, float]:
    """After − before for every kind of ``workers.census.KINDS`` that could be counted at both times.

    A leak is what persists: counted again for up to ``SETTLE_S``, the least counts, so that what others
    start and end meanwhile counts as little as possible. Then leftovers of ours are swept, other than
    residents: they have been counted, and must not shape what is measured next.
    """
    least: dict[str, int] = {}
    give_up_ns = bench.now() + round(SETTLE_S * 1e9)
    while True:
        await _end_the_unborn(bench)
        for kind, number in (await bench.driver.census()).items():
            least[kind] = min(number, least.get(kind, number))
        differences = {kind: least[kind] - before[kind] for kind in least if kind in before}
        settled = all(value <= 0 for kind, value in differences.items() if kind not in GROWTH)
        if settled or bench.now() >= give_up_ns:
            break
        await asyncio.sleep(_STEP_S)
    bench.findings["census"] = {"before": before, "after": least}
    await _sweep_leaked(bench)
    return {kind: float(value) for kind, value in differences.items()}


async def _end_the_unborn(bench: Bench) -> None:
    """Remove what a create call that we no longer waited for has made: our doing, and no leak."""
    unborn = {
        bench.owner.instance_name(row.instance)
        for row in bench.recorder.rows.instances
        if row.t_call is not None and row.t_created is None
    }
    if unborn:
        for leftover in await bench.driver.leftovers(bench.owner.host):
            if leftover.name.partition(".")[0] in unborn:
                await bench.driver.sweep(leftover)


async def _sweep_leaked(bench: Bench) -> None:
    residents = {
        bench.owner.instance_name(row.instance) for row in bench.recorder.rows.instances if row.resident
    }
    for leftover in await bench.driver.leftovers(bench.owner.host):
        # A process goes by its number, and may be a resident's: what is left is for the sweep after.
        if leftover.kind != "process" and leftover.name.partition(".")[0] not in residents:
            with suppress(TonnageError):  # that sweep tries again
                await bench.driver.sweep(leftover)
