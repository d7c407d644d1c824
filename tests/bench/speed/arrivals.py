"""Scheduling lag of open loops: how much later than planned an arrival begins.

Tonnage's ``arrive`` (of lifecycle and churn; probes sleep the same way) against a bare asyncio loop and
a bare thread, each at Poisson arrivals of the same rate, on an event loop with nothing else to do.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence

import engines
from figure import Figure, Size
from interleaved import in_turn
from trial_batches import TrialBatches

from contract.rows import InstanceRow
from workers.experiments.arrivals import arrive, plan_at_rate
from workers.settings import HostSettings

NEEDS: tuple[str, ...] = ()
RATES_PER_S = (10, 100, 500)
SECONDS = {Size.SMOKE: 0.4, Size.FULL: 4.0, Size.HUGE: 60.0}
ROUNDS = {Size.SMOKE: 1, Size.FULL: 4, Size.HUGE: 10}
BUDGET = 0.1
"""Ours: 99 of 100 arrivals begin within a tenth of the mean gap, where a bare thread's do."""


def measure(size: Size) -> Iterator[Figure]:
    """Microseconds late, median and 99th percentile."""
    with engines.short_folder() as folder:
        host = HostSettings(name="bench", state_dir=folder)
        with TrialBatches("simulated", host) as batches:
            for rate_per_s in RATES_PER_S:
                yield from _at(batches, rate_per_s, size)


def _at(batches: TrialBatches, rate_per_s: int, size: Size) -> Iterator[Figure]:
    arrivals = max(1, round(SECONDS[size] * rate_per_s))
    lags: dict[str, list[float]] = {"tonnage": [], "asyncio": [], "thread": []}

    def noted(name: str, late_us: Callable[[], Sequence[float]]) -> Callable[[], float]:
        def once() -> float:
            found = late_us()
            lags[name] += found
            return len(found)

        return once

    ways = {
        "tonnage": noted("tonnage", lambda: _ours(batches, rate_per_s, arrivals)),
        "asyncio": noted("asyncio", lambda: _by_asyncio(rate_per_s, arrivals)),
        "thread": noted("thread", lambda: _by_thread(rate_per_s, arrivals)),
    }
    in_turn(ROUNDS[size], ways)
    late = {name: sorted(found[arrivals:]) for name, found in lags.items()}  # without the first round
    for share, word in ((0.5, "median"), (0.99, "99th percentile")):
        of = {name: found[int(len(found) * share)] for name, found in late.items()}
        for name, limit_is in (("asyncio", "bare asyncio loop"), ("thread", "bare thread that sleeps")):
            case = f"lag at {rate_per_s} arrivals/s, {word}, beside a {limit_is}"
            yield Figure(case, of["tonnage"], "µs", of[name], limit_is)
    gap_us = 1e6 / rate_per_s
    thread_gaps = of["thread"] / gap_us
    yield Figure(
        f"lag at {rate_per_s} arrivals/s, 99th percentile, in mean gaps",
        of["tonnage"] / gap_us,
        "gaps",
        budget=BUDGET if thread_gaps <= BUDGET else None,
        note=f"a bare thread has {thread_gaps:.4f}, of {len(late['tonnage'])} arrivals each"
        + ("" if thread_gaps <= BUDGET else ": the host was too busy for any budget"),
    )


def _ours(batches: TrialBatches, rate_per_s: int, arrivals: int) -> list[float]:
    rows = [InstanceRow(index) for index in range(arrivals)]
    late: list[float] = []

    async def whole() -> None:
        bench = batches.bench(None)

        async def live(row: InstanceRow) -> None:
            assert row.t_intent is not None
            late.append((bench.now() - row.t_intent) / 1e3)

        plan_at_rate(bench, rows, rate_per_s)
        await arrive(bench, rows, live)
        bench.recorder.close()

    batches.run(whole())
    return late


def _intents(rate_per_s: int, arrivals: int) -> Iterator[float]:
    gaps, due = random.Random(arrivals), time.monotonic()
    for _ in range(arrivals):
        due += gaps.expovariate(rate_per_s)
        yield due


def _by_asyncio(rate_per_s: int, arrivals: int) -> list[float]:
    late: list[float] = []

    async def whole() -> None:
        for due in _intents(rate_per_s, arrivals):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            late.append((time.monotonic() - due) * 1e6)

    asyncio.run(whole())
    return late


def _by_thread(rate_per_s: int, arrivals: int) -> list[float]:
    late = []
    for due in _intents(rate_per_s, arrivals):
        time.sleep(max(0.0, due - time.monotonic()))
        late.append((time.monotonic() - due) * 1e6)
    return late
