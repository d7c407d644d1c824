"""Day-2 verbs, each from its call to the moment at which its effect is to be seen."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from contract.errors import EngineError, NoEffect, TonnageError
from contract.rows import InstanceRow, Sample
from workers.bench import Bench
from workers.experiments.subject import Subject
from workers.experiments.talker import Talker
from workers.verbs.base import Renewed, Support, Verb, Verbs, native

LOOK_S = 0.002
"""Between two looks for an effect that nothing announces."""
RETAKE_S = 0.01
"""Between two attempts to take a console anew."""
ASK_S = 2.0
"""For an answer that tells whether an instance is back."""

Look = Callable[[], Awaitable[int | None]]
"""When the effect was there, ns since the trial began; None: not yet."""


class Effects:
    """The verbs of one operation on one subject under its probe."""

    def __init__(
        self, bench: Bench, subject: Subject, talker: Talker, number: int, others: list[Subject]
    ) -> None:
        self.verbs: Verbs = bench.driver.verbs()
        self.made: list[tuple[Verb, str]] = []
        """Snapshots that exist because of us."""
        self._bench, self._params = bench, bench.params
        self._subject, self._talker, self._number = subject, talker, number
        self._others = others
        self._word = f"{bench.rng.getrandbits(64):016x}"
        self._before: set[str] = set()
        self._verb = Verb.EXEC
        self._support = native("")
        self._how: dict[str, Callable[[InstanceRow], Awaitable[None]]] = {
            "exec": self._exec,
            "logs": self._logs,
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            "start": self._start,
            "restart": self._restart,
            "snapshot": self._save,
            "checkpoint": self._save,
            "restore": self._bring_back,
            "checkpoint_restore": self._bring_back,
            "cpu_less": self._cpus,
            "cpu_more": self._cpus,
            "memory_less": self._memory,
            "memory_more": self._memory,
            "rename": self._rename,
            "list": self._list,
        }

    async def prepare(self, verb: Verb, support: Support) -> None:
        """Before the time in which nothing is done: what the first verb wants to find."""
        self._support = support
        if verb in (Verb.SNAPSHOT, Verb.CHECKPOINT):
            await self._talker.ask(f"mark {self._word}", self._params.effect_deadline_s)
            self._before = set(await self.verbs.saved(verb, self._subject.instance))

    async def do(self, verb: Verb, row: InstanceRow) -> None:
        """Do it, stamping the row. Raises NoEffect, and what the engine raises."""
        self._verb = verb
        await self._how[verb](row)
        row.outcome = "ok"

    async def forget(self) -> None:
        """Remove what snapshots left, as far as the engine lets us now."""
        for verb, name in self.made if self._subject.running.instance else ():
            with suppress(TonnageError):
                await self.verbs.forget(verb, self._subject.instance, name)

    async def _exec(self, row: InstanceRow) -> None:
        await self._until_told(
            row, lambda: self.verbs.exec(self._subject.instance, self._word), lambda t: self._word in t
        )

    async def _logs(self, row: InstanceRow) -> None:
        """What the agent answers just before must be among what the engine tells."""
        await self._talker.ask("uptime", self._params.effect_deadline_s)
        ticket = self._talker.last_ticket
        await self._until_told(
            row, lambda: self.verbs.logs(self._subject.instance), lambda told: ticket in told
        )

    async def _list(self, row: InstanceRow) -> None:
        everybody = {one.instance.spec.name for one in (self._subject, *self._others)}
        await self._until_told(row, self.verbs.names, lambda told: everybody <= set(told))

    async def _pause(self, row: InstanceRow) -> None:
        async def look() -> int | None:
            assert row.t_call is not None
            return self._talker.silent_from(row.t_call)

        await self._carry_out(row, self.verbs.pause(self._subject.instance), look)
        heard = self._talker.t_heard
        await self._hold(row)
        if self._talker.t_heard != heard:
            row.t_ready = None
            raise NoEffect("it was silent for a while and then answered, although it was paused")

    async def _resume(self, row: InstanceRow) -> None:
        await self._carry_out(row, self.verbs.resume(self._subject.instance), self._answers(row))

    async def _stop(self, row: InstanceRow) -> None:
        driver, instance = self._bench.driver, self._subject.instance
        death = await driver.watch_exit(instance)
        if death is None:
            raise EngineError("its own process cannot be seen from here, so neither can its end")
        died: list[int] = []
        death.add_done_callback(lambda _: died.append(self._bench.now()))

        async def look() -> int | None:
            return died[0] if died else None

        try:
            call = driver.stop(instance, graceful=self._params.graceful)
            await self._carry_out(row, call, look)
        finally:
            death.cancel()
        self._talker.use(None)
        await self._hold(row)

    async def _start(self, row: InstanceRow) -> None:
        driver, instance = self._bench.driver, self._subject.instance
        console = await driver.attach(instance)

        async def start() -> None:
            await driver.start(instance)
            self._subject.renew(Renewed(instance, console), self._talker)

        await self._carry_out(row, start(), self._answers(row))

    async def _hold(self, row: InstanceRow) -> None:
        """As long as it shall last, counted from the effect."""
        assert row.t_ready is not None
        await self._bench.sleep_until(row.t_ready + round(self._params.hold_s * 1e9))

    async def _restart(self, row: InstanceRow) -> None:
        if self._support.kind == "emulated":
            await self._carry_out(row, self._stop_and_start(), self._answers_anew(row))
            return
        instance = self._subject.instance
        keeping = asyncio.create_task(self._retake())
        try:
            call = self.verbs.restart(instance, graceful=self._params.graceful)
            await self._carry_out(row, call, self._answers_anew(row))
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def _stop_and_start(self) -> None:
        driver, instance = self._bench.driver, self._subject.instance
        await driver.stop(instance, graceful=self._params.graceful)
        console = await driver.attach(instance)
        await driver.start(instance)
        self._subject.renew(Renewed(instance, console), self._talker)

    async def _retake(self) -> None:
        """Whenever the console breaks, take it anew as soon as the engine lets us."""
        while True:
            if not self._talker.has_console:
                with suppress(TonnageError):
                    instance = self._subject.instance
                    console = await self._bench.driver.reattach(instance)
                    self._subject.renew(Renewed(instance, console), self._talker)
            await asyncio.sleep(RETAKE_S)

    async def _save(self, row: InstanceRow) -> None:
        instance = self._subject.instance
        name = f"{instance.spec.name}-s{self._number}"
        verb = self._verb
        self.made.append((verb, name))

        done = asyncio.Event()

        async def save() -> None:
            await self.verbs.save(verb, instance, name)
            done.set()

        async def look() -> int | None:
            if not done.is_set():  # some engines list what they are still writing
                return None
            new = set(await self.verbs.saved(verb, instance)) - self._before
            return self._bench.now() if new else None

        await self._carry_out(row, save(), look)

    async def _bring_back(self, row: InstanceRow) -> None:
        """The word that was kept before must be back, in place of a later one."""
        kept, name = self.made[-1]
        if self._talker.has_console:
            await self._talker.ask("mark changed", self._params.effect_deadline_s)
        back = asyncio.Event()

        async def bring_back() -> None:
            renewed = await self.verbs.bring_back(kept, self._subject.instance, name)
            self._subject.renew(renewed, self._talker)
            back.set()

        async def look() -> int | None:
            assert row.t_call is not None
            if not back.is_set() or self._talker.first_answer_since(row.t_call) is None:
                return None  # a question that is lost on the way would cost more than a probe
            answer: dict[str, Any] = {}
            with suppress(TonnageError):
                answer = await self._talker.ask("marked", ASK_S)
            now_ns = self._bench.now()
            remembers = answer.get("memory") == self._word
            if self._word not in (answer.get("file"), answer.get("memory")):
                return None
            if self._verb is Verb.CHECKPOINT_RESTORE and not remembers:
                return None
            self._note("memory_kept", float(remembers), "1", row, now_ns)
            return now_ns

        await self._carry_out(row, bring_back(), look)

    async def _cpus(self, row: InstanceRow) -> None:
        full = self._bench.trial.limits.cpus or 1.0
        wanted = full * self._params.shrink_to if self._verb is Verb.CPU_LESS else full
        instance = self._subject.instance

        async def look() -> int | None:
            seen = await self.verbs.cpus(instance)
            there = seen is not None and abs(seen - wanted) < 0.01 * wanted
            return self._bench.now() if there else None

        await self._carry_out(row, self.verbs.limit_cpus(instance, wanted), look)

    async def _memory(self, row: InstanceRow) -> None:
        full = self._bench.trial.limits.memory_mib or 128
        wanted = round(full * self._params.shrink_to) if self._verb is Verb.MEMORY_LESS else full
        instance = self._subject.instance

        async def look() -> int | None:
            there = await self.verbs.memory_mib(instance) == wanted
            return self._bench.now() if there else None

        await self._carry_out(row, self.verbs.limit_memory(instance, wanted), look)

    async def _rename(self, row: InstanceRow) -> None:
        instance, old = self._subject.instance, self._subject.instance.spec.name
        name = f"{self._bench.owner.instance_name(instance.spec.index)}-r{self._number}"

        async def rename() -> None:
            self._subject.renew(await self.verbs.rename(instance, name), self._talker)

        async def look() -> int | None:
            found = await self.verbs.knows(instance, name) and not await self.verbs.knows(instance, old)
            return self._bench.now() if found else None

        await self._carry_out(row, rename(), look)

    def _answers(self, row: InstanceRow) -> Look:
        """It has answered since the call."""

        async def look() -> int | None:
            assert row.t_call is not None
            return self._talker.first_answer_since(row.t_call)

        return look

    def _answers_anew(self, row: InstanceRow) -> Look:
        """It has answered over a console that was taken since the call: not the old life."""

        async def look() -> int | None:
            assert row.t_call is not None
            taken = self._talker.has_console and self._talker.t_attached > row.t_call
            return self._talker.first_answer_since(row.t_call) if taken else None

        return look

    async def _until_told(
        self, row: InstanceRow, ask: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]
    ) -> None:
        """What is asked for comes with the call's answer: call until it holds what it must."""
        row.t_intent = row.t_call = self._bench.now()
        try:
            async with asyncio.timeout(self._params.effect_deadline_s):
                told = await ask()
                self._note_call(row, self._bench.now())
                while not holds(told):
                    await asyncio.sleep(LOOK_S)
                    told = await ask()
        except TimeoutError as error:
            raise self._late() from error
        row.t_ready = self._bench.now()

    async def _carry_out(self, row: InstanceRow, call: Awaitable[None], look: Look) -> None:
        """Make the call, and look for its effect beside it."""

        async def timed() -> int:
            await call
            return self._bench.now()

        row.t_intent = row.t_call = self._bench.now()
        calling = asyncio.create_task(timed())
        try:
            async with asyncio.timeout(self._params.effect_deadline_s):
                while (seen_ns := await look()) is None:
                    if calling.done():
                        calling.result()
                    await asyncio.sleep(LOOK_S)
                self._note_call(row, await calling)
        except TimeoutError as error:
            raise self._late() from error
        finally:
            calling.cancel()
            with suppress(asyncio.CancelledError, TonnageError):
                await calling
        row.t_ready = seen_ns

    def _late(self) -> NoEffect:
        return NoEffect(f"no effect was to be seen within {self._params.effect_deadline_s:g} s")

    def _note_call(self, row: InstanceRow, returned_ns: int) -> None:
        assert row.t_call is not None
        self._note("call", returned_ns - row.t_call, "ns", row, returned_ns)

    def _note(self, metric: str, value: float, unit: str, row: InstanceRow, t_ns: int) -> None:
        name = f"management.{metric}"
        self._bench.recorder.sample(Sample(t_ns, name, value, unit, row.instance))
