"""What has changed, told to the pages that show it, by server-sent events (WHATWG HTML, 9.2)."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

MOST_LISTENERS = 300
KEEP_ALIVE_S = 15.0
"""A comment this often, so that nobody in between takes a quiet stream for a dead one."""
MOST_TOPIC = 300


class Hub:
    """Topics, each with the pages that listen. An event says only that there is something new."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening: dict[str, set[asyncio.Event]] = {}
        self._closed = False

    def open(self) -> None:
        """Begin, on the event loop that serves."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End every stream; from any thread."""
        self._closed = True
        for topic in list(self._listening):
            self.changed(topic)

    def listened(self, topic: str) -> bool:
        """Whether anybody looks at a page of this topic."""
        return topic in self._listening

    def changed(self, topic: str) -> None:
        """Tell those who listen; from any thread."""
        if self._loop is not None and topic in self._listening and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, topic)

    def _wake(self, topic: str) -> None:
        for event in self._listening.get(topic, ()):
            event.set()

    @property
    def full(self) -> bool:
        """Whether no more pages can listen."""
        return sum(map(len, self._listening.values())) >= MOST_LISTENERS

    async def events(self, topic: str) -> AsyncIterator[bytes]:
        """The stream of one page. It begins with an event: what changed before it listened counts."""
        event = asyncio.Event()
        self._listening.setdefault(topic, set()).add(event)
        try:
            yield b"retry: 2000\n\ndata: changed\n\n"
            while not self._closed:
                try:
                    await asyncio.wait_for(event.wait(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield b": nothing new\n\n"
                    continue
                event.clear()
                if not self._closed:
                    yield b"data: changed\n\n"
        finally:
            self._listening[topic].discard(event)
            if not self._listening[topic]:
                del self._listening[topic]


async def stream(hub: Hub, request: Request) -> Response:
    """The stream of a topic: ``fleet``, ``campaigns``, ``campaign:NAME``, ``job:ID``, ``answers``."""
    if hub.full:
        return PlainTextResponse("Too many pages are open.\n", 503)
    topic = request.query_params.get("topic", "")[:MOST_TOPIC]
    return StreamingResponse(hub.events(topic), media_type="text/event-stream")
