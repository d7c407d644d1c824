"""An instance that day-2 verbs are done to, over all its lives within a trial, and its probe."""

from contextlib import suppress

from contract.errors import TonnageError
from contract.rows import InstanceRow
from workers.bench import Bench
from workers.drivers.base import Instance
from workers.experiments.stages import Running, bring_up, take_down
from workers.experiments.talker import Talker
from workers.verbs.base import Renewed, Verb


class Subject:
    """One of the trial's instances. Its row tells of its first life and of its end."""

    def __init__(self, bench: Bench, row: InstanceRow) -> None:
        self.row = row
        self.running = Running(row)
        self.keepsakes: list[tuple[Verb, str]] = []
        """Snapshots of it that could not be removed while it was there, perhaps."""
        self._bench = bench
        self._lives = 1

    @property
    def instance(self) -> Instance:
        """The handle; only of one that is ready."""
        assert self.running.instance is not None
        return self.running.instance

    @property
    def is_ready(self) -> bool:
        """Whether its first life became ready."""
        return self.row.outcome == "ok"

    async def bring_up(self) -> None:
        """Its first life."""
        self.row.t_intent = self._bench.now()
        await bring_up(self._bench, self.running, self._bench.params.ready_deadline_s)

    async def take_down(self) -> None:
        """Its end. Its row is final then."""
        await self.end(self.running)
        verbs = self._bench.driver.verbs()
        for verb, name in self.keepsakes if self.running.instance else ():
            with suppress(TonnageError):
                await verbs.forget(verb, self.instance, name)
        self._bench.recorder.finish(self.row)

    def talker(self, rate_per_s: float) -> Talker:
        """A probe of it, to be entered; asks over the console that it has now."""
        salt = f"{self._bench.rng.getrandbits(32):08x}"
        talker = Talker(self._bench, f"{self.instance.spec.nonce}-{salt}", rate_per_s)
        talker.use(self.running.console)
        return talker

    def renew(self, renewed: Renewed, talker: Talker) -> None:
        """A verb has given it another life, or another console."""
        self.running.instance = renewed.instance
        if renewed.console is not None:
            if self.running.console is not None:
                self.running.console.close()
            self.running.console = renewed.console
            talker.use(renewed.console)

    async def replacement(self) -> Running:
        """Another instance of its number, brought up beside or after it. Look at its row."""
        self._lives += 1
        row = InstanceRow(self.row.instance, ready_level=self.row.ready_level)
        fresh = Running(row, suffix=f"-v{self._lives}")
        row.t_intent = self._bench.now()
        await bring_up(self._bench, fresh, self._bench.params.ready_deadline_s)
        return fresh

    async def start_over(self) -> bool:
        """In place of what it is now, an instance of the trial's own image. Whether that is ready."""
        await self.end(self.running)
        self.running = await self.replacement()
        return self.running.row.outcome == "ok"

    async def end(self, running: Running) -> None:
        """Take one of its lives down. What that leaves is told by its own row."""
        await take_down(self._bench, running, graceful=False)
        row = running.row
        if row is not self.row and row.error_class == "leak" and self.row.error_class is None:
            self.row.outcome, self.row.error_class = row.outcome, row.error_class
            self.row.error_text = row.error_text
