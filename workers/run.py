"""Running one trial from message to part: sweep, prepare, wait for quiet, measure, sweep, judge."""

import asyncio
import random
import time
import traceback
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contract.catalog import Capability
from contract.errors import (
    CampaignError,
    DeadlineExceeded,
    PolicyRefused,
    TonnageError,
    TrialCancelled,
)
from contract.parts import PackedPart, TrialRecord
from contract.rows import InstanceRow
from contract.trial import ELSEWHERE, NOT_APPLICABLE, Outcome, Trial
from workers import host as machine
from workers.bench import Bench, Recorder
from workers.clock import Clock, HostClock, VirtualClock
from workers.discover import find_driver, find_experiment
from workers.drivers.base import AnyDriver
from workers.experiments.base import Experiment
from workers.images.tree import is_tree, read_tree
from workers.meeting import Alone, Meeting, Unmet
from workers.ownership import Owner
from workers.packing import pack
from workers.policy import see_that_it_is_allowed
from workers.rendezvous import Rendezvous, Venue
from workers.sampler import Sampler
from workers.settings import HostSettings
from workers.sweeping import sweep_own
from workers.verdict import QUIET_CPU_SHARE, Evidence, judge

SWEEP_BUDGET_S = 60.0
QUIET_PROBE_S = 0.3
QUIET_WAIT_S = 3.0
CANCEL_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """One attempt at one trial on this host."""

    trial: Trial
    attempt: int
    host: HostSettings
    boot: str
    cancelled: Callable[[], bool] = lambda: False
    """Whether somebody asked for the trial to end at once. Polled every second: must not block."""
    clock_offset: Callable[[], tuple[int, int] | None] = lambda: None
    """Broker's clock minus ours and the error bound, ns; None where there is no broker."""
    venue: Venue | None = None
    """Where this host meets those that measure together with it; None where there is no broker."""

    @property
    def owner(self) -> Owner:
        """Whom everything that this attempt makes belongs to."""
        trial = self.trial
        return Owner(self.host.name, trial.campaign, trial.trial_id, self.attempt, self.boot)

    @property
    def wal(self) -> Path:
        """Where its rows are written ahead."""
        return self.host.state_dir / "wal" / f"{self.owner.trial}.jsonl"


@dataclass(slots=True)
class _Findings:
    """What is learnt on the way, however far the trial gets."""

    rows: list[InstanceRow] = field(default_factory=list)
    planned: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    voids: tuple[str, ...] = ()
    outcome: Outcome = "failed"
    error_class: str | None = None
    error_text: str | None = None
    busy_share_before: float = 0.0
    harness_cpus: float = 0.0
    lag_p99_ns: int = 0
    clock_drift_ns: int = 0
    duration_ns: int | None = None
    swept: int = 0
    left: int = 0

    def take(self, bench: Bench) -> None:
        """What the experiment found beside rows and samples."""
        self.facts |= {"findings": bench.findings} if bench.findings else {}
        self.voids = tuple(bench.voids)

    def blame(self, error: BaseException) -> None:
        """Keep the first cause. One that is not ours is a defect, and shows where it came from."""
        if self.error_class is None and isinstance(error, TonnageError):
            self.error_class, self.error_text = error.code, str(error)
        elif self.error_class is None:
            where = "".join(traceback.format_exception(error)[-3:])
            self.error_class, self.error_text = "internal", where


def run_trial(assignment: Assignment) -> PackedPart:
    """Measure one trial and return its part. What a trial meets is in its record, never raised.

    Raises TrialCancelled when somebody asked for its end: it was cleaned up, and nothing is kept.
    """
    started_at_ns = time.time_ns()
    found = _Findings()
    recorder = Recorder()
    meeting: Meeting | None = None
    virtual = False
    try:
        driver, experiment, params = _assemble(assignment)
        virtual = Capability.VIRTUAL_TIME in driver.offers
        clock: Clock = VirtualClock() if virtual else HostClock()
        meeting = _meeting(assignment, clock, virtual=virtual)
        recorder = Recorder(None if virtual else assignment.wal)
        rows = experiment.plan_rows(params)
        recorder.plan(rows)
        asked = _as_it_will_be_done(assignment.trial, driver, params)
        see_that_it_is_allowed(assignment.host.policy, asked, len(rows))
        rng = random.Random(assignment.trial.seed)
        bench = Bench(assignment.trial, driver, assignment.owner, clock, recorder, params, rng, meeting)
        try:
            clock.run(_conduct(bench, experiment, found, assignment.cancelled))
        finally:
            found.take(bench)
    except Exception as error:  # whatever a trial meets, its record is written
        found.blame(_first(error))
    finally:
        recorder.close()
        if meeting is not None:
            meeting.end(found.error_text)
    if found.error_class == TrialCancelled.code:
        recorder.discard()
        raise TrialCancelled(found.error_text)
    found.rows = recorder.rows.instances
    _settle(found)
    packed = pack(_record(assignment, found, started_at_ns, virtual=virtual), recorder.rows)
    recorder.discard()
    return packed


