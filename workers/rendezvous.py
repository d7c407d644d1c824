"""Meeting other hosts through the broker: arrivals, a common moment, and signs of life.

A host that waits polls; nothing waits for ever. The common moment is the broker's time of the last
arrival and a little more. Every host converts it by the offset between the broker's clock and its own
monotonic one, measured anew at every stage; the error bound of that goes with it.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import redis

from contract import wire
from contract.broker import clock_offset
from contract.errors import BrokerError, EngineTimeout, RendezvousError
from contract.strict_json import read_json
from workers.clock import Clock
from workers.engine_threads import EngineThreads
from workers.meeting import BEAT_S, Meeting, Release

P = ParamSpec("P")
T = TypeVar("T")

AHEAD_S = 0.5
"""How long after the last arrival all go on: longer than a poll and a round trip."""
POLL_S = 0.05
SILENT_S = 10.0
"""A host of the group that has shown no sign of life for so long has left."""
ABSENT_S = 30.0
"""A host whose worker has had no heartbeat for so long is not waited for."""
CALL_DEADLINE_S = 30.0
MAX_WORD_BYTES = 1 << 20
"""Of what one host says to the others on one topic."""
TTL_S = 3 * 24 * 3600
"""Of every key: longer than the longest wait for the others and the longest trial together."""

_ASSEMBLE = "assemble"


@dataclass(frozen=True, slots=True)
class Venue:
    """Where a group meets: a broker, a run of a campaign, and what is measured together in it."""

    client: "redis.Redis[bytes]"
    run: str
    meeting_id: str

    def key(self, what: str) -> str:
        """A key of this meeting."""
        return wire.meeting_key(self.run, self.meeting_id, what)


class Rendezvous(Meeting):
    """A meeting of hosts that are really there. Its moments are on ``clock``."""

    def __init__(self, me: str, group: Sequence[str], venue: Venue, clock: Clock) -> None:
        super().__init__(me, group)
        self._venue = venue
        self._client = venue.client
        self._clock = clock
        self._threads = EngineThreads("the broker")
        self._signs = _Signs(self, venue, clock)
        self._assembled = False
        self._absent_since: dict[str, int] = {}

    async def assemble(self, deadline_s: float) -> None:
        """Arrive first, and be seen from then on."""
        if await self._ask(self._client.exists, self._venue.key(f"release:{_ASSEMBLE}")):
            raise RendezvousError(
                f"{self.me} has left this measurement, and the others went on without it"
            )
        self._signs.begin()
        await self.arrive(_ASSEMBLE, deadline_s)
        self._assembled = True

    async def arrive(self, stage: str, deadline_s: float, among: Sequence[str] | None = None) -> Release:
        """Be there, then look for the others and for the common moment."""
        awaited = set(self.group if among is None else among)
        await self._ask(self._be_at, stage)
        give_up = self._clock.now_ns() + round(deadline_s * 1e9)
        while True:
            there, released_ns = await self._ask(self._look, stage)
            if released_ns is not None:
                return await self._convert(released_ns)
            missing = awaited - there
            if not missing:
                await self._ask(self._release, stage)
                continue
            await self._see_that_all_may_come(awaited, missing)
            if self._clock.now_ns() > give_up:
                names = ", ".join(sorted(missing))
                raise RendezvousError(f"{names} did not come to '{stage}' within {deadline_s:g} s")
            await asyncio.sleep(POLL_S)

    async def say(self, topic: str, content: Any) -> None:
        """Into a hash by host."""
        await self._ask(self._leave_word, topic, json.dumps(content))

    def imagine_loss(self, host: str, at_ns: int) -> None:
        """These hosts are real."""

    async def hear(self, topic: str) -> dict[str, Any]:
        """Out of that hash."""
        found = await self._ask(self._client.hgetall, self._venue.key(f"said:{topic}"))
        try:
            return {h.decode(): read_json(content, MAX_WORD_BYTES) for h, content in found.items()}
        except ValueError as error:
            raise RendezvousError(f"another host's word on '{topic}' is none: {error}") from error

    def silent_ns(self, host: str) -> int:
        """As of the last look, at most ``BEAT_S`` ago while the broker answers."""
        return self._signs.silent_ns(host)

    def see_that_all_are_there(self, among: Sequence[str]) -> None:
        """By what the heartbeat thread saw last."""
        if self._signs.over is not None:
            raise RendezvousError(f"the measurement has ended for all: {self._signs.over}")
        silent = [h for h in among if h != self.me and self.silent_ns(h) > SILENT_S * 1e9]
        if silent:
            raise RendezvousError(f"{', '.join(silent)} left: no sign of life for {SILENT_S:g} s")

    def fall_silent(self) -> None:
        """The heartbeat stops; looking goes on."""
        self._signs.mute.set()

    def end(self, failure: str | None) -> None:
        """Stop the heartbeat, and tell the others why when something went wrong."""
        self._signs.end()
        self._threads.close()
        if failure is not None:
            why = f"{self.me}: {failure}"
            with suppress(redis.RedisError):
                self._client.set(self._venue.key("over"), why, nx=True, ex=TTL_S)

    async def _see_that_all_may_come(self, awaited: set[str], missing: set[str]) -> None:
        """Raises RendezvousError when waiting has become pointless."""
        self.see_that_all_are_there(sorted(awaited if self._assembled else awaited - missing))
        if not self._assembled:
            for host, why in (await self._ask(self._why_absent, sorted(missing))).items():
                raise RendezvousError(f"{host} does not come: {why}")

    def _why_absent(self, hosts: list[str]) -> dict[str, str]:
        """Of hosts that will not come: why."""
        pipe = self._client.pipeline(transaction=False)
        for host in hosts:
            pipe.exists(wire.heartbeat_key(host))
            pipe.exists(wire.quarantine_key(host))
        answers = pipe.execute()
        now, found = self._clock.now_ns(), {}
        for host, alive, quarantined in zip(hosts, answers[::2], answers[1::2], strict=True):
            if alive:
                self._absent_since.pop(host, None)
            elif now - self._absent_since.setdefault(host, now) > ABSENT_S * 1e9:
                found[host] = f"its worker has had no heartbeat for {ABSENT_S:g} s"
            if quarantined:
                found[host] = "it is in quarantine"
        return found

    def _look(self, stage: str) -> tuple[set[str], int | None]:
        """Who is at a stage, and the broker's time at which all go on."""
        pipe = self._client.pipeline(transaction=False)
        pipe.smembers(self._venue.key(f"at:{stage}"))
        pipe.get(self._venue.key(f"release:{stage}"))
        there, released_ns = pipe.execute()
        return {host.decode() for host in there}, None if released_ns is None else int(released_ns)

    def _release(self, stage: str) -> None:
        """All are there: the first who sees it sets the moment."""
        seconds, micros = self._client.time()
        at_ns = seconds * 10**9 + micros * 1000 + round(AHEAD_S * 1e9)
        self._client.set(self._venue.key(f"release:{stage}"), at_ns, nx=True, ex=TTL_S)

    async def _convert(self, released_ns: int) -> Release:
        offset_ns, error_ns = await self._ask(clock_offset, self._client, self._clock.now_ns)
        at_ns = released_ns - offset_ns
        return Release(at_ns, error_ns, max(0, self._clock.now_ns() - at_ns))

    def _be_at(self, stage: str) -> None:
        pipe = self._client.pipeline(transaction=False)
        pipe.sadd(self._venue.key(f"at:{stage}"), self.me)
        pipe.expire(self._venue.key(f"at:{stage}"), TTL_S)
        pipe.execute()

    def _leave_word(self, topic: str, content: str) -> None:
        pipe = self._client.pipeline(transaction=False)
        pipe.hset(self._venue.key(f"said:{topic}"), self.me, content)
        pipe.expire(self._venue.key(f"said:{topic}"), TTL_S)
        pipe.execute()

    async def _ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask the broker off the loop. Raises BrokerError."""
        try:
            return await self._threads.call(CALL_DEADLINE_S, function, *args, **kwargs)
        except (redis.RedisError, EngineTimeout) as error:
            raise BrokerError(f"the hosts cannot meet without the broker: {error}") from error


class _Signs:
    """Signs of life, given and seen, on a thread of its own: a busy event loop is no dead host."""

    def __init__(self, meeting: Meeting, venue: Venue, clock: Clock) -> None:
        self.over: str | None = None
        """Why the meeting has ended for all, once somebody has said so."""
        self.mute = threading.Event()
        self._meeting = meeting
        self._venue = venue
        self._clock = clock
        self._seen: dict[str, tuple[bytes, int]] = {}
        """The last sign of every host, and when it was new to us."""
        self._looked_ns = 0
        self._began_ns = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="meeting", daemon=True)

    def begin(self) -> None:
        """From here on silence counts."""
        self._began_ns = self._looked_ns = self._clock.now_ns()
        self._thread.start()

    def end(self) -> None:
        """Give no sign any more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def silent_ns(self, host: str) -> int:
        """Since when a host's last sign is its last one, as of our last look."""
        _, seen_ns = self._seen.get(host, (b"", self._began_ns))
        return max(0, self._looked_ns - seen_ns)

    def _go_on(self) -> None:
        count, blind = 0, False
        while not self._ended.wait(BEAT_S):
            try:
                self._look(count, blind=blind)
                count, blind = count + 1, False
            except redis.RedisError:  # who cannot look has not seen that anybody is silent
                blind = True

    def _look(self, count: int, *, blind: bool) -> None:
        beats = self._venue.key("beats")
        pipe = self._venue.client.pipeline(transaction=False)
        if not self.mute.is_set():
            pipe.hset(beats, self._meeting.me, count)
            pipe.expire(beats, TTL_S)
        pipe.hgetall(beats)
        pipe.get(self._venue.key("over"))
        *_, found, over = pipe.execute()
        now = self._clock.now_ns()
        for host, beat in found.items():
            name = host.decode()
            if blind or self._seen.get(name, (b"", 0))[0] != beat:
                self._seen[name] = beat, now
        if blind:
            self._began_ns = now
        self._looked_ns = now
        self.over = None if over is None else over.decode()
