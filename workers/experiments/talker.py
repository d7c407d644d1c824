"""A probe that can be asked other things beside: it is the only reader of its console."""

import asyncio
from bisect import bisect_left
from typing import Any

from contract.errors import AgentError, AgentSilent, InstanceExited
from workers.console import Console
from workers.prober import Prober, Slot

SILENT_PROBES = 3
"""So many in a row without an answer, at least, before an instance counts as silent."""
_SILENT_NS = 100_000_000


class Talker(Prober):
    """A prober over whose console requests of our own go too, with tickets of their own."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.t_attached = 0
        """When the present console was taken."""
        self.last_ticket = ""
        """Of the last request of ours: it stands in the answer."""
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._asked = 0
        self._heard_at: list[int] = []
        """When probes were answered, in order."""
        self.on_answer = self._note_answer

    def use(self, console: Console | None) -> None:
        """As every prober, with a stamp."""
        self.t_attached = self._bench.now()
        super().use(console)

    async def ask(self, request: str, deadline_s: float) -> dict[str, Any]:
        """Send a request, return its answer. Raises AgentSilent, AgentError or InstanceExited."""
        if self._console is None:
            raise InstanceExited("there is no console to ask over")
        self._asked += 1
        ticket = self.last_ticket = f"{self._nonce}-q{self._asked}"
        heard = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(deadline_s):
                await self._console.send(f"{ticket} {request}")
                answer: dict[str, Any] = await heard
        except TimeoutError as error:
            raise AgentSilent(f"no answer to '{request}' within {deadline_s:g} s") from error
        finally:
            del self._waiting[ticket]
        if answer.get("ok") is not True:
            raise AgentError(f"the agent refused '{request}': {answer.get('error', answer)}")
        return answer

    def first_answer_since(self, t_ns: int) -> int | None:
        """When the first probe was answered at or after a moment, and over the present console."""
        place = bisect_left(self._heard_at, max(t_ns, self.t_attached))
        return self._heard_at[place] if place < len(self._heard_at) else None

    def silent_from(self, t_ns: int) -> int | None:
        """The planned moment of the first probe since ``t_ns`` after which nothing was answered.

        None until the silence has lasted for several probes, and for longer than answers usually take.
        """
        unanswered: list[Slot] = []
        for slot in reversed(self.slots):
            if slot.t_due < t_ns or slot.t_answered is not None:
                break
            unanswered.append(slot)
        if len(unanswered) < SILENT_PROBES:
            return None
        begin_ns = unanswered[-1].t_due
        return begin_ns if self._bench.now() - begin_ns >= self._usual_ns() else None

    def _usual_ns(self) -> int:
        """Four times the median latency of the latest answers, and not less than 100 ms."""
        known = sorted(s.latency_ns for s in self.slots[-200:] if s.latency_ns is not None)
        return max(_SILENT_NS, 4 * known[len(known) // 2] if known else 0)

    def _note_answer(self, slot: Slot) -> None:
        assert slot.t_answered is not None
        self._heard_at.append(slot.t_answered)

    def _hear(self, spoken: dict[str, Any] | None) -> None:
        super()._hear(spoken)
        waiting = self._waiting.get(str(spoken.get("re"))) if spoken else None
        if waiting is not None and spoken is not None and not waiting.done():
            waiting.set_result(spoken)