def _meeting(assignment: Assignment, clock: Clock, *, virtual: bool) -> Meeting:
    """How this host meets those that measure together with it."""
    me, group = assignment.host.name, assignment.trial.group or (assignment.host.name,)
    if virtual or len(group) == 1:
        return Alone(me, group, clock)
    if assignment.venue is None:
        return Unmet(me, group, clock)
    return Rendezvous(me, group, assignment.venue, clock)


def _as_it_will_be_done(trial: Trial, driver: AnyDriver, params: Any) -> Trial:
    """The trial with all defaults filled in, whatever its message left out or wrote in another way."""
    settings = driver.settings.model_dump(mode="json")
    return trial.model_copy(update={"settings": settings, "params": params.model_dump(mode="json")})


def _assemble(assignment: Assignment) -> tuple[AnyDriver, Experiment, Any]:
    """Driver, experiment and parameters of a trial, checked once more on this side of the wire."""
    trial = assignment.trial
    driver_class, experiment_class = find_driver(trial.driver), find_experiment(trial.experiment)
    try:
        settings = driver_class.Settings.model_validate(trial.settings)
        params = experiment_class.Params.model_validate(trial.params)
    except ValidationError as error:
        raise CampaignError(f"settings or parameters this worker does not know: {error}") from error
    return driver_class(settings, assignment.host, assignment.owner), experiment_class(), params


async def _conduct(
    bench: Bench, experiment: Experiment, found: _Findings, cancelled: Callable[[], bool]
) -> None:
    """The trial's life around the measured section."""
    async with AsyncExitStack() as stack:
        found.planned = len(bench.recorder.rows.instances)
        await bench.driver.open()
        stack.push_async_callback(bench.driver.close)
        found.swept = await sweep_own(bench.driver, bench.owner.host, "before")
        stack.push_async_callback(_sweep_after, bench, found)
        await bench.driver.prepare(bench.trial.image)
        found.facts = await bench.driver.facts() | {"labels": dict(bench.driver.host.labels)}
        if experiment.together:
            await _assemble_hosts(bench, cancelled)
        bench.begin()
        if Capability.VIRTUAL_TIME in bench.driver.offers:
            bench.drop_caches = _drop_nothing
            await _measure(bench, experiment, found, cancelled)
            return
        if machine.can_drop_caches():
            bench.drop_caches = lambda: bench.driver.engine(machine.drop_caches)
        found.facts |= machine.host_facts() | _image_facts(bench.trial.image)
        found.busy_share_before = await _wait_for_quiet()
        bench.begin()
        drift = time.time_ns() - time.monotonic_ns()
        sampler = Sampler(bench)
        async with sampler:
            await _measure(bench, experiment, found, cancelled)
        found.harness_cpus, found.lag_p99_ns = sampler.cpu_share, sampler.lag_p99_ns()
        found.clock_drift_ns = time.time_ns() - time.monotonic_ns() - drift


def _image_facts(image: str) -> dict[str, Any]:
    """What a folder that is the image says of itself."""
    return {"image": read_tree(image).about} if is_tree(image) else {}


async def _drop_nothing() -> None:
    """Virtual time has no page cache: it is as cold as asked for."""


async def _watch_for_cancellation(cancelled: Callable[[], bool]) -> None:
    while not cancelled():
        await asyncio.sleep(CANCEL_POLL_S)
    raise TrialCancelled("somebody asked for the trial to end")


async def _assemble_hosts(bench: Bench, cancelled: Callable[[], bool]) -> None:
    """Wait for the other hosts. The trial's own deadline begins after that."""
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(_watch_for_cancellation(cancelled))
        await bench.meeting.assemble(bench.params.meet_deadline_s)
        watch.cancel()


