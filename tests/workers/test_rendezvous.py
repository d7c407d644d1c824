"""Hosts that meet through a real Redis: all come, one never comes, one leaves, the broker dies."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from fleet import Broker, own_broker

import workers.rendezvous
from contract import wire
from contract.broker import connect
from contract.errors import BrokerError, RendezvousError
from workers.clock import HostClock
from workers.meeting import Release
from workers.rendezvous import TTL_S, Rendezvous, Venue

pytestmark = pytest.mark.redis

LONG_S = 60.0
Come = Callable[..., Rendezvous]


class ShiftedClock(HostClock):
    """A host whose clock shows another time."""

    def __init__(self, shift_ns: int) -> None:
        self._shift_ns = shift_ns

    def now_ns(self) -> int:
        return super().now_ns() + self._shift_ns


class Group:
    """Hosts of one measurement on a broker."""

    def __init__(self, url: str, *names: str) -> None:
        self.client = connect(url)
        self.names = names
        self._url = url
        self._run, self._id = secrets.token_hex(16), secrets.token_hex(16)
        self.made: list[Rendezvous] = []
        self._clients = [self.client]

    def come(self, name: str, shift_ns: int = 0) -> Rendezvous:
        self._clients.append(connect(self._url))
        venue = Venue(self._clients[-1], self._run, self._id)
        host = Rendezvous(name, self.names, venue, ShiftedClock(shift_ns))
        self.made.append(host)
        return host

    def everybody(self) -> list[Rendezvous]:
        for name in self.names:  # their workers are alive
            self.client.set(wire.heartbeat_key(name), "{}", ex=120)
        return [self.come(name, shift_ns=n * 10**12) for n, name in enumerate(self.names)]

    def leave(self) -> None:
        for host in self.made:
            host.end(None)
        for client in self._clients:
            client.close()

    def all_keys(self) -> list[bytes]:
        return list(self.client.keys(wire.meeting_key(self._run, self._id, "*")))


def at_once(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    async def run() -> list[Any]:
        return list(await asyncio.gather(*work, return_exceptions=True))

    return asyncio.run(run())


@pytest.fixture
def groups(redis_url: str) -> Iterator[Callable[..., Group]]:
    made: list[Group] = []

    def make(*names: str) -> Group:
        unique = secrets.token_hex(3)
        made.append(Group(redis_url, *(f"{name}-{unique}" for name in names)))
        return made[-1]

    yield make
    for group in made:
        group.leave()


async def assemble_and_arrive(host: Rendezvous, stage: str = "go") -> Release:
    await host.assemble(LONG_S)
    return await host.arrive(stage, LONG_S)


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_all_go_on_at_one_moment_whatever_their_clocks_show(
    groups: Callable[..., Group], names: tuple[str, ...]
) -> None:
    group = groups(*names)
    hosts = group.everybody()
    found = at_once(*(assemble_and_arrive(host) for host in hosts))
    assert all(isinstance(release, Release) for release in found), found
    moments = [release.at_ns - n * 10**12 for n, release in enumerate(found)]
    bound = max(release.error_ns for release in found)
    assert max(moments) - min(moments) <= 2 * bound + 2000  # the broker counts microseconds
    assert all(0 < group.client.ttl(key) <= TTL_S for key in group.all_keys())


def test_one_that_never_comes_is_named(groups: Callable[..., Group]) -> None:
    group = groups("a", "b", "c")
    one, two, _ = group.everybody()
    errors = at_once(one.assemble(1.0), two.assemble(1.0))
    for error in errors:
        assert isinstance(error, RendezvousError)
        assert group.names[2] in str(error)
        assert "did not come" in str(error)


def test_a_host_without_a_worker_is_not_waited_for(
    groups: Callable[..., Group], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.rendezvous, "ABSENT_S", 0.2)
    group = groups("a", "b")
    group.client.set(wire.heartbeat_key(group.names[0]), "{}", ex=120)
    (error,) = at_once(group.come(group.names[0]).assemble(LONG_S))
    assert "no heartbeat" in str(error)


def test_a_host_in_quarantine_is_not_waited_for(groups: Callable[..., Group]) -> None:
    group = groups("a", "b")
    one, two = group.everybody()
    group.client.set(wire.quarantine_key(two.me), "{}", ex=60)
    (error,) = at_once(one.assemble(LONG_S))
    group.client.delete(wire.quarantine_key(two.me))
    assert f"{two.me} does not come: it is in quarantine" in str(error)


def test_one_that_fails_tells_the_others_why(groups: Callable[..., Group]) -> None:
    one, two = groups("a", "b").everybody()

    async def fail() -> None:
        await two.assemble(LONG_S)
        await asyncio.to_thread(two.end, "the engine is broken")

    error, _ = at_once(assemble_and_arrive(one), fail())
    assert isinstance(error, RendezvousError)
    assert str(error).endswith(f"{two.me}: the engine is broken")


def test_one_that_falls_silent_is_missed_and_cannot_come_back(
    groups: Callable[..., Group], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.rendezvous, "SILENT_S", 1.0)
    group = groups("a", "b")
    one, two = group.everybody()

    async def leave() -> None:
        await two.assemble(LONG_S)
        two.fall_silent()

    error, _ = at_once(assemble_and_arrive(one), leave())
    assert f"{two.me} left" in str(error)
    one.end(str(error))
    (again,) = at_once(group.come(two.me).assemble(LONG_S))
    assert "the others went on without it" in str(again)


def test_silence_is_measured_from_the_last_sign(groups: Callable[..., Group]) -> None:
    one, two = groups("a", "b").everybody()

    async def watch() -> tuple[int, int]:
        await one.assemble(LONG_S)
        await asyncio.sleep(1.5)
        before = one.silent_ns(two.me)
        two.fall_silent()
        await asyncio.sleep(1.5)
        return before, one.silent_ns(two.me)

    (before, after), _ = at_once(watch(), two.assemble(LONG_S))
    assert before < after
    assert after > 10**9


def test_words_reach_the_others(groups: Callable[..., Group]) -> None:
    one, two = groups("a", "b").everybody()

    async def talk() -> dict[str, Any]:
        await one.say("image", {"bytes": 7})
        return await two.hear("image")

    assert at_once(talk()) == [{one.me: {"bytes": 7}}]


def test_a_broker_that_dies_ends_the_wait_and_is_no_silence_of_others() -> None:
    with own_broker() as broker:
        group = Group(broker.url, "a", "b")
        one, two = group.everybody()
        silence = at_once(_lose_the_broker(one, broker), two.assemble(LONG_S))[0]
        assert silence[0] < 10**9
        assert isinstance(silence[1], BrokerError)
        one.end("the broker is gone")
        group.leave()


async def _lose_the_broker(host: Rendezvous, broker: Broker) -> tuple[int, BaseException]:
    await host.assemble(LONG_S)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(broker.kill)
    await asyncio.sleep(1.5)
    other = next(name for name in host.group if name != host.me)
    with pytest.raises(BrokerError) as caught:
        await host.arrive("go", LONG_S)
    return host.silent_ns(other), caught.value
