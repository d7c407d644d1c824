"""An instance that faults hit, over all its lives within a trial."""

from dataclasses import replace

from contract.rows import InstanceRow
from workers.bench import Bench
from workers.drivers.base import Instance
from workers.experiments.stages import Running, bring_up, take_down


class Victim:
    """One of the trial's instances. Its row tells of its first life; later ones are the injections'."""

    def __init__(self, bench: Bench, row: InstanceRow) -> None:
        self.row = row
        self.is_healthy = False
        """It answers, as far as is known."""
        self._bench = bench
        self._running = self._fresh(row)

    @property
    def running(self) -> Running:
        """What there is of it: handle, console, agent."""
        return self._running

    @property
    def instance(self) -> Instance:
        """The handle of one that is healthy."""
        assert self._running.instance is not None
        return self._running.instance

    @property
    def ailment(self) -> str:
        """Why it could not be brought up."""
        return self._running.row.error_text or "it was not brought up"

    async def bring_up(self) -> None:
        """Its first life."""
        await self._start()

    async def heal(self) -> None:
        """See that it is healthy: one that did not come back is removed and made anew."""
        if not self.is_healthy:
            await take_down(self._bench, self._running, graceful=False)
            blank = InstanceRow(self.row.instance, ready_level=self.row.ready_level)
            self._running = self._fresh(blank)
            await self._start()

    async def take_down(self) -> None:
        """Its end. Its row is final then."""
        last = self._running
        if last.row is not self.row:  # the first life's end was part of an injection
            await take_down(self._bench, last, graceful=False)
            if last.row.error_class == "leak" and self.row.error_class is None:
                copied = replace(last.row)
                self.row.outcome, self.row.error_class = copied.outcome, copied.error_class
                self.row.error_text = copied.error_text
        else:
            await take_down(self._bench, last, graceful=False)
        self._bench.recorder.finish(self.row)

    async def _start(self) -> None:
        self._running.row.t_intent = self._bench.now()
        self.is_healthy = await bring_up(self._bench, self._running, self._bench.params.ready_deadline_s)

    def _fresh(self, row: InstanceRow) -> Running:
        return Running(row, revived=self._bench.params.supervision == "engine")