async def _measure(
    bench: Bench, experiment: Experiment, found: _Findings, cancelled: Callable[[], bool]
) -> None:
    """The experiment under the trial's deadline. What it raises is told apart in ``found``."""
    deadline_s = bench.trial.deadline_s
    limit = asyncio.timeout(deadline_s)
    try:
        async with limit, asyncio.TaskGroup() as group:
            watch = group.create_task(_watch_for_cancellation(cancelled))
            await experiment.run(bench)
            watch.cancel()
        found.outcome = "completed"
    except TimeoutError as error:  # ours, or one of a socket somewhere below
        ours = DeadlineExceeded(f"the trial did not end within its deadline of {deadline_s:g} s")
        found.blame(ours if limit.expired() else error)
    except (TonnageError, BaseExceptionGroup) as error:
        found.blame(_first(error))
    found.duration_ns = bench.now()


def _first(error: BaseException) -> BaseException:
    """The first cause inside nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _settle(found: _Findings) -> None:
    """Give every row that was cut off its outcome, and the trial its own."""
    for row in found.rows:
        if row.outcome == "skipped" and found.error_class is not None and row.error_class is None:
            row.error_class, row.error_text = found.error_class, found.error_text
            if row.t_call is not None:
                row.outcome = "timeout" if found.error_class == DeadlineExceeded.code else "failed"
    measured = [
        row
        for row in found.rows
        if not row.resident and not row.warm_up and row.error_class not in (ELSEWHERE, NOT_APPLICABLE)
    ]
    good = [row for row in measured if row.outcome in ("ok", "censored")]
    if found.error_class == PolicyRefused.code:
        found.outcome = "skipped"
    elif found.error_class is not None:
        found.outcome = "partial" if good else "failed"
    elif measured and not good:
        found.outcome = "failed"
        causes = [(row.error_class, row.error_text) for row in measured]
        found.error_class, text = max(set(causes), key=causes.count)
        found.error_text = f"no instance became ready; most often: {text}"


def _record(
    assignment: Assignment, found: _Findings, started_at_ns: int, *, virtual: bool
) -> TrialRecord:
    evidence = Evidence(
        outcome=found.outcome,
        rows=found.rows,
        planned=found.planned,
        busy_share_before=found.busy_share_before,
        foreign_instances=int(found.facts.get("foreign_instances", 0)),
        harness_cpus=found.harness_cpus,
        lag_p99_ns=found.lag_p99_ns,
        clock_drift_ns=found.clock_drift_ns,
        swept=found.swept,
        left=found.left,
        voids=found.voids,
    )
    verdict, reasons = judge(evidence)
    offset = None if virtual else assignment.clock_offset()
    engines = {key: str(value) for key, value in found.facts.items() if key.endswith("version")}
    return TrialRecord(
        trial=assignment.trial,
        attempt=assignment.attempt,
        outcome=found.outcome,
        verdict=verdict,
        reasons=reasons,
        error_class=found.error_class,
        error_text=found.error_text,
        emulated=bool(found.facts.get("emulated", False)),
        virtual=virtual,
        started_at_ns=started_at_ns,
        duration_ns=found.duration_ns,
        clock_offset_ns=offset[0] if offset else None,
        clock_error_ns=offset[1] if offset else None,
        facts=found.facts,
        versions=machine.versions() | engines,
    )


async def _wait_for_quiet() -> float:
    """Share of the host's CPU that is in use; waits a little for a busy host to become quiet."""
    cpus = machine.host_facts()["cpu_count"] or 1
    waited_s = 0.0
    while True:
        before = machine.load_now()
        await asyncio.sleep(QUIET_PROBE_S)
        waited_s += QUIET_PROBE_S
        share = (machine.load_now().cpu_busy_s - before.cpu_busy_s) / QUIET_PROBE_S / cpus
        if share <= QUIET_CPU_SHARE or waited_s >= QUIET_WAIT_S:
            return float(share)


async def _sweep_after(bench: Bench, found: _Findings) -> None:
    """Sweep within a budget of its own; a failure is a reason for doubt, never a lost result."""
    try:
        async with asyncio.timeout(SWEEP_BUDGET_S):
            found.left = await sweep_own(bench.driver, bench.owner.host, "after")
    except Exception:  # a result is worth more than what went wrong after it
        found.left += 1
