"""churn: instances that come and go at a rate, whatever became of the earlier ones."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from contract.catalog import Capability, Metric, Params
from contract.errors import TonnageError
from contract.rows import InstanceRow, Sample
from workers import census
from workers.bench import Bench
from workers.experiments import base
from workers.experiments.arrivals import arrive, plan_within
from workers.experiments.leaks import count_leaks
from workers.experiments.residents import residents_beside
from workers.experiments.stages import (
    ReadyLevel,
    Running,
    bring_up,
    cut_short,
    needs_of,
    take_down,
)

MOST_ARRIVALS = 100_000
SHED = "shed"
"""Error class of an arrival that a guard rail turned away."""
NOT_DRAINED = "not_drained"
"""Error class of an instance that was not ready when the time to drain was over."""
_PERIOD_S = 1.0


class ChurnParams(Params):
    """What churn can vary."""

    rate_per_s: float = Field(1, gt=0, le=10_000, description="arrivals per second, at random")
    duration_s: float = Field(60, gt=0, le=86_400, description="how long they arrive, seconds")
    residents: int = Field(0, ge=0, le=10_000, description="instances that run beside all this")
    hold_s: float = Field(1, ge=0, le=3600, description="seconds between ready and stop")
    graceful: bool = Field(False, description="ask the instance to end before it is made to")
    ready: ReadyLevel = Field("reply", description="what counts as ready")
    ready_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for one instance")
    max_in_flight: int = Field(
        100, ge=1, le=100_000, description="instances that may be there at once; more are shed"
    )
    memory_floor_share: float = Field(
        0.1, ge=0.05, le=0.9, description="share of the host's memory below which arrivals are shed"
    )
    drain_s: float = Field(30, ge=0, le=3600, description="time after the last arrival to get ready")

    @model_validator(mode="after")
    def _some_arrive_and_not_too_many(self) -> Self:
        if not 1 <= self.arrivals <= MOST_ARRIVALS:
            raise ValueError(f"rate_per_s · duration_s must come to 1 to {MOST_ARRIVALS} arrivals")
        return self

    @property
    def arrivals(self) -> int:
        """How many instances arrive: fixed, so that every planned one has its row."""
        return round(self.rate_per_s * self.duration_s)


class Experiment(base.Experiment):
    """What a host bears when instances come and go without end, and what they leave."""

    name = "churn"
    summary = "sustained create → ready → hold → delete at a rate: backlog, throughput and leaks"
    Params: ClassVar[type[Params]] = ChurnParams
    metrics = (
        Metric("churn.e2e", "ns", "lower", "t_ready − t_intent: from the planned arrival to ready"),
        Metric("churn.create", "ns", "lower", "t_created − t_call: the create call"),
        Metric("churn.delete", "ns", "lower", "t_gone − t_stop_call: until the API says gone"),
        Metric("churn.reclaim", "ns", "lower", "t_reclaimed − t_stop_call: until nothing is left"),
        Metric("churn.arrived", "count", "neither", "arrivals until now, shed ones included"),
        Metric("churn.backlog", "count", "lower", "arrived, and neither ready nor failed yet"),
        Metric("churn.in_flight", "count", "neither", "arrived, and not gone yet"),
        Metric("churn.readied", "count", "higher", "instances that became ready until now"),
        Metric("churn.removed", "count", "higher", "instances that were taken down until now"),
        Metric("churn.shed", "count", "lower", "arrivals turned away by a guard rail until now"),
        Metric("churn.residents", "count", "higher", "residents whose process lives"),
        Metric("churn.drain", "ns", "lower", "from the end of arrivals until all are gone; once"),
        *(
            Metric(
                f"churn.leaked_{kind}",
                "bytes" if kind in census.BYTES else "count",
                "lower",
                f"after − before: {meaning}; once",
            )
            for kind, meaning in census.KINDS.items()
        ),
    )
    example = """\
campaign: churn-example
blocks: 3
profiles:
  narrow: {driver: simulated, slots: 1, leak_share: 0.01}
experiments:
  - experiment: churn
    drivers: [narrow]
    params: {rate_per_s: [5, 10, 20], duration_s: 30}
