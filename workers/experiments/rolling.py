"""A rolling update: one instance after another is replaced by a new one, each under its own probe."""

from contextlib import AsyncExitStack

from contract.errors import EngineError, TonnageError
from contract.rows import InstanceRow, Sample
from workers.bench import Bench
from workers.experiments.operation import BROKEN, blame, note_interruption, settled
from workers.experiments.subject import Subject
from workers.experiments.talker import Talker
from workers.verbs.base import Renewed


class RollingUpdate:
    """One update of all subjects. Its row ends when the new version of the last of them answers."""

    def __init__(self, bench: Bench, subjects: list[Subject], row: InstanceRow) -> None:
        self._bench, self._params = bench, bench.params
        self._subjects, self._row = subjects, row

    async def conduct(self) -> bool:
        """Do it. Returns whether all answer afterwards. What fails is the row's outcome."""
        rate_per_s = self._params.probe_rate_per_s
        begin_ns = self._bench.now()
        async with AsyncExitStack() as stack:
            talkers = [
                await stack.enter_async_context(subject.talker(rate_per_s)) for subject in self._subjects
            ]
            await self._bench.sleep_until(begin_ns + round(self._params.calm_s * 1e9))
            try:
                await self._replace_all(talkers)
            except TonnageError as error:
                blame(self._row, error)
            ends = [await settled(self._bench, talker) for talker in talkers]
            known = [end_ns for end_ns in ends if end_ns is not None]
            all_back = len(known) == len(ends)
            end_ns = max(known) if all_back else None
            note_interruption(self._bench, [self._row], talkers, (begin_ns, end_ns))
        if not all_back and self._row.outcome == "ok":
            text = f"{len(ends) - len(known)} of {len(ends)} instances did not answer any more"
            self._row.outcome, self._row.error_class, self._row.error_text = "failed", BROKEN, text
        self._bench.recorder.finish(self._row)
        return all_back

    async def _replace_all(self, talkers: list[Talker]) -> None:
        self._row.t_intent = self._row.t_call = self._bench.now()
        for place, (subject, talker) in enumerate(zip(self._subjects, talkers, strict=True)):
            await self._replace(subject, talker, place)
        self._row.outcome = "ok"

    async def _replace(self, subject: Subject, talker: Talker, place: int) -> None:
        """Its new version, in the order of the parameters. Raises EngineError when it does not come."""
        old, begin_ns = subject.running, self._bench.now()
        if self._params.update_order == "stop_first":
            talker.use(None)
            await subject.end(old)
        fresh = await subject.replacement()
        if fresh.row.outcome != "ok":
            await subject.end(fresh)
            raise EngineError(f"the new version of instance {place} failed: {fresh.row.error_text}")
        self._row.t_ready = fresh.row.t_ready
        assert fresh.instance is not None
        if self._params.update_order == "start_first":
            talker.use(None)
        subject.running = fresh
        subject.renew(Renewed(fresh.instance, None), talker)
        talker.use(fresh.console)
        if self._params.update_order == "start_first":
            await subject.end(old)
        self._note(place, (self._row.t_ready or self._bench.now()) - begin_ns)

    def _note(self, place: int, took_ns: int) -> None:
        name = "management.replaced"
        sample = Sample(self._bench.now(), name, took_ns, "ns", self._row.instance, place)
        self._bench.recorder.sample(sample)
