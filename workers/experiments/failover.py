"""failover: a host is lost, and its instances return on the others."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.catalog import Capability, FleetParams, Metric, Params
from contract.errors import EngineError, RendezvousError
from contract.rows import InstanceRow, Sample
from contract.trial import ELSEWHERE
from workers.bench import Bench
from workers.experiments import base
from workers.experiments.losing import be_lost
from workers.experiments.placement import place
from workers.experiments.stages import ReadyLevel, Running, bring_up, needs_of, take_down
from workers.meeting import BEAT_S

_AT_ONCE = 4
_LOOK_S = BEAT_S / 5
_GRACE_S = 30.0
"""What survivors give each other to arrive after the deadline of the last return."""


class FailoverParams(FleetParams):
    """What failover can vary."""

    residents: int = Field(4, ge=1, le=10_000, description="instances that run on every host before")
    capacity: int = Field(8, ge=1, le=20_000, description="instances that one host may hold")
    loss: Literal["kill", "command"] = Field(
        "kill", description="what is done to the host that is lost; command is its operator's"
    )
    loss_after_s: float = Field(2, ge=0.5, le=3600, description="seconds until then from the release")
    detect_after_s: float = Field(
        1, ge=0.5, le=3600, description="silence after which the others count a host as lost"
    )
    concurrency: int = Field(4, ge=1, le=1000, description="instances that a host starts at once")
    recovery_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for a return")
    ready: ReadyLevel = Field("reply", description="what counts as ready")
    ready_deadline_s: float = Field(
        60, gt=0, le=3600, description="longest wait for one of those before"
    )

    @model_validator(mode="after")
    def _has_room_for_its_own(self) -> Self:
        if self.capacity < self.residents:
            raise ValueError("a capacity of at least 'residents'")
        return self


class Experiment(base.Experiment):
    """How fast, and whether, what a lost host carried runs again elsewhere."""

    name = "failover"
    summary = "a host is lost: its instances return on the others, or do not"
    together = True
    Params: ClassVar[type[Params]] = FailoverParams
    metrics = (
        Metric("return", "ns", "lower", "t_ready − t_fault: from the planned loss to the first reply"),
        Metric("detect", "ns", "lower", "t_detect − t_fault: until the host that takes it noticed"),
        Metric("place", "ns", "lower", "t_act − t_detect: until it was that instance's turn"),
        Metric("ready", "ns", "lower", "t_ready − t_act: created, started, first correct reply"),
        Metric("failover.capacity_left", "instances", "higher", "free places on a survivor afterwards"),
        Metric("failover.loss", "ns", "lower", "from the planned moment until the host was lost"),
        Metric("failover.clock_error", "ns", "lower", "bound of the planned moment's error here"),
        Metric("failover.false_alarms", "count", "lower", "hosts taken for lost before the loss"),
    )
    example = """\
campaign: failover-example
blocks: 3
experiments:
  - experiment: failover
    drivers: [simulated]
    params: {residents: 4, capacity: [5, 8]}
