"""Instances that are held: brought up one by one, watched for their death, and taken down in lanes."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from contract.errors import InstanceExited, TonnageError
from workers.bench import Bench
from workers.drivers.base import Instance
from workers.experiments.arrivals import each
from workers.experiments.stages import Running, bring_up, take_down
from workers.experiments.workload import Requests

T = TypeVar("T")

TAKE_DOWN_LANES = 8
TAKE_DOWN_BUDGET_S = 120.0
"""Own budget of taking many down together, and as much again for every hundred of them."""


@dataclass(slots=True, eq=False)
class Held:
    """An instance that was asked for, or as far as it got."""

    running: Running
    death: "asyncio.Future[None] | None" = None
    requests: Requests | None = None

    @property
    def is_dead(self) -> bool:
        """Whether its own process has ended."""
        return self.death is not None and self.death.done() and not self.death.cancelled()

    @property
    def instance(self) -> Instance:
        """The handle; only of one that has become ready."""
        assert self.running.instance is not None
        return self.running.instance


class Crowd:
    """All instances of a trial that exist now."""

    def __init__(self, bench: Bench, request_rate_per_s: float | None) -> None:
        self._bench = bench
        self._rate_per_s = request_rate_per_s
        self._all: list[Held] = []
        self.went_well: list[bool] = []
        """Of every start that has ended, in that order, whether it became ready; and a False for every
        instance that died while it was held."""
        self.deaths = 0
        self.requests_sent = 0
        self.requests_answered = 0

    @property
    def ready(self) -> list[Held]:
        """Those that became ready and live, the oldest first."""
        return [one for one in self._all if one.running.row.outcome == "ok" and not one.is_dead]

    async def add(self, running: Running, deadline_s: float) -> bool:
        """Bring one up and hold it. One that does not become ready is removed at once."""
        held = Held(running)
        self._all.append(held)
        running.row.t_intent = self._bench.now()
        good = await bring_up(self._bench, running, deadline_s)
        if good:
            await self._hold(held)
        self.went_well.append(good)
        if not good:
            await self._end(held)
        return good

    async def bury(self) -> int:
        """Remove those that died while they were held, whose rows fail. Returns how many."""
        dead = [one for one in self._all if one.is_dead and one.running.row.outcome == "ok"]
        for held in dead:
            row = held.running.row
            row.outcome, row.error_class = "failed", InstanceExited.code
            row.error_text = "it had become ready, and its process ended while it was held"
            self.went_well.append(False)
            await self._end(held)
        self.deaths += len(dead)
        return len(dead)

    async def shrink(self, most: int) -> None:
        """Take down the youngest until at most ``most`` are left."""
        await each(self._all[most:][::-1], TAKE_DOWN_LANES, self._end)

    async def clear(self) -> None:
        """Take all down within a budget. What outlives that is a leak, for the sweep to remove."""
        budget_s = TAKE_DOWN_BUDGET_S * (1 + len(self._all) // 100)
        with suppress(TimeoutError):
            async with asyncio.timeout(budget_s):
                await self.shrink(0)
        for held in list(self._all):
            row = held.running.row
            row.outcome, row.error_class = "failed", "leak"
            row.error_text = f"not removed within {budget_s:g} s, all instances together"
            self._forget(held)

    async def _hold(self, held: Held) -> None:
        running = held.running
        with suppress(TonnageError):  # it is ready all the same; its death will not be seen
            held.death = await self._bench.driver.watch_exit(held.instance)
        if self._rate_per_s is not None and running.console is not None:
            ticket = f"{held.instance.spec.nonce}-w"
            held.requests = Requests(self._bench, running.console, ticket, self._rate_per_s)
            held.requests.resume()

    async def _end(self, held: Held) -> None:
        if held.requests is not None:
            await held.requests.pause()
            self.requests_sent += held.requests.sent
            self.requests_answered += held.requests.answered
            held.requests = None
        if held.death is not None:
            held.death.cancel()
        await take_down(self._bench, held.running, graceful=False)
        self._forget(held)

    def _forget(self, held: Held) -> None:
        self._all.remove(held)
        self._bench.recorder.finish(held.running.row)
