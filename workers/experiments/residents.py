"""Instances that run beside the measured ones: up before them, down after them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from workers.bench import Bench
from workers.experiments.arrivals import each
from workers.experiments.stages import Running, bring_up, take_down

RESIDENTS_AT_ONCE = 4


@asynccontextmanager
async def residents_beside(bench: Bench) -> AsyncIterator[list[Running]]:
    """All rows that are residents, brought up four at a time, and taken down however the rest ends.

    Uses ``ready_deadline_s`` and ``graceful`` of the parameters. One that fails is a row that says so.
    """
    residents = [Running(row) for row in bench.recorder.rows.instances if row.resident]

    async def start(running: Running) -> None:
        running.row.t_intent = bench.now()
        await bring_up(bench, running, bench.params.ready_deadline_s)

    async def end(running: Running) -> None:
        await take_down(bench, running, graceful=bench.params.graceful)
        bench.recorder.finish(running.row)

    try:
        await each(residents, RESIDENTS_AT_ONCE, start)
        yield residents
    finally:
        await each(residents, RESIDENTS_AT_ONCE, end)