"""

    @classmethod
    def needs(cls, params: FailoverParams) -> frozenset[Capability]:
        """Console or address by ready level."""
        return needs_of(params.ready)

    @classmethod
    def plan_rows(cls, params: FailoverParams) -> list[InstanceRow]:
        """What runs here before; then a row per instance of the lost host, since all may come here."""
        return [
            InstanceRow(
                instance=index,
                ready_level=params.ready,
                concurrency=params.concurrency,
                residents=params.residents,
                resident=index < params.residents,
                victim=None if index < params.residents else index - params.residents,
            )
            for index in range(2 * params.residents)
        ]

    async def run(self, bench: Bench) -> None:
        """Own instances up; the loss; returns on the survivors; everything down."""
        rows = bench.recorder.rows.instances
        residents = [Running(row) for row in rows if row.resident]
        returns = [Running(row) for row in rows if not row.resident]
        loss = _plan(bench)
        bench.findings["failover"] = {"lost": loss.host, "survivors": list(loss.survivors)}
        try:
            await _each(residents, _AT_ONCE, lambda running: _start(bench, running))
            release = await bench.meeting.arrive("running", bench.params.meet_deadline_s)
            _sample(bench, "clock_error", release.error_ns, "ns")
            t_fault = bench.stamp_of(release) + round(bench.params.loss_after_s * 1e9)
            if bench.meeting.me == loss.host:
                for running in returns:
                    _leave_out(running.row, "this host is the one that is lost")
                took_ns = await be_lost(bench, residents, t_fault, loss.survivors)
                _sample(bench, "loss", took_ns, "ns")
            else:
                await _survive(bench, loss, returns, t_fault)
        finally:
            await _each([*residents, *returns], _AT_ONCE, lambda running: _end(bench, running))


@dataclass(frozen=True, slots=True)
class _Loss:
    """Which host is lost in this trial, and who is there after that."""

    host: str
    survivors: tuple[str, ...]


def _plan(bench: Bench) -> _Loss:
    """Drawn by the seed, which is the same for all. Raises RendezvousError for a single host."""
    hosts = bench.meeting.group
    if Capability.VIRTUAL_TIME in bench.driver.offers and len(hosts) == 1:
        hosts = (*hosts, "imagined-2", "imagined-3")
    if len(hosts) == 1:
        raise RendezvousError(f"failover takes two hosts or more, and there is only {hosts[0]}")
    lost = random.Random(bench.trial.seed).choice(hosts)
    return _Loss(lost, tuple(host for host in hosts if host != lost))


async def _survive(bench: Bench, loss: _Loss, returns: Sequence[Running], t_fault: int) -> None:
    """Notice the loss, and bring back what falls to this host."""
    params, me = bench.params, bench.meeting.me
    bench.meeting.imagine_loss(loss.host, bench.begun_ns + t_fault)
    spare = params.capacity - params.residents
    placed = place(params.residents, loss.survivors, spare)
    mine = []
    for running, (host, has_room) in zip(returns, placed, strict=True):
        if host != me:
            _leave_out(running.row, f"this one falls to host {host}")
            continue
        running.row.t_intent = running.row.t_fault = t_fault
        mine.append(running)
        if not has_room:
            running.row.error_class = "capacity"
            running.row.error_text = f"no place: a host holds {params.capacity}, and all are full"
    deadline = t_fault + round(params.recovery_deadline_s * 1e9)
    await _look_out(bench, loss, t_fault)
    t_detect = await _notice(bench, loss, deadline)
    if t_detect is not None:
        placeable = [running for running in mine if running.row.error_class is None]
        await _each(placeable, params.concurrency, lambda r: _bring_back(bench, r, t_detect, deadline))
    for running in mine:
        if running.row.outcome == "skipped":  # neither back nor failed: it takes longer than this
            running.row.outcome = "censored"
    back = sum(running.row.outcome == "ok" for running in mine)
    _sample(bench, "capacity_left", spare - back, "instances")
    wait_s = max(0, deadline - bench.now()) / 1e9 + _GRACE_S
    await bench.meeting.arrive("done", wait_s, among=loss.survivors)


async def _look_out(bench: Bench, loss: _Loss, t_fault: int) -> None:
    """Until the loss: count hosts that would be taken for lost by mistake."""
    meeting, limit_ns = bench.meeting, bench.params.detect_after_s * 1e9
    others = [host for host in meeting.group if host != meeting.me]
    alarmed: set[str] = set()
    while bench.now() < t_fault:
        meeting.see_that_all_are_there(loss.survivors)
        alarmed |= {host for host in others if meeting.silent_ns(host) > limit_ns}
        await bench.sleep_until(min(t_fault, bench.now() + round(_LOOK_S * 1e9)))
    _sample(bench, "false_alarms", len(alarmed), "count")


async def _notice(bench: Bench, loss: _Loss, deadline: int) -> int | None:
    """When the silence of the lost host has lasted long enough; None when it never did."""
    limit_ns = bench.params.detect_after_s * 1e9
    while bench.meeting.silent_ns(loss.host) <= limit_ns:
        bench.meeting.see_that_all_are_there(loss.survivors)
        if bench.now() > deadline:
            return None
        await asyncio.sleep(_LOOK_S)
    return bench.now()


async def _bring_back(bench: Bench, running: Running, t_detect: int, deadline: int) -> None:
    """One instance, until it is ready or the deadline has come: then it is censored."""
    row = running.row
    row.t_detect = t_detect
    left_s = (deadline - bench.now()) / 1e9
    if left_s <= 0:
        row.error_text = "its turn had not come by the deadline"
        return
    row.t_act = bench.now()
    if not await bring_up(bench, running, left_s) and bench.now() >= deadline:
        row.outcome = "censored"


async def _start(bench: Bench, running: Running) -> None:
    """What cannot start cannot be lost: then there is nothing to measure."""
    row = running.row
    row.t_intent = bench.now()
    if not await bring_up(bench, running, bench.params.ready_deadline_s):
        raise EngineError(f"an instance did not come up before the loss: {row.error_text}")


async def _end(bench: Bench, running: Running) -> None:
    await take_down(bench, running, graceful=False)
    bench.recorder.finish(running.row)


async def _each(
    items: Sequence[Running], lanes: int, work: Callable[[Running], Awaitable[None]]
) -> None:
    """Work on all items in order, ``lanes`` at a time."""
    waiting = iter(items)

    async def lane() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(lanes, len(items))):
            group.create_task(lane())


def _leave_out(row: InstanceRow, why: str) -> None:
    row.error_class, row.error_text = ELSEWHERE, why


def _sample(bench: Bench, metric: str, value: float, unit: str) -> None:
    bench.recorder.sample(Sample(bench.now(), f"failover.{metric}", float(value), unit))
