"""overhead: the same work in a process, a container and a virtual machine, on the same limits."""

import asyncio
from typing import ClassVar

from contract.catalog import Capability, Metric, Params
from contract.errors import AgentSilent, TonnageError, WorkError
from contract.rows import InstanceRow, Sample
from workers.bench import Bench
from workers.experiments import base
from workers.experiments.doing import Doing
from workers.experiments.guest_clock import GuestClock
from workers.experiments.overhead_params import STARTS, OverheadParams
from workers.experiments.stages import Running, bring_up, take_down


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
            "overhead.starting",
            "ns",
            "lower",
            "random and fsync: time to start as many programs for nothing, right before",
        ),
        Metric(
            "overhead.reported",
            "as the campaign says",
            "neither",
            "command: the number that it printed; the campaign says its unit, and which way is better",
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
    def needs(cls, params: OverheadParams) -> frozenset[Capability]:
        """A console to ask through; and a network where two instances speak to each other."""
        needed = {Capability.CONSOLE, Capability.LINK} if params.is_linked else {Capability.CONSOLE}
        return frozenset(needed)

    @classmethod
    def plan_rows(cls, params: OverheadParams) -> list[InstanceRow]:
        """The instance, and its peer where there is one, as residents; then a row per repetition."""
        residents = 2 if params.is_linked else 1
        repetitions = range(params.warm_ups + params.repeats)
        return [
            *(InstanceRow(instance=number, resident=True) for number in range(residents)),
            *(
                InstanceRow(instance=residents + number, victim=0, warm_up=number < params.warm_ups)
                for number in repetitions
            ),
        ]

    async def run(self, bench: Bench) -> None:
        """Up; repetition after repetition, one at a time; down."""
        rows = bench.recorder.rows.instances
        residents = [Running(row) for row in rows if row.resident]
        repetitions = [row for row in rows if not row.resident]
        try:
            for running in residents:
                running.row.t_intent = bench.now()
                if not await bring_up(bench, running, bench.params.ready_deadline_s):
                    why = "its instance, or the other one, did not become ready"
                    bench.recorder.pass_over(repetitions, "not_ready", why)
                    return
            await _work(bench, residents, repetitions)
        finally:
            for running in residents:
                await take_down(bench, running, graceful=False)
                bench.recorder.finish(running.row)


async def _work(bench: Bench, residents: list[Running], repetitions: list[InstanceRow]) -> None:
    """All repetitions, between two looks at the guest's clock."""
    running, *peers = residents
    clock = GuestClock(bench, running)
    await clock.look()
    doing = Doing(bench, running, peers[0] if peers else None)
    try:
        await doing.prepare()
    except TonnageError as error:
        bench.recorder.pass_over(repetitions, error.code, f"the work could not begin: {error}")
        return
    for done, row in enumerate(repetitions):
        if not await _repeat(bench, doing, row):
            why = f"an earlier repetition failed: {row.error_text}"
            bench.recorder.pass_over(repetitions[done + 1 :], "not_ready", why)
            return
    await clock.judge()


async def _repeat(bench: Bench, doing: Doing, row: InstanceRow) -> bool:
    """One repetition. Returns whether the instance can be asked again."""
    inside_s: object = None
    starting_ns: int | None = None
    value: float | None = None
    again = True
    try:
        starting_ns = await doing.start_programs()
        row.t_intent = row.t_call = bench.now()
        answer = await doing.ask()
        ended = bench.now()
        inside_s = answer.get("elapsed_s")
        value = await doing.reported(answer)
        row.t_ready, row.outcome = ended, "ok"
    except TonnageError as error:
        row.outcome = "timeout" if isinstance(error, AgentSilent) else "failed"
        row.error_class, row.error_text = error.code, str(error)
        again = isinstance(error, WorkError)  # the program failed, its instance did not
    _note(bench, row.instance, inside_s, (starting_ns, value))
    bench.recorder.finish(row)
    await asyncio.sleep(0)  # cancellation has its turn between repetitions, however short they are
    return again


def _note(
    bench: Bench, instance: int, inside_s: object, others: tuple[int | None, float | None]
) -> None:
    """What one repetition told beside its stamps; null is what it should have told and did not."""
    params: OverheadParams = bench.params
    starting_ns, value = others

    def note(metric: str, number: float | None, unit: str = "ns") -> None:
        bench.recorder.sample(Sample(bench.now(), metric, number, unit, instance=instance))

    if params.work != "ping":
        note("overhead.inside", inside_s * 1e9 if isinstance(inside_s, int | float) else None)
    if params.work in STARTS:
        note("overhead.starting", starting_ns)
    if params.unit is not None:
        note("overhead.reported", value, params.unit)
