"""Requests to a Docker engine over connections that stay open: what timed calls go through.

The client library opens a socket for every call about another container, and one process gets no more
than about a thousand calls per second through it. Here a call costs one write and one read on the event
loop, without a thread.
"""

import asyncio
import json
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, NoReturn

from contract.errors import EngineError, ImageError
from workers.engines.docker_calls import in_our_words
from workers.engines.docker_server import ApiServer

_HEAD_BYTES = 64 * 1024
_MAX_BODY_BYTES = 64 * 1024 * 1024
_NO_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine said."""

    status: int
    body: bytes
    is_json: bool = False
    """By its own words."""

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    def words(self) -> str:
        """The reason that the engine gives in a refusal."""
        try:
            return str(self.json()["message"])
        except (ValueError, KeyError, TypeError):
            return self.body.decode("utf-8", "replace").strip() or f"status {self.status}"


class ApiConnections:
    """Open connections to one engine, for one event loop: as many as calls were in flight at once."""

    def __init__(self, server: ApiServer, api_version: str) -> None:
        self._server = server
        self._base = f"/v{api_version}"
        self._idle: list[_Connection] = []

    async def ask(
        self,
        doing: str,
        request: str,
        body: Any = None,
        *,
        more_s: float = 0.0,
        accept: Container[int] = (),
    ) -> Answer:
        """Send a ``request`` such as "POST /containers/x/start", with a body in JSON where there is one.

        ``more_s`` is added to the deadline of a call. Statuses from 400 on are errors but for those in
        ``accept``. Raises EngineError, EngineTimeout, EngineAbsent, and ImageError for a missing image.
        """
        content = b"" if body is None else json.dumps(body).encode()
        with in_our_words(doing, self._server):
            async with asyncio.timeout(self._server.deadline_s + more_s):
                answer = await self._exchange(request, content)
        if answer.status >= 400 and answer.status not in accept:
            self.refuse(doing, answer)
        return answer

    def refuse(self, doing: str, answer: Answer) -> NoReturn:
        """Raise what the engine's refusal is in our words."""
        words = answer.words()
        if answer.status == 404 and "image" in words.lower():
            raise ImageError(
                f"{self._server.name}: {words}; check the name, or bring the image to this host first"
            )
        raise EngineError(f"{self._server.name} refused '{doing}': {words}")

    def close(self) -> None:
        """Close the connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _exchange(self, request: str, content: bytes) -> Answer:
        connection = await self._connection()
        try:
            answer = await connection.exchange(*request.split(" ", 1), base=self._base, content=content)
        except BaseException:  # cut off in the middle: what comes next would be the answer to this one
            connection.close()
            raise
        if connection.is_open:
            self._idle.append(connection)
        return answer

    async def _connection(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
            connection.close()  # the engine was restarted meanwhile
        return _Connection(
            *await asyncio.open_unix_connection(str(self._server.socket), limit=_HEAD_BYTES)
        )


class _Connection:
    """HTTP/1.1 over one socket, one request at a time (RFC 9112). Raises OSError for all that breaks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        broken = self._reader.at_eof() or self._reader.exception() is not None
        return not broken and not self._writer.is_closing()

    def close(self) -> None:
        """Close the socket."""
        self._writer.close()

    async def exchange(self, method: str, path: str, *, base: str, content: bytes) -> Answer:
        """One request and its answer."""
        kind = "Content-Type: application/json\r\n" if content else ""
        head = f"{method} {base}{path} HTTP/1.1\r\nHost: docker\r\n{kind}"
        self._writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        try:
            await self._writer.drain()
            return await self._answer()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError) as error:
            raise ConnectionResetError(f"no whole answer came: {error}") from error

    async def _answer(self) -> Answer:
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(first.split(" ", 2)[1])
        pairs = (line.partition(":") for line in lines)
        fields = {name.lower(): value.strip().lower() for name, _, value in pairs}
        body = b"" if status in _NO_BODY else await self._body(fields)
        if fields.get("connection") == "close":
            self.close()
        return Answer(status, body, "json" in fields.get("content-type", ""))

    async def _body(self, fields: dict[str, str]) -> bytes:
        if fields.get("transfer-encoding") == "chunked":
            return await self._chunks()
        if "content-length" in fields:
            return await self._reader.readexactly(_bounded(int(fields["content-length"])))
        return await self._until_closed()

    async def _until_closed(self) -> bytes:
        body = bytearray()
        while piece := await self._reader.read(_HEAD_BYTES):
            _bounded(len(body) + len(piece))
            body += piece
        self.close()
        return bytes(body)

    async def _chunks(self) -> bytes:
        body = bytearray()
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            _bounded(len(body) + size)
            body += (await self._reader.readexactly(size + 2))[:-2]
        while await self._reader.readuntil(b"\r\n") != b"\r\n":
            pass  # fields after the last chunk
        return bytes(body)


def _bounded(size: int) -> int:
    if not 0 <= size <= _MAX_BODY_BYTES:
        raise ValueError(f"an answer of {size} bytes")
    return size
