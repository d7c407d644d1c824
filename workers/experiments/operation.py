"""One operation: verbs that undo each other, done one after another under an open-loop probe."""

import asyncio

from contract.errors import AgentSilent, EngineTimeout, NoEffect, TonnageError
from contract.rows import InstanceRow, Sample
from workers.bench import Bench
from workers.experiments.effects import Effects
from workers.experiments.silence import first_good_run, longest_silence_ns, lost
from workers.experiments.subject import Subject
from workers.experiments.talker import Talker
from workers.verbs.base import OPERATIONS, Support, Verb

SETTLE_LOOK_S = 0.01
NOT_TRIED = "not_tried"
"""Error class of a verb that was not done because the one before it came to nothing."""
BROKEN = "broken"
"""Error class of a verb after which the instance answered no more."""


class Operation:
    """One operation of a trial. Its rows are those of its verbs, in order."""

    def __init__(
        self, bench: Bench, subject: Subject, rows: list[InstanceRow], number: int, others: list[Subject]
    ) -> None:
        self._bench, self._params = bench, bench.params
        self._subject, self._rows, self._number, self._others = subject, rows, number, others
        self._verbs: tuple[Verb, ...] = OPERATIONS[bench.params.verb]

    async def conduct(self, supports: dict[Verb, Support]) -> bool:
        """Do it. Returns whether the instance answers afterwards. What fails is a row's outcome."""
        talker = self._subject.talker(self._params.probe_rate_per_s)
        effects = Effects(self._bench, self._subject, talker, self._number, self._others)
        begin_ns = self._bench.now()
        async with talker:
            try:
                await effects.prepare(self._verbs[0], supports[self._verbs[0]])
                await asyncio.sleep(self._params.calm_s)
                await self._do_all(effects)
            except TonnageError as error:  # nothing was done yet
                why = f"the instance could not be prepared for it: {error}"
                self._bench.recorder.pass_over(self._rows, NOT_TRIED, why)
            end_ns = await settled(self._bench, talker)
            if end_ns is None:
                self._note_broken()
            note_interruption(self._bench, self._rows, [talker], (begin_ns, end_ns))
        well = end_ns is not None
        if well and self._subject.instance.spec.image != self._bench.trial.image:
            # It stands on its snapshot, and the next one would stand on that: layer upon layer.
            well = await self._subject.start_over()
        await effects.forget()
        self._subject.keepsakes += effects.made
        for row in self._rows:
            self._bench.recorder.finish(row)
        return well

    async def _do_all(self, effects: Effects) -> None:
        """Verb after verb, until one comes to nothing."""
        for place, (verb, row) in enumerate(zip(self._verbs, self._rows, strict=True)):
            try:
                await effects.do(verb, row)
            except TonnageError as error:
                blame(row, error)
                why = f"'{verb}' before it came to nothing"
                self._bench.recorder.pass_over(self._rows[place + 1 :], NOT_TRIED, why)
                return

    def _note_broken(self) -> None:
        done = [row for row in self._rows if row.t_call is not None]
        if not done:
            return
        row = done[-1]
        why = f"the instance did not answer any more within {self._params.effect_deadline_s:g} s"
        if row.outcome == "ok":
            row.outcome, row.error_class, row.error_text = "failed", BROKEN, why
        else:
            row.error_text = f"{row.error_text}; then {why}"


def blame(row: InstanceRow, error: TonnageError) -> None:
    """The row failed for this reason."""
    late = isinstance(error, NoEffect | AgentSilent | EngineTimeout)
    row.outcome = "timeout" if late else "failed"
    row.error_class, row.error_text = error.code, str(error)


async def settled(bench: Bench, talker: Talker) -> int | None:
    """Wait for good answers in a row. Returns when the last of them came; None: not by the deadline."""
    params, since_ns = bench.params, bench.now()
    give_up_ns = since_ns + round(params.effect_deadline_s * 1e9)
    while bench.now() < give_up_ns:
        patience_ns = round(params.patience_ms * 1e6)
        run = first_good_run(talker.slots, since_ns, params.good_replies, patience_ns)
        if run is not None:
            return run[-1].t_answered
        await asyncio.sleep(SETTLE_LOOK_S)
    return None


def note_interruption(
    bench: Bench, rows: list[InstanceRow], talkers: list[Talker], window: tuple[int, int | None]
) -> None:
    """The longest silence and the lost probes from the first call on, and every probe there was.

    Where the instance did not come back both are unknown, and null.
    """
    begin_ns, end_ns = window
    first = rows[0]
    call_ns = first.t_call
    if call_ns is None:
        return
    patience_ns = round(bench.params.patience_ms * 1e6)
    period_ns = round(1e9 / bench.params.probe_rate_per_s)

    def note(metric: str, value: float | None, unit: str, t_ns: int) -> None:
        name = f"management.{metric}"
        bench.recorder.sample(Sample(t_ns, name, value, unit, first.instance))

    def longest(from_ns: int, to_ns: int) -> int | None:
        each = [longest_silence_ns(t.slots, from_ns, to_ns, patience_ns, period_ns) for t in talkers]
        return max((silence for silence in each if silence is not None), default=None)

    over_ns = bench.now()
    note("jitter", longest(begin_ns, call_ns), "ns", call_ns)
    note("interruption", None if end_ns is None else longest(call_ns, end_ns), "ns", over_ns)
    missed = [lost(t.slots, call_ns, end_ns or over_ns, patience_ns) for t in talkers]
    note("lost_requests", None if end_ns is None else sum(missed), "1", over_ns)
    for talker in talkers:
        for slot in talker.slots:
            if slot.t_due <= (end_ns or over_ns):
                note("probe", slot.latency_ns, "ns", slot.t_due)
