"""A guest's serial port, as a socket on which this side listens and QEMU calls when it starts.

So not one line is lost: the other way round, all that is said before somebody connects is gone.
"""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

from contract.errors import EngineError, InstanceExited
from workers.console import MAX_LINE_BYTES, Console, StreamConsole

MAX_SOCKET_PATH_BYTES = 107
"""Longest path of a unix socket on Linux: sun_path less its closing zero."""

_PANIC = "Kernel panic"
_KEEP_SOCKET: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


class SerialConsole(Console):
    """Lines of a serial port. Receiving waits for QEMU's call."""

    def __init__(self) -> None:
        super().__init__()
        self._called: asyncio.Future[StreamConsole] = asyncio.get_running_loop().create_future()
        self._server: asyncio.Server | None = None
        self._draining: asyncio.Task[None] | None = None
        self._closed = False
        self._panic: str | None = None

    @classmethod
    async def listen(cls, path: Path) -> "SerialConsole":
        """Listen at ``path``, in place of what was there. Raises EngineError.

        The socket stays there when the console is closed: libvirt wants to see it once more when the
        guest ends, or it forgets to take back what it handed over to QEMU's user.
        """
        console = cls()
        try:
            path.unlink(missing_ok=True)
            console._server = await asyncio.start_unix_server(
                console._accept, path, limit=MAX_LINE_BYTES, backlog=1, **_KEEP_SOCKET
            )
        except OSError as error:
            raise EngineError(f"console socket {path} cannot be made: {error}") from error
        return console

    async def receive(self) -> str:
        """The next line. Raises InstanceExited when QEMU has closed the port, with a panic's reason."""
        stream = await self._stream()
        try:
            line = await stream.receive()
        except InstanceExited as error:
            if self._panic is None:
                raise
            raise InstanceExited(f"the guest's kernel ended: {self._panic}") from error
        # The trace that follows would push the reason out of the tail.
        found = line.find(_PANIC)
        if found >= 0:
            self._panic = line[found : found + 200]
        return line

    async def send(self, line: str) -> None:
        """Send one line. Raises InstanceExited when QEMU has closed the port."""
        await (await self._stream()).send(line)

    @property
    def is_closed(self) -> bool:
        """Whether this side has let go of it."""
        return self._closed

    def drain(self) -> None:
        """Read for ever and keep only the last lines: a port that nobody reads would halt the guest."""
        self._draining = asyncio.get_running_loop().create_task(self._read_all())

    def close(self) -> None:
        """Let go of the port. The guest goes on, unheard."""
        self._closed = True
        if self._draining is not None:
            self._draining.cancel()
        if self._server is not None:
            self._server.close()
        if not self._called.done():
            self._called.cancel()
        elif not self._called.cancelled():
            self._called.result().close()

    async def _stream(self) -> StreamConsole:
        try:
            return await asyncio.shield(self._called)
        except asyncio.CancelledError:
            if self._called.cancelled():
                raise InstanceExited("the console was closed before the guest started") from None
            raise

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._called.done():
            writer.close()
            return
        stream = StreamConsole(reader, writer)
        self.tail = stream.tail
        self._called.set_result(stream)

    async def _read_all(self) -> None:
        with contextlib.suppress(InstanceExited):
            while True:
                await self.receive()


def check_socket_path(path: Path) -> None:
    """Raises EngineError for a path that is too long for a socket."""
    if len(str(path).encode()) > MAX_SOCKET_PATH_BYTES:
        raise EngineError(
            f"console socket {path} has a longer path than a socket may have "
            f"({MAX_SOCKET_PATH_BYTES} bytes): choose a shorter 'run_dir' for this host"
        )
