"""One fault, done to one instance, and everything until it answers again or the deadline."""

import asyncio
from contextlib import suppress

from contract.catalog import Capability
from contract.errors import EngineError, TonnageError
from contract.rows import InstanceRow, Sample
from workers.bench import Bench
from workers.drivers.base import Fault
from workers.experiments.supervision import KINDS, Supervisor
from workers.experiments.victim import Victim
from workers.prober import Prober, Slot

BEFORE_S = 1.0
"""How long an instance is probed before the fault: what it was like when nothing was wrong."""


class Injection:
    """One row of a recovery trial."""

    def __init__(self, bench: Bench, victim: Victim, row: InstanceRow) -> None:
        self._bench, self._victim, self._row = bench, victim, row
        self._period_ns = round(1e9 / bench.params.probe_rate_per_s)
        self._patience_ns = round(bench.params.patience_ms * 1e6)
        self._injected_ns = 0
        self._answered = asyncio.Event()

    async def conduct(self, t_intent: int) -> None:
        """Probe, wait for the planned moment, do it, and watch. What fails is the row's outcome."""
        row = self._row
        row.t_intent = t_intent
        try:
            if not self._victim.is_healthy:
                raise EngineError(f"there was no healthy instance to hit: {self._victim.ailment}")
            await self._conduct(t_intent)
        except TonnageError as error:
            row.outcome, row.error_class, row.error_text = "failed", error.code, str(error)
            self._victim.is_healthy = False
        self._bench.recorder.finish(row)

    async def _conduct(self, t_intent: int) -> None:
        instance = self._victim.instance
        salt = f"{self._bench.rng.getrandbits(32):08x}"
        prober = Prober(
            self._bench, f"{instance.spec.nonce}-{salt}", self._bench.params.probe_rate_per_s
        )
        prober.use(self._victim.running.console)
        prober.on_answer = lambda _: self._answered.set()
        supervisor = KINDS[self._bench.params.supervision](self._bench, self._victim, self._row, prober)
        await self._bench.sleep_until(t_intent - round(BEFORE_S * 1e9))
        async with prober:
            await supervisor.begin()
            try:
                await self._hit(t_intent, supervisor, prober)
            finally:
                await supervisor.end()
        self._note(prober)
        if self._row.outcome == "censored" and supervisor.obstacle:
            self._row.error_text = f"{self._row.error_text}; last obstacle: {supervisor.obstacle}"

    async def _hit(self, t_intent: int, supervisor: Supervisor, prober: Prober) -> None:
        """The fault, with the supervisor beside it."""
        death = await self._bench.driver.watch_exit(self._victim.instance)
        if death is not None:
            death.add_done_callback(self._note_exit)
        beside = asyncio.create_task(supervisor.run())
        try:
            await self._bench.sleep_until(t_intent)
            self._row.t_fault = self._bench.now()
            await self._inject()
            self._injected_ns = self._bench.now()
            await self._until_recovered(prober, beside)
        finally:
            beside.cancel()
            with suppress(asyncio.CancelledError):
                await beside
            if death is not None:
                death.cancel()

    async def _inject(self) -> None:
        """Do it. Raises EngineError, NotAllowed."""
        driver, instance, fault = self._bench.driver, self._victim.instance, self._bench.params.fault
        inside = Capability.GUEST_KERNEL in driver.offers
        if fault == "oom":
            await self._tell("oom")
        elif fault == "agent_kill" and inside:  # behind a kernel of its own, out of the host's reach
            await self._tell("die")
        elif fault in ("agent_kill", "kill", "all"):
            await driver.inject(instance, Fault.KILL)
        else:
            await driver.inject(instance, Fault(fault))

    async def _tell(self, request: str) -> None:
        console = self._victim.running.console
        assert console is not None
        await console.send(f"fault {request}")

    async def _until_recovered(self, prober: Prober, beside: "asyncio.Task[None]") -> None:
        """Until enough good replies in a row, or the deadline. Raises what the supervisor raised."""
        row = self._row
        assert row.t_fault is not None
        deadline_ns = row.t_fault + round(self._bench.params.recovery_deadline_s * 1e9)
        while (left_ns := deadline_ns - self._bench.now()) > 0:
            if (first := self._first_of_run(prober)) is not None:
                row.outcome, row.t_ready = "ok", first.t_answered
                self._victim.is_healthy = True
                return
            if beside.done():
                beside.result()
            self._answered.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_ns / 1e9):
                    await self._answered.wait()
        row.outcome, row.error_class = "censored", "unrecovered"
        row.error_text = f"not back within {self._bench.params.recovery_deadline_s:g} s of the fault"
        self._victim.is_healthy = False

    def _first_of_run(self, prober: Prober) -> Slot | None:
        """First slot of the unbroken run of good replies up to now, when the run is long enough.

        Enough of it must have been planned after the fault was done: the end of an engine takes a
        while to reach its instances.
        """
        assert self._row.t_fault is not None
        first, confirmed, in_run = None, 0, False
        for slot in reversed(prober.slots):
            if slot.t_due < self._row.t_fault:
                break
            if not in_run and slot.t_answered is None:
                continue  # the latest ones are still on their way
            in_run = True
            if not self._is_good(slot):
                break
            first = slot
            confirmed += slot.t_due >= self._injected_ns
        return first if confirmed >= self._bench.params.good_replies else None

    def _is_good(self, slot: Slot) -> bool:
        return slot.latency_ns is not None and slot.latency_ns <= self._patience_ns

    def _note_exit(self, death: "asyncio.Future[None]") -> None:
        if not death.cancelled() and self._row.t_fault is not None:
            self._row.t_exited = self._bench.now()

    def _note(self, prober: Prober) -> None:
        """Outage, lost requests, and every probe from a little before the fault until the end of it."""
        row = self._row
        if row.t_fault is None:
            return
        span_ns = round(self._bench.params.recovery_deadline_s * 1e9)
        end_ns = row.t_fault + span_ns if row.t_ready is None else row.t_ready
        lost = 0
        for slot in prober.slots:
            if slot.t_due > end_ns:
                break
            good = self._is_good(slot)
            lost += slot.t_due >= row.t_fault and not good
            self._sample("probe", slot.latency_ns if good else None, "ns", slot.t_due)
        self._sample("lost_requests", lost, "1", end_ns)
        self._sample("outage", lost * self._period_ns, "ns", end_ns)

    def _sample(self, metric: str, value: float | None, unit: str, t_ns: int) -> None:
        name = f"recovery.{metric}"
        self._bench.recorder.sample(Sample(t_ns, name, value, unit, self._row.instance))
