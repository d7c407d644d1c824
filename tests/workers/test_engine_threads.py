"""Blocking engine calls: the wait ends at its deadline whatever the call does."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from contract.errors import EngineError, EngineTimeout
from workers.engine_threads import EngineThreads

LONG_S = 60.0
"""Longer than any test may take."""


@pytest.fixture
def threads() -> Iterator[EngineThreads]:
    made = EngineThreads("engine")
    yield made
    made.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging call waits for; opened at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_gives_its_result(threads: EngineThreads) -> None:
    assert asyncio.run(threads.call(LONG_S, divmod, 7, 3)) == (2, 1)


def test_a_call_runs_off_the_loop(threads: EngineThreads) -> None:
    assert asyncio.run(threads.call(LONG_S, threading.get_ident)) != threading.get_ident()


def test_a_call_gives_its_error(threads: EngineThreads) -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(threads.call(LONG_S, divmod, 7, 0))


def test_the_deadline_ends_the_wait_while_the_call_hangs(
    threads: EngineThreads, gate: threading.Event
) -> None:
    def _inspect() -> bool:
        return gate.wait(LONG_S)

    with pytest.raises(EngineTimeout, match=r"engine did not answer 'inspect' in 0\.05 s"):
        asyncio.run(threads.call(0.05, _inspect))
    assert not gate.is_set()


def test_a_timeout_of_the_call_itself_is_not_ours(threads: EngineThreads) -> None:
    def refuse() -> None:
        raise TimeoutError("the engine's own")

    with pytest.raises(TimeoutError, match="the engine's own"):
        asyncio.run(threads.call(LONG_S, refuse))


def test_an_error_that_futures_refuse_comes_through(threads: EngineThreads) -> None:
    def exhaust() -> None:
        next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(threads.call(LONG_S, exhaust))


def test_idle_threads_are_used_again(threads: EngineThreads) -> None:
    async def one_after_another() -> set[int]:
        return {await threads.call(LONG_S, threading.get_ident) for _ in range(20)}

    # The thread may still be on its way back when the next call comes.
    assert len(asyncio.run(one_after_another())) <= 2


def test_calls_run_side_by_side(threads: EngineThreads) -> None:
    barrier = threading.Barrier(8)

    async def together() -> None:
        await asyncio.gather(*(threads.call(LONG_S, barrier.wait, LONG_S) for _ in range(8)))

    asyncio.run(together())


def test_a_hanging_call_holds_up_no_other(threads: EngineThreads, gate: threading.Event) -> None:
    async def hang_then_ask() -> int:
        with pytest.raises(EngineTimeout):
            await threads.call(0.05, gate.wait, LONG_S)
        return await threads.call(LONG_S, len, "abc")

    assert asyncio.run(hang_then_ask()) == 3


def test_a_call_that_ends_after_its_loop_harms_none(
    threads: EngineThreads, gate: threading.Event
) -> None:
    ended = threading.Event()

    def hang() -> None:
        gate.wait(LONG_S)
        ended.set()

    with pytest.raises(EngineTimeout):
        asyncio.run(threads.call(0.05, hang))
    gate.set()
    assert ended.wait(LONG_S)
    for _ in range(5):
        assert asyncio.run(threads.call(LONG_S, len, "abc")) == 3


def test_closing_ends_the_threads() -> None:
    threads = EngineThreads("ended")
    asyncio.run(threads.call(LONG_S, len, ""))
    threads.close()
    for thread in threading.enumerate():
        if thread.name.startswith("ended"):
            thread.join(LONG_S)
            assert not thread.is_alive()


HANG = """
import asyncio, time
from contract.errors import EngineError, EngineTimeout
from workers.engine_threads import EngineThreads
try:
    asyncio.run(EngineThreads("engine").call(0.05, time.sleep, 3600))
except EngineTimeout:
    print("left behind")
"""


def test_a_hanging_call_does_not_keep_the_process_alive() -> None:
    ended = subprocess.run([sys.executable, "-c", HANG], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "left behind\n", "")


def test_a_call_after_closing_is_refused_at_once() -> None:
    async def work() -> None:
        threads = EngineThreads("engine")
        threads.close()
        with pytest.raises(EngineError, match="was closed"):
            await threads.call(60, int)

    asyncio.run(work())
