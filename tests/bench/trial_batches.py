"""The experiment ``lifecycle`` in small batches, by the worker's own code, between other measurements.

A batch has what a trial's measured section has: the driver, a bench on the host's clock, the experiment,
the recorder with its write-ahead file, the sampler. What a trial does around it, once (sweep, prepare,
wait for quiet, pack the part), is left out, so that batches can take turns with bare loops.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import Any, Self

from trials import make_trial

from contract.rows import InstanceRow
from workers.bench import Bench, Recorder
from workers.clock import HostClock, punctual_loop
from workers.discover import find_driver
from workers.drivers.base import AnyDriver
from workers.experiments.lifecycle import Experiment, LifecycleParams
from workers.meeting import Alone
from workers.ownership import Owner
from workers.sampler import Sampler
from workers.settings import HostSettings

DEADLINE_S = 120.0


@dataclass(frozen=True)
class Life:
    """What one instance took, seconds."""

    up_s: float
    """Create and start."""
    down_s: float
    """Stop and remove."""
    whole_s: float
    """From the create call to the end of the removal."""


@dataclass(frozen=True)
class Batch:
    """What became of a batch."""

    lives: Sequence[Life]
    wall_s: float
    """From the first call to the last end."""

    @property
    def up_s(self) -> float:
        """Median of create and start."""
        return median(life.up_s for life in self.lives)

    @property
    def calls_s(self) -> float:
        """Median of create, start and remove together, the wait for the agent left out."""
        return median(life.up_s + life.down_s for life in self.lives)

    @property
    def whole_s(self) -> float:
        """Median from the create call to the end of the removal."""
        return median(life.whole_s for life in self.lives)

    @property
    def per_s(self) -> float:
        """Lifecycles per second."""
        return len(self.lives) / self.wall_s


def batch_of(rows: list[InstanceRow], wall_s: float) -> Batch:
    """Out of the stamps of a batch. Raises RuntimeError when an instance failed: there is no figure."""
    for row in rows:
        if row.outcome != "ok" or row.error_class is not None:
            raise RuntimeError(f"an instance failed: {row.error_class}: {row.error_text}")
    return Batch([_life_of(row) for row in rows], wall_s)


def _life_of(row: InstanceRow) -> Life:
    return Life(
        up_s=_between(row.t_call, row.t_started),
        down_s=_between(row.t_stop_call, row.t_gone),
        whole_s=_between(row.t_call, row.t_gone),
    )


def by_hand(live: Callable[[], Life], instances: int, pool: ThreadPoolExecutor) -> Batch:
    """A batch of a bare loop: as many at once as the pool has threads."""
    begun = time.perf_counter()
    lives = [pool.submit(live) for _ in range(instances)]
    ended = [life.result(DEADLINE_S) for life in lives]
    return Batch(ended, time.perf_counter() - begun)


def _between(begin_ns: int | None, end_ns: int | None) -> float:
    assert begin_ns is not None
    assert end_ns is not None
    return (end_ns - begin_ns) / 1e9


class TrialBatches:
    """Context manager: one open driver, on an event loop that stands still between batches."""

    def __init__(self, driver: str, host: HostSettings, settings: Mapping[str, Any] = {}) -> None:
        kind = find_driver(driver)
        self.host = host
        self.trial = make_trial(host=host.name, driver=driver, campaign=f"bench-{secrets.token_hex(4)}")
        self._attempt = 0
        self._settings = kind.Settings.model_validate(dict(settings))
        self._kind = kind
        self.driver: AnyDriver = kind(self._settings, host, self.owner())
        self._runner = asyncio.Runner(loop_factory=punctual_loop)

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self.run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.run(self._end())
        finally:
            self._runner.__exit__(kind, error, trace)

    def owner(self) -> Owner:
        """Of the present batch: each has names of its own."""
        return Owner(self.host.name, self.trial.campaign, self.trial.trial_id, self._attempt, "bench")

    def run(self, work: Any) -> Any:
        """Run a coroutine on the loop."""
        return self._runner.run(asyncio.wait_for(work, DEADLINE_S))

    def batch(self, instances: int, concurrency: int, ready: str = "beacon") -> Batch:
        """Run a batch to its end."""
        self._attempt += 1
        self.driver.owner = self.owner()
        params = LifecycleParams(instances=instances, concurrency=concurrency, ready=ready)
        return self.run(self._batch(params))  # type: ignore[no-any-return]

    def bench(self, params: Any) -> Bench:
        """A bench as a trial has it."""
        clock = HostClock()
        recorder = Recorder(self.host.state_dir / "wal" / f"{self._attempt}.jsonl")
        meeting = Alone(self.host.name, (self.host.name,), clock)
        rng = random.Random(self._attempt)
        return Bench(self.trial, self.driver, self.driver.owner, clock, recorder, params, rng, meeting)

    async def _batch(self, params: LifecycleParams) -> Batch:
        bench = self.bench(params)
        bench.recorder.plan(Experiment.plan_rows(params))
        try:
            async with Sampler(bench):
                bench.begin()
                await Experiment().run(bench)
                wall_s = bench.now() / 1e9
        finally:
            bench.recorder.close()
            bench.recorder.discard()
        return batch_of(bench.recorder.rows.instances, wall_s)

    async def _open(self) -> None:
        await self.driver.open()
        await self.driver.prepare("tiny")

    async def _end(self) -> None:
        try:
            for leftover in await self.driver.leftovers(self.host.name):
                await self.driver.sweep(leftover)
        finally:
            await self.driver.close()
