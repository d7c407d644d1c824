"""What a Docker engine says about one container: that it ended, and that it was started again."""

import asyncio
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from workers.drivers.base import Hear
from workers.engines import docker_calls
from workers.engines.docker_server import ApiServer

if TYPE_CHECKING:
    from docker import APIClient  # noqa: TID251 - one half of the driver

_WORDS: dict[str, Literal["ended", "started"]] = {"die": "ended", "died": "ended", "start": "started"}
"""Podman says ``die`` as Docker does, but finds it only by its own word, ``died``."""
_PAUSE_S = 0.05
_NS = 10**9


class ContainerEvents:
    """Listens on a thread of its own, also across an engine that goes away and comes back.

    The engine's stream ends without a word when the engine does, so listening begins again from the
    last event heard, until it is told to end.
    """

    def __init__(self, server: ApiServer, container: str, hear: Hear) -> None:
        self._server, self._container, self._hear = server, container, hear
        self._loop = asyncio.get_running_loop()
        self._client: APIClient | None = None
        self._stream: Any = None
        self._ended = threading.Event()
        self._since_ns = time.time_ns()  # the engine's clock, which on this host is ours

    def begin(self) -> None:
        """Subscribe; what happens from now on is heard. Blocks."""
        self._subscribe()
        threading.Thread(target=self._follow, name="docker-events", daemon=True).start()

    def end(self) -> None:
        """Listen no more."""
        self._ended.set()
        self._close()

    def _subscribe(self) -> None:
        self._client = docker_calls.connect(self._server)
        self._stream = self._client.events(
            since=self._since_ns // _NS,  # a little early: what was heard before is passed over
            filters={"container": [self._container], "event": list(_WORDS)},
            decode=True,
        )

    def _follow(self) -> None:
        while not self._ended.is_set():
            # Whatever breaks the stream, the answer is the same: subscribe again.
            with suppress(Exception):
                if self._stream is None:
                    self._subscribe()
                for event in self._stream:
                    self._tell(event)
            self._close()
            self._ended.wait(_PAUSE_S)

    def _tell(self, event: dict[str, Any]) -> None:
        told_ns, word = event.get("timeNano", 0), _WORDS.get(event.get("Action", ""))
        if word is None or told_ns <= self._since_ns:  # heard before the stream broke
            return
        self._since_ns = told_ns
        with suppress(RuntimeError):  # the loop has closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._hear, word)

    def _close(self) -> None:
        things = [thing for thing in (self._stream, self._client) if thing is not None]
        self._stream = self._client = None
        for thing in things:
            with suppress(Exception):
                thing.close()