"""

    @classmethod
    def needs(cls, params: ChurnParams) -> frozenset[Capability]:
        """Console or address by ready level, and more for graceful ends."""
        graceful = {Capability.GRACEFUL_STOP} if params.graceful else set()
        return needs_of(params.ready) | graceful

    @classmethod
    def plan_rows(cls, params: ChurnParams) -> list[InstanceRow]:
        """Residents first, then the arrivals in order."""
        return [
            InstanceRow(
                instance=index,
                ready_level=params.ready,
                concurrency=0,
                residents=params.residents,
                resident=index < params.residents,
            )
            for index in range(params.residents + params.arrivals)
        ]

    async def run(self, bench: Bench) -> None:
        """Residents up; census; arrivals; drain; census; residents down."""
        async with residents_beside(bench) as residents:
            before = await bench.driver.census()
            await _Traffic(bench, residents).flow()
            leaked = await count_leaks(bench, before)
        for kind, value in leaked.items():
            unit = "bytes" if kind in census.BYTES else "count"
            bench.recorder.sample(Sample(bench.now(), f"churn.leaked_{kind}", value, unit))


class _Traffic:
    """All that comes and goes in one trial."""

    def __init__(self, bench: Bench, residents: list[Running]) -> None:
        self._bench = bench
        self._params: ChurnParams = bench.params
        self._residents = residents
        self._count: Counter[str] = Counter()
        self._short_of_memory = False
        self._until_ns = 0
        """When the time to drain is over."""

    async def flow(self) -> None:
        """Arrivals by plan, all of them to their end, observed once a second."""
        bench, params = self._bench, self._params
        rows = [row for row in bench.recorder.rows.instances if not row.resident]
        plan_within(bench, rows, params.duration_s)
        end_ns = bench.now() + round(params.duration_s * 1e9)
        self._until_ns = end_ns + round(params.drain_s * 1e9)
        watch = asyncio.create_task(self._watch())
        try:
            await arrive(bench, rows, self._live)
            drained_ns = bench.now()
            await bench.sleep_until(end_ns)
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
        self._observe({})
        drain_ns = max(0, drained_ns - end_ns)
        bench.recorder.sample(Sample(bench.now(), "churn.drain", drain_ns, "ns"))

    async def _live(self, row: InstanceRow) -> None:
        """One arrival from plan to nothing, or turned away."""
        self._count["arrived"] += 1
        why = self._why_shed()
        if why is not None:
            self._count["shed"] += 1
            row.outcome, row.error_class, row.error_text = "skipped", SHED, why
            self._bench.recorder.finish(row)
            return
        self._count["in_flight"] += 1
        running = Running(row)
        try:
            await self._be_there(running)
        finally:
            await take_down(self._bench, running, graceful=self._params.graceful)
            self._count["in_flight"] -= 1
            self._count["removed"] += running.instance is not None
            self._bench.recorder.finish(row)

    async def _be_there(self, running: Running) -> None:
        """Up and held, unless the time to drain ends first."""
        self._count["backlog"] += 1
        waits = True
        try:
            async with asyncio.timeout((self._until_ns - self._bench.now()) / 1e9):
                is_up = await bring_up(self._bench, running, self._params.ready_deadline_s)
                self._count["backlog"] -= 1
                waits = False
                if is_up:
                    self._count["readied"] += 1
                    await asyncio.sleep(self._params.hold_s)
        except TimeoutError:
            if waits:
                late = f"not ready {self._params.drain_s:g} s after the end of arrivals"
                cut_short(running, NOT_DRAINED, late)
        finally:
            self._count["backlog"] -= waits

    def _why_shed(self) -> str | None:
        if self._count["in_flight"] >= self._params.max_in_flight:
            return f"max_in_flight: {self._params.max_in_flight} instances were there already"
        if self._short_of_memory:
            share = f"{self._params.memory_floor_share:.0%}"
            return f"memory_floor_share: less than {share} of the host's memory was available"
        return None

    async def _watch(self) -> None:
        """Once a second: look at the host's memory, and note where the traffic stands."""
        deaths = {
            r.row.instance: await self._bench.driver.watch_exit(r.instance)
            for r in self._residents
            if r.instance is not None and r.row.outcome == "ok"
        }
        try:
            due_ns = self._bench.now()
            while True:
                self._observe(deaths)
                await self._look_at_memory()
                due_ns += round(_PERIOD_S * 1e9)
                await self._bench.sleep_until(due_ns)
        finally:
            for death in deaths.values():
                if death is not None:
                    death.cancel()

    async def _look_at_memory(self) -> None:
        with suppress(TonnageError):  # a host too busy to answer is looked at again in a second
            gauge = await self._bench.driver.gauge()
            share = gauge.mem_available_bytes / gauge.mem_total_bytes
            self._short_of_memory = share < self._params.memory_floor_share

    def _observe(self, deaths: dict[int, Any]) -> None:
        now = self._bench.now()
        values = {
            name: float(self._count[name])
            for name in ("arrived", "backlog", "in_flight", "readied", "removed", "shed")
        }
        if deaths:
            values["residents"] = float(sum(d is None or not d.done() for d in deaths.values()))
        for name, value in values.items():
            self._bench.recorder.sample(Sample(now, f"churn.{name}", value, "count"))
