"""When instances begin: closed batches, and open loops that are drawn before the first one comes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from contract.rows import InstanceRow
from workers.bench import Bench

T = TypeVar("T")


async def each(items: Sequence[T], lanes: int, work: Callable[[T], Awaitable[None]]) -> None:
    """Work on all items in order, ``lanes`` at a time: a closed batch."""
    waiting = iter(items)

    async def lane() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(lanes, len(items))):
            group.create_task(lane())


def plan_at_rate(bench: Bench, rows: Sequence[InstanceRow], rate_per_s: float) -> None:
    """Give every row its intent, from now on at random gaps: Poisson arrivals."""
    t_ns = bench.now()
    for row in rows:
        t_ns += round(bench.rng.expovariate(rate_per_s) * 1e9)
        row.t_intent = t_ns


def plan_within(bench: Bench, rows: Sequence[InstanceRow], duration_s: float) -> None:
    """Give every row its intent within ``duration_s`` from now: Poisson arrivals of a known number.

    Given how many events of a Poisson process fall into a time, they lie there like as many sorted
    uniform draws (Ross, Stochastic Processes, 1996, theorem 2.3.1).
    """
    begin_ns = bench.now()
    places = sorted(bench.rng.random() for _ in rows)
    for row, place in zip(rows, places, strict=True):
        row.t_intent = begin_ns + round(place * duration_s * 1e9)


async def arrive(
    bench: Bench, rows: Sequence[InstanceRow], live: Callable[[InstanceRow], Awaitable[None]]
) -> None:
    """Start every row at its intent whatever the others do: an open loop. Returns when all are over."""

    async def life(row: InstanceRow) -> None:
        await live(row)

    async with asyncio.TaskGroup() as group:
        for row in rows:
            assert row.t_intent is not None, "rows of an open loop are planned first"
            await bench.sleep_until(row.t_intent)
            group.create_task(life(row))
