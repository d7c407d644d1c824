"""A container's console: the engine's attach stream, taken over as a raw socket and demultiplexed.

The stream is a row of frames: one byte stream number (0 input, 1 output, 2 errors), three zero bytes,
four bytes length (big-endian), then the bytes (Docker Engine API, "Attach to a container").
"""

import asyncio
import struct
from collections import deque

from contract.errors import EngineError, InstanceExited
from workers.console import MAX_LINE_BYTES, StreamConsole
from workers.engines.docker_server import ApiServer

_HEADER = struct.Struct(">BxxxL")
_CHUNK_BYTES = 64 * 1024
_HEAD_BYTES = 32 * 1024


class FrameDecoder:
    """Frames in pieces of any size in, whole lines out. Output and errors do not mix within a line."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._unfinished: dict[int, bytearray] = {}

    def feed(self, data: bytes) -> list[str]:
        """The lines that ``data`` completes; one longer than MAX_LINE_BYTES comes in pieces."""
        self._buffer += data
        lines: list[str] = []
        while len(self._buffer) >= _HEADER.size:
            stream, length = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                break
            lines += self._split(stream, self._buffer[_HEADER.size : end])
            del self._buffer[:end]
        return lines

    def flush(self) -> list[str]:
        """What was begun and never ended by a line feed."""
        rest = [_text(line) for line in self._unfinished.values() if line]
        self._unfinished.clear()
        return rest

    def _split(self, stream: int, payload: bytearray) -> list[str]:
        *complete, rest = (self._unfinished.pop(stream, bytearray()) + payload).split(b"\n")
        if len(rest) >= MAX_LINE_BYTES:
            complete.append(rest)
            rest = bytearray()
        self._unfinished[stream] = rest
        return [_text(line) for line in complete]


class AttachedConsole(StreamConsole):
    """A console over a socket that was an HTTP connection to the engine. Only output has frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self._decoder = FrameDecoder()
        self._lines: deque[str] = deque()

    async def receive(self) -> str:
        """The next line, of output or errors. InstanceExited once the engine has closed the stream."""
        while not self._lines:
            try:
                data = await self._reader.read(_CHUNK_BYTES)
            except OSError as error:
                raise InstanceExited(f"the console broke: {error}") from error
            self._lines += self._decoder.feed(data) if data else self._decoder.flush()
            if not data and not self._lines:
                raise InstanceExited("the console closed")
        line = self._lines.popleft()
        self.tail.append(line[:200])
        return line


async def attach(server: ApiServer, target: str) -> AttachedConsole:
    """Ask the engine for an attach stream: POST ``target``, after which the connection is the stream.

    The client library hides this socket behind wrappers that block and buffer. Raises OSError when
    there is no connection, EngineError when the engine refuses.
    """
    reader, writer = await asyncio.open_unix_connection(str(server.socket), limit=_HEAD_BYTES)
    try:
        writer.write(
            f"POST {target} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()
        )
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        status = head.split(b" ", 2)[1]
        if status not in (b"101", b"200"):  # old engines say 200
            words = await reader.read(_CHUNK_BYTES)
            raise EngineError(
                f"{server.name} refused 'attach': {status.decode()} {_text(words).strip()}"
            )
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError) as error:
        writer.close()
        raise EngineError(f"{server.name} broke off 'attach': {error}") from error
    except BaseException:
        writer.close()
        raise
    return AttachedConsole(reader, writer)


def _text(line: bytes | bytearray) -> str:
    return line.decode("utf-8", "replace").strip()
