"""Off, on, off: a victim that is asked at a steady rate while its neighbours rest, are bad, and rest."""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence

from contract.rows import Sample
from workers.bench import Bench
from workers.experiments.arrivals import each
from workers.experiments.guard import Guard
from workers.experiments.stages import Running
from workers.experiments.stressor import Stressor
from workers.prober import Prober, Slot

_WATCH_S = 0.5
_ANSWER_POLL_S = 0.05


class Phases:
    """The three phases of one trial. Each victim is its own control."""

    def __init__(
        self, bench: Bench, victim: Running, stressors: Sequence[Stressor], guard: Guard
    ) -> None:
        self._bench, self._params = bench, bench.params
        self._victim, self._stressors = victim, stressors
        self._guard = guard
        self._marks: list[int] = []
        """Where each phase began, and the last one ended."""

    async def run(self) -> None:
        """Measure. What was seen until then is noted even when it is cut off."""
        prober = self._prober()
        try:
            async with prober:
                await self._pass_through(prober)
        finally:
            self._note(prober.slots)

    async def _pass_through(self, prober: Prober) -> None:
        self._mark()
        await self._let_pass()
        self._mark()
        await self._all(Stressor.begin)
        failed = [stressor.failure for stressor in self._stressors if stressor.failure is not None]
        if failed:
            self._bench.void(f"{len(failed)} stressors could not be made to begin: {failed[0]}")
        await self._let_pass()
        self._mark()  # what it takes to end the stress belongs to the return to normal
        await self._all(Stressor.end)
        await self._let_pass()
        self._mark()
        await self._await_answers(prober)

    def _mark(self) -> None:
        self._marks.append(self._bench.now())

    async def _all(self, act: Callable[[Stressor], Awaitable[None]]) -> None:
        await each(self._stressors, len(self._stressors), act)

    async def _let_pass(self) -> None:
        """The length of a phase; shorter, and the trial void, when the host is in need."""
        end_ns = self._bench.now() + round(self._params.phase_s * 1e9)
        while (left_s := (end_ns - self._bench.now()) / 1e9) > 0:
            await asyncio.sleep(min(_WATCH_S, left_s))
            if (stop := self._guard.need(await self._guard.read())) is not None:
                self._bench.void(f"cut short to protect the host: {stop.text}")
                return

    async def _await_answers(self, prober: Prober) -> None:
        """Until everything planned for the phases is answered, or too late to count."""
        give_up_ns = self._marks[-1] + round(self._params.patience_s * 1e9)
        while self._bench.now() < give_up_ns:
            due = [slot for slot in prober.slots if slot.t_due < self._marks[-1]]
            if all(slot.t_answered is not None for slot in due):
                return
            await asyncio.sleep(_ANSWER_POLL_S)

    def _note(self, slots: Sequence[Slot]) -> None:
        sample = self._bench.recorder.sample
        for step, (begin, end) in enumerate(zip(self._marks, self._marks[1:], strict=False)):
            sample(Sample(begin, "isolation.phase", end - begin, "ns", step=step))
        patience_ns = self._params.patience_s * 1e9
        for number, slot in enumerate(slots, 1):
            step = bisect_right(self._marks, slot.t_due) - 1
            if not 0 <= step < len(self._marks) - 1:  # before the first phase, or in none that ended
                continue
            late = slot.latency_ns is None or slot.latency_ns > patience_ns
            value = None if late else slot.latency_ns
            sample(Sample(slot.t_due, "isolation.latency", value, "ns", number, step))

    def _prober(self) -> Prober:
        assert self._victim.instance is not None
        salt = f"{self._bench.rng.getrandbits(32):08x}"
        ticket = f"{self._victim.instance.spec.nonce}-{salt}"
        params = self._params
        prober = Prober(self._bench, ticket, params.rate_per_s, params.request)
        prober.use(self._victim.console)
        return prober
