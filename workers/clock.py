"""The two clocks: the host's monotonic one, and a virtual one that jumps from event to event.

Experiments are coroutines. Under HostClock they run on an ordinary event loop; under VirtualClock the
loop never waits: whenever it would sleep until the next timer, virtual time moves there at once.
"""

import asyncio
import select
import selectors
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_FD_SETSIZE = 1024
"""select() knows no file descriptor from here on."""


class Clock(ABC):
    """A monotonic clock in nanoseconds, and the event loop that runs by it."""

    @abstractmethod
    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start."""

    @abstractmethod
    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end with timers that follow this clock."""


class HostClock(Clock):
    """CLOCK_MONOTONIC of this host."""

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC, ns."""
        return time.monotonic_ns()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on an ordinary event loop, whose timers are good to some ten microseconds."""
        with asyncio.Runner(loop_factory=punctual_loop) as runner:
            return runner.run(work)


def punctual_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose sleeps end when they should.

    epoll counts in milliseconds, and asyncio rounds up: its timers are up to a millisecond late.
    """
    return asyncio.SelectorEventLoop(_PunctualSelector())


class VirtualClock(Clock):
    """Time that moves only when nothing is left to do now."""

    def __init__(self) -> None:
        self._selector = _JumpingSelector()

    def now_ns(self) -> int:
        """Virtual ns since this clock was made."""
        return round(self._selector.now_s * 1e9)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on a loop that jumps from timer to timer. A wait for nothing raises RuntimeError."""
        with asyncio.Runner(loop_factory=lambda: _VirtualLoop(self._selector)) as runner:
            return runner.run(work)


class _PunctualSelector(selectors.EpollSelector):
    """Waits with select(), which counts in microseconds, for epoll to have something."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0 or self.fileno() >= _FD_SETSIZE:
            return super().select(timeout)
        has_something, _, _ = select.select([self.fileno()], [], [], timeout)
        return super().select(0) if has_something else []


class _JumpingSelector(selectors.SelectSelector):
    """Instead of waiting for ``timeout``, lets that much virtual time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("virtual time stands still: everything waits and no timer is set")
        if not ready and timeout:
            self.now_s += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, selector: _JumpingSelector) -> None:
        super().__init__(selector)
        self._jumping = selector
        # A timer counts as due within the clock's resolution; ours is exact.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._jumping.now_s
