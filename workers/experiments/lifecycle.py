"""lifecycle: create → ready → stop → delete, in closed batches or open-loop arrivals."""

import asyncio
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.catalog import Capability, Metric, Params
from contract.errors import EngineError
from contract.rows import InstanceRow
from workers.bench import Bench
from workers.experiments import base
from workers.experiments.arrivals import arrive, each, plan_at_rate
from workers.experiments.residents import residents_beside
from workers.experiments.stages import ReadyLevel, Running, bring_up, needs_of, take_down


class LifecycleParams(Params):
    """What lifecycle can vary."""

    instances: int = Field(10, ge=1, le=100_000, description="measured instances per trial")
    concurrency: int = Field(1, ge=1, le=1000, description="instances in flight in a closed batch")
    warm_ups: int = Field(0, ge=0, le=1000, description="instances before them, kept and marked")
    residents: int = Field(0, ge=0, le=10_000, description="instances that run beside all this")
    arrival_rate_per_s: float | None = Field(
        None, gt=0, le=10_000, description="open-loop Poisson arrivals instead of a closed batch"
    )
    ready: ReadyLevel = Field("reply", description="what counts as ready")
    ready_deadline_s: float = Field(30, gt=0, le=3600, description="longest wait for one instance")
    hold_s: float = Field(0, ge=0, le=3600, description="seconds between ready and stop")
    graceful: bool = Field(False, description="ask the instance to end before it is made to")
    cache: Literal["warm", "page_cold", "image_cold"] = Field(
        "warm", description="page_cold empties the page cache, image_cold also drops the image"
    )

    @model_validator(mode="after")
    def _cold_starts_stand_alone(self) -> Self:
        alone = self.concurrency == 1 and not self.residents and self.arrival_rate_per_s is None
        if self.cache != "warm" and not alone:
            raise ValueError("concurrency 1, no residents and no arrival rate when cache is not warm")
        if self.arrival_rate_per_s is not None and self.concurrency != 1:
            raise ValueError("either concurrency (closed batch) or arrival_rate_per_s (open loop)")
        return self


class Experiment(base.Experiment):
    """Speed of creation, start, readiness, stop and deletion."""

    name = "lifecycle"
    summary = "create → ready → stop → delete: how fast instances come and go"
    Params: ClassVar[type[Params]] = LifecycleParams
    metrics = (
        Metric("e2e", "ns", "lower", "t_ready − t_intent: from the plan to the first correct reply"),
        Metric("queue", "ns", "lower", "t_call − t_intent: waiting before anything was called"),
        Metric("create", "ns", "lower", "t_created − t_call: the create call"),
        Metric("start", "ns", "lower", "t_started − t_created: console and start call"),
        Metric("boot", "ns", "lower", "t_beacon − t_started: until the agent's first words"),
        Metric("reply", "ns", "lower", "t_ready − t_beacon: request and correct reply"),
        Metric("delete", "ns", "lower", "t_gone − t_stop_call: until the API says gone"),
        Metric("exit", "ns", "lower", "t_exited − t_stop_call: until its process is dead"),
        Metric("reclaim", "ns", "lower", "t_reclaimed − t_stop_call: until nothing is left"),
    )
    example = """\
campaign: lifecycle-example
blocks: 2
experiments:
  - experiment: lifecycle
    drivers: [simulated]
    params: {instances: 5, concurrency: [1, 5]}
"""

    @classmethod
    def needs(cls, params: LifecycleParams) -> frozenset[Capability]:
        """Console or address by ready level; more for graceful ends and cold images."""
        needs = set(needs_of(params.ready))
        if params.graceful:
            needs.add(Capability.GRACEFUL_STOP)
        if params.cache == "image_cold":
            needs.add(Capability.COLD_IMAGE)
        return frozenset(needs)

    @classmethod
    def plan_rows(cls, params: LifecycleParams) -> list[InstanceRow]:
        """Residents first, then warm-ups, then the measured ones."""
        open_loop = params.arrival_rate_per_s is not None
        early = params.residents + params.warm_ups
        return [
            InstanceRow(
                instance=index,
                ready_level=params.ready,
                concurrency=0 if open_loop else params.concurrency,
                residents=params.residents,
                resident=index < params.residents,
                warm_up=params.residents <= index < early,
            )
            for index in range(early + params.instances)
        ]

    async def run(self, bench: Bench) -> None:
        """Residents up; warm-ups; the measured ones; residents down."""
        rows = [row for row in bench.recorder.rows.instances if not row.resident]
        rate_per_s = bench.params.arrival_rate_per_s

        async def live(row: InstanceRow) -> None:
            await _live(bench, row)

        async with residents_beside(bench):
            for group in ([r for r in rows if r.warm_up], [r for r in rows if not r.warm_up]):
                if rate_per_s is None:
                    await each(group, bench.params.concurrency, live)
                else:
                    plan_at_rate(bench, group, rate_per_s)
                    await arrive(bench, group, live)


async def _live(bench: Bench, row: InstanceRow) -> None:
    """One instance from plan to nothing."""
    await _cool(bench)
    if row.t_intent is None:
        row.t_intent = bench.now()
    running = Running(row, brings_image=bench.params.cache == "image_cold")
    try:
        if await bring_up(bench, running, bench.params.ready_deadline_s):
            await asyncio.sleep(bench.params.hold_s)
    finally:
        await take_down(bench, running, graceful=bench.params.graceful)
        bench.recorder.finish(row)


async def _cool(bench: Bench) -> None:
    """Bring the host into the cache state that was asked for, before the clock runs."""
    if bench.params.cache == "image_cold":
        await bench.driver.drop_image(bench.trial.image)
    if bench.params.cache != "warm":
        if bench.drop_caches is None:
            raise EngineError("page_cold and image_cold need root, to empty the page cache")
        await bench.drop_caches()
