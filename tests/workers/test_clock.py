"""Virtual time jumps from timer to timer, keeps their order, and never stands still in silence."""

import asyncio
import os
import selectors
import time

import pytest

from workers.clock import HostClock, VirtualClock, punctual_loop


def test_virtual_time_jumps_to_the_next_timer() -> None:
    clock = VirtualClock()

    async def sleep_long() -> tuple[int, int]:
        before = clock.now_ns()
        await asyncio.sleep(86_400)
        return before, clock.now_ns()

    assert clock.run(sleep_long()) == (0, 86_400 * 10**9)


def test_timers_come_in_the_order_of_their_times() -> None:
    clock = VirtualClock()
    seen: list[tuple[str, int]] = []

    async def wait(name: str, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        seen.append((name, clock.now_ns()))

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for name, delay_s in (("c", 0.3), ("a", 0.1), ("b", 0.2), ("a2", 0.1)):
                group.create_task(wait(name, delay_s))

    clock.run(all_of_them())
    assert seen == [
        ("a", 100_000_000),
        ("a2", 100_000_000),
        ("b", 200_000_000),
        ("c", 300_000_000),
    ]


def test_time_does_not_move_while_there_is_work() -> None:
    clock = VirtualClock()

    async def work() -> int:
        for _ in range(1000):
            await asyncio.sleep(0)
        return clock.now_ns()

    assert clock.run(work()) == 0


def test_many_short_steps_add_up() -> None:
    clock = VirtualClock()

    async def step() -> int:
        for _ in range(10_000):
            await asyncio.sleep(0.001)
        return clock.now_ns()

    assert abs(clock.run(step()) - 10 * 10**9) < 1000


def test_timeouts_are_virtual_too() -> None:
    clock = VirtualClock()

    async def late() -> int:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(100), 30)
        return clock.now_ns()

    assert clock.run(late()) == 30 * 10**9


def test_a_wait_for_nothing_is_an_error() -> None:
    async def wait_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="virtual time stands still"):
        VirtualClock().run(wait_for_ever())


def test_the_hosts_clock_is_monotonic_time() -> None:
    clock = HostClock()

    async def look() -> int:
        await asyncio.sleep(0.01)
        return clock.now_ns()

    before = time.monotonic_ns()
    seen = clock.run(look())
    assert before + 10_000_000 <= seen <= time.monotonic_ns()


@pytest.fixture
def waits_of_epoll(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long epoll itself was asked to wait, which is what it would round up."""
    waits: list[float | None] = []
    plain = selectors.EpollSelector.select

    def note(self: selectors.EpollSelector, timeout: float | None = None) -> object:
        waits.append(timeout)
        return plain(self, timeout)

    monkeypatch.setattr(selectors.EpollSelector, "select", note)
    return waits


def test_sleeps_of_the_hosts_clock_are_not_rounded_to_milliseconds(
    waits_of_epoll: list[float | None],
) -> None:
    async def sleep() -> None:
        for _ in range(5):
            await asyncio.sleep(0.0003)

    HostClock().run(sleep())
    assert set(waits_of_epoll) == {0}


def test_the_hosts_clock_hears_of_files_and_threads_while_it_waits() -> None:
    async def hear() -> bytes:
        loop = asyncio.get_running_loop()
        ours, theirs = os.pipe()
        heard: asyncio.Future[bytes] = loop.create_future()
        loop.add_reader(ours, lambda: heard.done() or heard.set_result(os.read(ours, 9)))
        await loop.run_in_executor(None, os.write, theirs, b"word")
        try:
            return await asyncio.wait_for(heard, 60)
        finally:
            loop.remove_reader(ours)
            os.close(ours)
            os.close(theirs)

    assert HostClock().run(hear()) == b"word"


def test_a_loop_with_a_high_number_waits_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """select() takes no file descriptor beyond 1023."""
    monkeypatch.setattr("workers.clock._FD_SETSIZE", 0)
    with asyncio.Runner(loop_factory=punctual_loop) as runner:
        runner.run(asyncio.sleep(0.002))
