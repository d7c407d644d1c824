"""density: a staircase of instances, up until a rule says stop and down again."""

import resource
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.catalog import Capability, Params
from contract.rows import InstanceRow
from workers.bench import Bench
from workers.experiments import base, window
from workers.experiments.stages import ReadyLevel, needs_of
from workers.experiments.staircase import Staircase

MINIMUM_FLOOR_SHARE = 0.05
"""Of memory, and of process numbers: what no campaign can ask for."""


class DensityParams(Params):
    """What density can vary."""

    max_instances: int = Field(1000, ge=1, le=100_000, description="instances at most")
    step: int = Field(5, ge=1, le=10_000, description="instances per step at least")
    step_share: float = Field(0.05, ge=0, le=1, description="instances per step, share of those there")
    concurrency: int = Field(1, ge=1, le=1000, description="instances in flight while a step starts")
    ready: ReadyLevel = Field("reply", description="what counts as ready")
    ready_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for one instance")
    workload: Literal["idle", "light"] = Field("idle", description="what held instances do")
    request_rate_per_s: float = Field(
        1, gt=0, le=1000, description="requests to each instance under workload light"
    )
    settle_slope: float = Field(
        0.01, gt=0, le=1, description="settled: memory in use changes by less per window, share"
    )
    settle_window_s: float = Field(30, gt=0, le=3600, description="window of that")
    settle_deadline_s: float = Field(120, gt=0, le=3600, description="longest wait for it")
    sample_s: float = Field(60, gt=0, le=3600, description="sampling window of a step")
    probe_rate_per_s: float = Field(2, gt=0, le=1000, description="probes to each probed instance")
    probe_share: float = Field(0.1, gt=0, le=1, description="instances that are probed, at random")
    probe_most: int = Field(50, ge=1, le=1000, description="instances that are probed at most")
    probe_s: float = Field(20, ge=0, le=3600, description="how long a step is probed; 0 = not at all")
    memory_floor_share: float = Field(
        0.1, ge=MINIMUM_FLOOR_SHARE, lt=1, description="MemAvailable that must stay, share of MemTotal"
    )
    pids_reserve_share: float = Field(
        0.1, ge=MINIMUM_FLOOR_SHARE, lt=1, description="process numbers that must stay free, share"
    )
    psi_memory_full_percent: float | None = Field(
        5, gt=0, le=100, description="stop when all tasks wait for memory for more of the last 10 s"
    )
    swap_in_mib_per_s: float | None = Field(
        1, gt=0, le=1_000_000, description="stop when more comes back from swap"
    )
    start_failures: int = Field(2, ge=1, le=1000, description="stop at so many failed starts …")
    start_failures_of: int = Field(5, ge=1, le=1000, description="… among so many of the latest")
    slo_p99_ms: float | None = Field(
        None, gt=0, le=3_600_000, description="stop when p99 of the probes is above, or 0.1 % are lost"
    )
    staircase_deadline_s: float | None = Field(
        None, gt=0, le=86_400, description="longest way up; a share of the trial's deadline at most"
    )
    descend: bool = Field(True, description="come down over the same steps, sampling")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        asks = self.probe_s > 0 or self.workload == "light"
        if asks and Capability.CONSOLE not in needs_of(self.ready):
            raise ValueError("ready beacon or reply with probes or a workload (probe_s 0 goes without)")
        if self.slo_p99_ms is not None and self.probe_s == 0:
            raise ValueError("probe_s above 0 with slo_p99_ms")
        if self.start_failures > self.start_failures_of:
            raise ValueError("start_failures at most start_failures_of")
        return self


class Experiment(base.Experiment):
    """How many instances a host carries, what each takes, and what ends it."""

    name = "density"
    summary = "a staircase of instances up to a stop rule: footprint, latency, limiting resource"
    Params: ClassVar[type[Params]] = DensityParams
    metrics = window.METRICS
    example = """\
campaign: density-example
blocks: 2
deadline_s: 3600
experiments:
  - experiment: density
    drivers: [simulated]
    params: {max_instances: 40, step: 10, settle_window_s: 5, sample_s: 5, probe_s: 5}
"""

    @classmethod
    def needs(cls, params: DensityParams) -> frozenset[Capability]:
        """Console or address by ready level."""
        return needs_of(params.ready)

    @classmethod
    def plan_rows(cls, params: DensityParams) -> list[InstanceRow]:
        """One row per instance that may be asked for."""
        return [
            InstanceRow(instance=index, ready_level=params.ready, concurrency=params.concurrency)
            for index in range(params.max_instances)
        ]

    async def run(self, bench: Bench) -> None:
        """One staircase. Its findings say which rule ended it."""
        if Capability.VIRTUAL_TIME not in bench.driver.offers:
            _open_as_many_files_as_allowed()
        await Staircase(bench, await bench.driver.gauge()).run()


def _open_as_many_files_as_allowed() -> None:
    """Every instance's console is an open file: the worker's own soft limit must not be the wall."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
