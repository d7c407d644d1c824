"""recovery: faults that really happen, and how long it takes until the instance answers again."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.catalog import Capability, Metric, Params
from contract.errors import CampaignError
from contract.rows import InstanceRow
from workers.bench import Bench
from workers.engines.daemon_restart import see_that_it_may
from workers.experiments import base
from workers.experiments.arrivals import each
from workers.experiments.injection import Injection
from workers.experiments.victim import Victim

LANES = 4
"""Instances that are brought up or taken down together."""
_UNBOUNDED = "fault 'oom' without limits.memory_mib would take the host's memory and not the instance's"


class RecoveryParams(Params):
    """What recovery can vary."""

    fault: Literal["agent_kill", "kill", "hang", "oom", "panic", "engine_restart", "all"] = Field(
        "kill", description="what is done; 'all' kills every instance of the trial at once"
    )
    supervision: Literal["none", "engine", "watcher"] = Field(
        "watcher", description="who starts it again: nobody, the engine's restart policy, or our watcher"
    )
    injections: int = Field(3, ge=1, le=1000, description="faults per trial, one after another")
    residents: int = Field(
        0, ge=0, le=1000, description="instances beside the victim; 'all' hits them too"
    )
    good_replies: int = Field(5, ge=1, le=1000, description="good replies in a row that end an outage")
    probe_rate_per_s: float = Field(50, gt=0, le=1000, description="probes to each victim")
    patience_ms: float = Field(1000, gt=0, le=60_000, description="a reply later than this is none")
    recovery_deadline_s: float = Field(
        60, gt=0, le=3600, description="an outage that is longer is censored there"
    )
    healthy_s: float = Field(
        2, ge=0, le=3600, description="healthy before each fault, and up to as much again at random"
    )
    missed_probes: int = Field(
        50, ge=2, le=10_000, description="unanswered in a row that tell the watcher of a hang"
    )
    ready_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for a first start")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.missed_probes / self.probe_rate_per_s >= self.recovery_deadline_s:
            raise ValueError(
                "missed_probes that pass within recovery_deadline_s at this probe_rate_per_s"
            )
        return self

    @property
    def victims(self) -> int:
        """Instances that one injection hits."""
        return self.residents + 1 if self.fault == "all" else 1


class Experiment(base.Experiment):
    """How fast an instance is back after a fault, under equal supervision."""

    name = "recovery"
    summary = "faults injected from the host: detection, action, readiness, outage, lost requests"
    Params: ClassVar[type[Params]] = RecoveryParams
    metrics = (
        Metric("recovery.outage", "ns", "lower", "planned probes without a good reply × their period"),
        Metric("recovery.lost_requests", "1", "lower", "planned probes without a good reply"),
        Metric(
            "recovery.probe",
            "ns",
            "lower",
            "a reply, counted from the probe's planned moment; null: none in time",
        ),
    )
    example = """\
campaign: recovery-example
blocks: 2
deadline_s: 1800
experiments:
  - experiment: recovery
    drivers: [simulated]
    params: {fault: [kill, hang], supervision: watcher, injections: 2, recovery_deadline_s: 20}
  - experiment: recovery
    drivers: [simulated]
    params: {fault: kill, supervision: [none, engine], injections: 2, recovery_deadline_s: 20}
"""

    @classmethod
    def needs(cls, params: RecoveryParams) -> frozenset[Capability]:
        """A console to probe; what the fault is done with; a policy when the engine shall supervise."""
        needed = {Capability.CONSOLE}
        if params.fault == "oom":
            needed.add(Capability.LIMITS)
        if params.fault == "panic":
            needed.add(Capability.GUEST_KERNEL)
        if params.fault == "engine_restart":
            needed.add(Capability.ENGINE_RESTART)
        if params.supervision == "engine":
            needed.add(Capability.RESTART_POLICY)
        return frozenset(needed)

    @classmethod
    def plan_rows(cls, params: RecoveryParams) -> list[InstanceRow]:
        """The instances, the victim first; then a row for each injection and each one that it hits."""
        there = params.residents + 1
        instances = [
            InstanceRow(instance=index, residents=params.residents, resident=True)
            for index in range(there)
        ]
        injections = [
            InstanceRow(
                instance=there + number,
                residents=params.residents,
                victim=number % params.victims,
                concurrency=params.victims,
            )
            for number in range(params.injections * params.victims)
        ]
        return [*instances, *injections]

    async def run(self, bench: Bench) -> None:
        """All up; fault after fault, each when all are healthy; all down."""
        await _refuse_danger(bench)
        rows = bench.recorder.rows.instances
        everybody = [Victim(bench, row) for row in rows if row.resident]
        waiting = [row for row in rows if not row.resident]
        try:
            await each(everybody, LANES, Victim.bring_up)
            hit = everybody[: bench.params.victims]
            while waiting:
                batch, waiting = waiting[: len(hit)], waiting[len(hit) :]
                await _injure(bench, hit, batch)
        finally:
            await each(everybody, LANES, Victim.take_down)


async def _injure(bench: Bench, hit: list[Victim], rows: list[InstanceRow]) -> None:
    """One injection: wait until all are healthy, do it, watch each until it is back or the deadline."""
    await each(hit, LANES, Victim.heal)
    wait_s = max(bench.params.healthy_s, _back_off_s(bench))
    t_intent = bench.now() + round((wait_s + bench.rng.uniform(0, bench.params.healthy_s)) * 1e9)
    injections = [Injection(bench, *pair) for pair in zip(hit, rows, strict=True)]
    await each(injections, len(injections), lambda injection: injection.conduct(t_intent))


def _back_off_s(bench: Bench) -> float:
    """An engine that backs off starts at once only what has run for a while."""
    supervised = bench.params.supervision == "engine"
    return bench.driver.backoff_reset_s if supervised else 0.0


async def _refuse_danger(bench: Bench) -> None:
    """Raises CampaignError for what would hit the host instead, NotAllowed for a restart."""
    own_memory = {Capability.GUEST_KERNEL, Capability.VIRTUAL_TIME} & bench.driver.offers
    if bench.params.fault == "oom" and bench.trial.limits.memory_mib is None and not own_memory:
        raise CampaignError(_UNBOUNDED)
    if bench.params.fault == "engine_restart" and Capability.VIRTUAL_TIME not in bench.driver.offers:
        await see_that_it_may(bench.driver)
