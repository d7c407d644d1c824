"""isolation: what bad neighbours do to a victim on the same host, and what limits do about it."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.campaign import Limits
from contract.catalog import Capability, Metric, Params
from contract.errors import CampaignError
from contract.rows import InstanceRow
from workers.bench import Bench
from workers.experiments import base
from workers.experiments.arrivals import each
from workers.experiments.density import MINIMUM_FLOOR_SHARE
from workers.experiments.guard import Guard
from workers.experiments.phases import Phases
from workers.experiments.stages import Running, bring_up, take_down
from workers.experiments.stop_rules import Expected, Rails, memory_floor, pids
from workers.experiments.stressor import BUFFER_MIB, Stressor
from workers.gauge import Gauge

LANES = 4
"""Instances that are brought up or taken down together."""
AMOUNTS = {"cpu": 3, "mem": 64, "sys": 3000, "fork": 5, "disk": 2}
"""What the victim does at once where the campaign does not say: about ten milliseconds natively.

Shorter work slips in between busy neighbours; longer work is bounded by the limits of the victim itself.
"""
_MIB = 1024 * 1024


class IsolationParams(Params):
    """What isolation can vary."""

    stress: Literal["cpu", "mem", "alloc", "fork", "disk", "flood"] = Field(
        "cpu",
        description="cpu: busy loops; mem: memory bandwidth; alloc: memory up to and beyond its limit; "
        "fork: a fork bomb; disk: files written with fsync; flood: lines without end on its console",
    )
    stressors: int = Field(2, ge=1, le=256, description="bad neighbours beside the one victim")
    limited: bool = Field(
        True, description="whether they have the campaign's limits; the victim always has them"
    )
    streams: int = Field(2, ge=1, le=64, description="cpu, mem, disk: loops in each stressor")
    alloc_mib: int = Field(
        256, ge=8, le=65_536, description="alloc: what a stressor without a memory limit takes"
    )
    pids: int = Field(
        64, ge=16, le=4096, description="processes and threads of a limited stressor at most"
    )
    pids_guard: int = Field(
        512, ge=16, le=4096, description="the same of one that is not: a guard of the host"
    )
    work: Literal["cpu", "mem", "sys", "fork", "disk", "ping"] = Field(
        "cpu", description="what the victim is asked for, as in overhead"
    )
    amount: int | None = Field(
        None, ge=1, le=9999, description="how much at once; null: about ten milliseconds' worth"
    )
    rate_per_s: float = Field(
        5, gt=0, le=1000, description="requests to the victim, sent when they are planned"
    )
    patience_s: float = Field(10, gt=0, le=600, description="an answer later than this is none")
    phase_s: float = Field(30, gt=0, le=3600, description="length of each of the three phases")
    ramp_s: float = Field(
        3, ge=0, le=600, description="beginning of each phase that its figures leave out"
    )
    calm_deadline_s: float = Field(
        20, gt=0, le=600, description="a stressor that has not ended by then is killed"
    )
    ready_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for an instance")
    memory_floor_share: float = Field(
        0.1, ge=MINIMUM_FLOOR_SHARE, lt=1, description="MemAvailable that must stay, share of MemTotal"
    )
    pids_reserve_share: float = Field(
        0.1, ge=MINIMUM_FLOOR_SHARE, lt=1, description="process numbers that must stay free, share"
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.ramp_s >= self.phase_s:
            raise ValueError("ramp_s below phase_s, or nothing of a phase is left")
        if self.work == "ping" and self.amount is not None:
            raise ValueError("no amount with work ping")
        return self

    @property
    def request(self) -> str:
        """What the victim is asked."""
        if self.work == "ping":
            return self.work
        return f"{self.work} {AMOUNTS[self.work] if self.amount is None else self.amount}"


class Experiment(base.Experiment):
    """How much a victim suffers from stressors of its own kind, and until when."""

    name = "isolation"
    summary = "a victim beside bad neighbours: off, on, off; degradation, tail, return to normal"
    Params: ClassVar[type[Params]] = IsolationParams
    metrics = (
        Metric(
            "isolation.latency",
            "ns",
            "lower",
            "the victim's answer, counted from the request's planned moment (t_ns); null: it did not "
            "report in time; step: 0 before, 1 under, 2 after stress",
        ),
        Metric(
            "isolation.phase",
            "ns",
            "neither",
            "length of the phase `step`, which began at t_ns",
        ),
        Metric(
            "isolation.calm",
            "ns",
            "lower",
            "from telling a stressor to end until it said that nothing is left; null: it did not report",
        ),
    )
    example = """\
