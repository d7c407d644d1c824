"""management: day-2 verbs on instances that run, and what these notice of them."""

from dataclasses import asdict
from typing import ClassVar, Literal

from pydantic import Field

from contract.catalog import Capability, Metric, Params
from contract.rows import InstanceRow
from contract.trial import NOT_APPLICABLE
from workers.bench import Bench
from workers.experiments import base
from workers.experiments.arrivals import each
from workers.experiments.operation import BROKEN, Operation
from workers.experiments.rolling import RollingUpdate
from workers.experiments.subject import Subject
from workers.verbs.base import OPERATIONS, Support, Verb

LANES = 4
"""Instances that are brought up or taken down together."""


class ManagementParams(Params):
    """What management can vary."""

    verb: Literal[
        "exec",
        "logs",
        "pause",
        "stop",
        "restart",
        "snapshot",
        "checkpoint",
        "cpu",
        "memory",
        "rename",
        "list",
        "update",
    ] = Field(
        "pause",
        description="what is done to a running instance; pause, stop, snapshot, checkpoint, cpu and "
        "memory are undone again by their counterpart",
    )
    operations: int = Field(5, ge=1, le=1000, description="how often per trial, one after another")
    residents: int = Field(0, ge=0, le=1000, description="instances beside; list must find them all")
    updated: int = Field(10, ge=1, le=1000, description="update: instances that are replaced")
    update_order: Literal["stop_first", "start_first"] = Field(
        "stop_first", description="update: the old one goes first, or the new one is ready first"
    )
    shrink_to: float = Field(
        0.5, ge=0.1, le=0.9, description="cpu, memory: share of the limit that is left meanwhile"
    )
    graceful: bool = Field(False, description="stop, restart: ask before killing")
    hold_s: float = Field(
        1,
        ge=0,
        le=600,
        description="pause, stop: from the effect until it is undone, part of the interruption",
    )
    calm_s: float = Field(1, ge=0.1, le=600, description="probed before each operation, to compare with")
    probe_rate_per_s: float = Field(50, gt=0, le=1000, description="probes to each subject")
    patience_ms: float = Field(500, gt=0, le=60_000, description="a reply later than this is none")
    good_replies: int = Field(
        5, ge=1, le=1000, description="good replies in a row that end an operation"
    )
    effect_deadline_s: float = Field(
        60, gt=0, le=3600, description="longest wait for an effect, and for good replies after it"
    )
    ready_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for an instance")

    @property
    def subjects(self) -> int:
        """Instances that an operation is done to."""
        return self.updated if self.verb == "update" else 1

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """What one operation consists of."""
        return OPERATIONS[self.verb]


class Experiment(base.Experiment):
    """How long day-2 verbs take until they are seen, and what the instance's users notice."""

    name = "management"
    summary = (
        "day-2 verbs on running instances: time to effect, interruption, lost requests, who has them"
    )
    Params: ClassVar[type[Params]] = ManagementParams
    metrics = (
        Metric("management.call", "ns", "lower", "from a verb's call until the call returned"),
        Metric(
            "management.interruption",
            "ns",
            "lower",
            "longest time between two good probe replies from the operation's first call on, less the "
            "probe's period; null: it did not come back",
        ),
        Metric("management.jitter", "ns", "lower", "the same just before, when nothing was done"),
        Metric("management.lost_requests", "1", "lower", "planned probes without a good reply"),
        Metric(
            "management.probe",
            "ns",
            "lower",
            "a reply, counted from the probe's planned moment (t_ns); null: none at all",
        ),
        Metric(
            "management.memory_kept",
            "1",
            "higher",
            "1: what was restored had the memory of its agent too, 0: its files only",
        ),
        Metric(
            "management.replaced",
            "ns",
            "lower",
            "update: from the first call for instance `step` to the first reply of its new version",
        ),
    )
    example = """\
campaign: management-example
blocks: 2
experiments:
  - experiment: management
    drivers: [simulated]
    params: {verb: [pause, snapshot, rename], operations: 3}
"""

    @classmethod
    def needs(cls, params: ManagementParams) -> frozenset[Capability]:  # noqa: ARG003 - all need it
        """A console to probe. What a driver lacks of verbs is a result."""
        return frozenset({Capability.CONSOLE})

    @classmethod
    def plan_rows(cls, params: ManagementParams) -> list[InstanceRow]:
        """The subjects and residents; then a row for each verb of each operation."""
        there = params.subjects + params.residents
        instances = [
            InstanceRow(instance=index, residents=params.residents, resident=True)
            for index in range(there)
        ]
        verbs = [
            InstanceRow(instance=there + number, residents=params.residents, victim=0)
            for number in range(params.operations * len(params.verbs))
        ]
        return [*instances, *verbs]

    async def run(self, bench: Bench) -> None:
        """All up; operation after operation, as long as the subjects answer; all down."""
        params: ManagementParams = bench.params
        rows = bench.recorder.rows.instances
        planned = [row for row in rows if not row.resident]
        supports = await bench.driver.verbs().supports(bench.trial.image, bench.trial.limits)
        bench.findings["management"] = {verb: asdict(supports[verb]) for verb in Verb}
        lacking = [verb for verb in params.verbs if supports[verb].kind == "none"]
        if lacking:
            residents = [row for row in rows if row.resident]
            why = "; ".join(dict.fromkeys(supports[verb].how for verb in lacking))
            bench.recorder.pass_over([*residents, *planned], NOT_APPLICABLE, why)
            return
        everybody = [Subject(bench, row) for row in rows if row.resident]
        try:
            await each(everybody, LANES, Subject.bring_up)
            if all(subject.is_ready for subject in everybody):
                await _operate(bench, everybody, planned, supports)
            else:
                late = sum(not subject.is_ready for subject in everybody)
                why = f"{late} of {len(everybody)} instances did not become ready"
                bench.recorder.pass_over(planned, "not_ready", why)
        finally:
            await each(everybody, LANES, Subject.take_down)


async def _operate(
    bench: Bench, everybody: list[Subject], planned: list[InstanceRow], supports: dict[Verb, Support]
) -> None:
    """All operations, until one leaves a subject that does not answer."""
    params: ManagementParams = bench.params
    subjects, others = everybody[: params.subjects], everybody[params.subjects :]
    width = len(params.verbs)
    for number in range(params.operations):
        rows = planned[number * width : (number + 1) * width]
        if params.verb == "update":
            well = await RollingUpdate(bench, subjects, rows[0]).conduct()
        else:
            well = await Operation(bench, subjects[0], rows, number, others).conduct(supports)
        if not well:
            why = "an earlier operation left an instance that did not answer"
            bench.recorder.pass_over(planned[(number + 1) * width :], BROKEN, why)
            return
