"""overhead: the same work in a process, a container and a virtual machine, on the same limits."""

import asyncio
from typing import ClassVar, Literal

from pydantic import Field

from contract.catalog import Capability, Metric, Params
from contract.errors import AgentSilent, TonnageError
from contract.rows import InstanceRow, Sample
from workers.bench import Bench
from workers.experiments import base
from workers.experiments.guest_clock import GuestClock
from workers.experiments.stages import Running, bring_up, take_down

AMOUNTS = {"cpu": 64, "mem": 2048, "sys": 100_000, "fork": 200, "disk": 32, "ping": 1}
"""What is asked for at once where the campaign does not say: a fraction of a second natively."""


class OverheadParams(Params):
    """What overhead can vary."""

    work: Literal["cpu", "mem", "sys", "fork", "disk", "ping"] = Field(
        "cpu",
        description="cpu: SHA-256 over `amount` MiB; mem: so many MiB copied; sys: so many reads and "
        "writes of a byte; fork: so many programs started; disk: so many MiB written with fsync and "
        "read; ping: a round trip over the console",
    )
    amount: int | None = Field(
        None, ge=1, le=9_999_999, description="how much at once; null: an amount that suits the work"
    )
    repeats: int = Field(20, ge=1, le=10_000, description="measured repetitions in one instance")
    warm_ups: int = Field(2, ge=0, le=1000, description="repetitions before them, kept and marked")
    work_deadline_s: float = Field(120, gt=0, le=3600, description="longest wait for one repetition")
    ready_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for the instance")

    @property
    def request(self) -> tuple[str, ...]:
        """What the agent is asked."""
        if self.work == "ping":
            return ("ping",)
        return self.work, str(AMOUNTS[self.work] if self.amount is None else self.amount)


class Experiment(base.Experiment):
    """What running inside an instance costs, against the bare process."""

    name = "overhead"
    summary = "the same work in process, container and virtual machine: time for it, and its ratio"
    Params: ClassVar[type[Params]] = OverheadParams
    metrics = (
        Metric("work", "ns", "lower", "t_ready − t_call: from asking for the work to its answer"),
        Metric(
            "overhead.inside",
            "ns",
            "lower",
            "the same by the instance's own clock, in steps of 10 ms; null: it did not say",
        ),
        Metric(
            "overhead.guest_clock_drift",
            "1",
            "neither",
            "how much faster the guest's clock ran than the host's, over the whole trial",
        ),
    )
    example = """\
campaign: overhead-example
blocks: 2
experiments:
  - experiment: overhead
    drivers: [simulated]
    params: {work: [cpu, fork], repeats: 5}
"""

    @classmethod
    def needs(cls, params: OverheadParams) -> frozenset[Capability]:  # noqa: ARG003 - all need it
        """A console to ask through."""
        return frozenset({Capability.CONSOLE})

    @classmethod
    def plan_rows(cls, params: OverheadParams) -> list[InstanceRow]:
        """The instance, as a resident; then a row for each repetition in it."""
        repetitions = range(1, params.warm_ups + params.repeats + 1)
        return [
            InstanceRow(instance=0, resident=True),
            *(
                InstanceRow(instance=number, victim=0, warm_up=number <= params.warm_ups)
                for number in repetitions
            ),
        ]

    async def run(self, bench: Bench) -> None:
        """Up; repetition after repetition, one at a time; down."""
        own, *repetitions = bench.recorder.rows.instances
        running = Running(own)
        own.t_intent = bench.now()
        try:
            if await bring_up(bench, running, bench.params.ready_deadline_s):
                await _work(bench, running, repetitions)
            else:
                bench.recorder.pass_over(repetitions, "not_ready", "its instance did not become ready")
        finally:
            await take_down(bench, running, graceful=False)
            bench.recorder.finish(own)


async def _work(bench: Bench, running: Running, repetitions: list[InstanceRow]) -> None:
    """All repetitions, between two looks at the guest's clock."""
    clock = GuestClock(bench, running)
    await clock.look()
    for done, row in enumerate(repetitions):
        if not await _repeat(bench, running, row):
            why = "the instance answered an earlier repetition not at all"
            bench.recorder.pass_over(repetitions[done + 1 :], "not_ready", why)
            return
    await clock.judge()


async def _repeat(bench: Bench, running: Running, row: InstanceRow) -> bool:
    """One repetition. Returns whether the instance can be asked again."""
    assert running.agent is not None
    params: OverheadParams = bench.params
    row.t_intent = row.t_call = bench.now()
    inside_s: object = None
    try:
        answer = await running.agent.ask(*params.request, deadline_s=params.work_deadline_s)
        row.t_ready = bench.now()
        row.outcome, inside_s = "ok", answer.get("elapsed_s")
    except TonnageError as error:
        row.outcome = "timeout" if isinstance(error, AgentSilent) else "failed"
        row.error_class, row.error_text = error.code, str(error)
    if params.work != "ping":
        inside_ns = inside_s * 1e9 if isinstance(inside_s, int | float) else None
        bench.recorder.sample(
            Sample(bench.now(), "overhead.inside", inside_ns, "ns", instance=row.instance)
        )
    bench.recorder.finish(row)
    await asyncio.sleep(0)  # cancellation has its turn between repetitions, however short they are
    return row.outcome == "ok"