campaign: isolation-example
blocks: 2
limits: {cpus: 0.5, memory_mib: 64}
experiments:
  - experiment: isolation
    drivers: [simulated]
    params: {stress: [cpu, fork], limited: [true, false], phase_s: 10, ramp_s: 1}
"""

    @classmethod
    def needs(cls, params: IsolationParams) -> frozenset[Capability]:  # noqa: ARG003 - all need both
        """A console to ask through, and limits."""
        return frozenset({Capability.CONSOLE, Capability.LIMITS})

    @classmethod
    def plan_rows(cls, params: IsolationParams) -> list[InstanceRow]:
        """The victim, then the stressors as residents."""
        beside = params.stressors
        stressors = [
            InstanceRow(instance=number, residents=beside, resident=True)
            for number in range(1, beside + 1)
        ]
        return [InstanceRow(instance=0, residents=beside), *stressors]

    async def run(self, bench: Bench) -> None:
        """All up; three phases; all down, stressors first. Raises CampaignError for what is unsafe."""
        _see_that_limits_are_set(bench)
        own, *others = bench.recorder.rows.instances
        victim, stressors = Running(own), [Stressor(bench, row) for row in others]
        own.t_intent = bench.now()
        try:
            if await bring_up(bench, victim, bench.params.ready_deadline_s):
                await each(stressors, LANES, Stressor.bring_up)
                await _measure(bench, victim, stressors)
        finally:
            await each(stressors, LANES, Stressor.take_down)
            await take_down(bench, victim, graceful=False)
            bench.recorder.finish(own)


async def _measure(bench: Bench, victim: Running, stressors: list[Stressor]) -> None:
    """The phases, if everybody is there and the host can bear it."""
    ready = sum(stressor.is_ready for stressor in stressors)
    if ready < len(stressors):
        bench.void(f"{len(stressors) - ready} of {len(stressors)} stressors did not become ready")
        return
    gauge = await bench.driver.gauge()
    guard = Guard(bench, _rails(bench, gauge))
    expected = _expected(bench, stressors)
    stop = memory_floor(gauge, guard.rails, expected) or pids(gauge, guard.rails, expected)
    if stop is not None:
        raise CampaignError(f"stress '{bench.params.stress}' is too much for this host: {stop.text}")
    loops = bench.params.stressors * bench.params.streams
    bench.findings["loops_per_cpu"] = loops / gauge.cpu_count
    await Phases(bench, victim, stressors, guard).run()


def _rails(bench: Bench, gauge: Gauge) -> Rails:
    params: IsolationParams = bench.params
    return Rails(
        floor_bytes=round(params.memory_floor_share * gauge.mem_total_bytes),
        pids_reserve=round(params.pids_reserve_share * gauge.pids_max),
        psi_memory_full_percent=None,
        swap_in_bytes_per_s=None,
    )


def _expected(bench: Bench, stressors: list[Stressor]) -> Expected:
    """What all stressors together may take of the host."""
    params: IsolationParams = bench.params
    each_mib = {"mem": params.streams * BUFFER_MIB, "alloc": stressors[0].memory_mib}
    memory = params.stressors * each_mib.get(params.stress, 0) * _MIB
    return Expected(memory, params.stressors * stressors[0].pids if params.stress == "fork" else 0)


def _see_that_limits_are_set(bench: Bench) -> None:
    if bench.trial.limits == Limits():
        raise CampaignError("isolation wants 'limits': the victim's, and those of limited stressors")
