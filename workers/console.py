"""An instance's console: lines in, lines out. Pipes, sockets and the simulation look alike here."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque

from contract.errors import InstanceExited

MAX_LINE_BYTES = 64 * 1024


class Console(ABC):
    """Lines from and to one instance. Keeps the last lines, for error texts."""

    def __init__(self) -> None:
        self.tail: deque[str] = deque(maxlen=8)

    @abstractmethod
    async def receive(self) -> str:
        """The next line, without its end. Raises InstanceExited when no more can come."""

    @abstractmethod
    async def send(self, line: str) -> None:
        """Send one line. Raises InstanceExited when the other end is gone."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the console. The instance goes on."""


class StreamConsole(Console):
    """A console over a pair of asyncio streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer

    async def receive(self) -> str:
        """The next line; one longer than MAX_LINE_BYTES is cut."""
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            if not error.partial:
                raise InstanceExited("the console closed") from error
            line = error.partial
        except asyncio.LimitOverrunError as error:
            line = await self._reader.readexactly(error.consumed)
        except OSError as error:
            raise InstanceExited(f"the console broke: {error}") from error
        text = line.decode("utf-8", "replace").strip()
        self.tail.append(text[:200])
        return text

    async def send(self, line: str) -> None:
        """Write one line and wait until it is handed on."""
        try:
            self._writer.write(line.encode() + b"\n")
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise InstanceExited(f"the console broke: {error}") from error

    def close(self) -> None:
        """Close both directions."""
        self._writer.close()
