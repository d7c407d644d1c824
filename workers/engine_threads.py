"""Blocking engine calls, each with a deadline that really ends the wait."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from contract.errors import EngineError, EngineTimeout

P = ParamSpec("P")
T = TypeVar("T")

_Job = tuple[asyncio.AbstractEventLoop, asyncio.Future[Any], Callable[[], Any]]


class EngineThreads:
    """Daemon threads, grown on demand: one that hangs in an engine holds up neither trial nor exit.

    The standard executor joins its threads at exit, so a single call into a hung daemon would keep
    the worker alive for ever.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._count = 0
        self._closed = False

    async def call(
        self, deadline_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``function`` off the loop. Raises EngineTimeout after ``deadline_s``.

        Raises EngineError when closed already.
        The call itself cannot be stopped: its thread is left behind and its result dropped.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._submit((loop, future, lambda: function(*args, **kwargs)))
        try:
            return await asyncio.wait_for(future, deadline_s)
        except TimeoutError as error:
            if future.done() and not future.cancelled():
                raise  # the function's own
            verb = getattr(function, "__name__", "call").strip("_")
            raise EngineTimeout(f"{self._name} did not answer '{verb}' in {deadline_s:g} s") from error

    def close(self) -> None:
        """Let threads end as soon as they are idle. Does not wait, and takes no further call."""
        self._closed = True
        for _ in range(self._count):
            self._jobs.put(None)

    def _submit(self, job: _Job) -> None:
        if self._closed:
            raise EngineError(f"{self._name} was closed before this call")
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            else:
                self._count += 1
                name = f"{self._name}-{self._count}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, future, function = job
            try:
                outcome: Any = function()
                settle: Callable[[asyncio.Future[Any], Any], None] = _set_result
            except BaseException as error:  # carried over to the waiting coroutine
                outcome, settle = error, _set_exception
            with self._lock:
                self._idle += 1
            with suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(settle, future, outcome)
            del job, future, outcome


def _set_result(future: asyncio.Future[Any], outcome: Any) -> None:
    if not future.done():
        future.set_result(outcome)


def _set_exception(future: asyncio.Future[Any], error: BaseException) -> None:
    if isinstance(error, StopIteration):  # futures refuse it, and the wait would go on
        error = RuntimeError("StopIteration from an engine call")
    if not future.done():
        future.set_exception(error)
