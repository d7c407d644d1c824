"""A container's console as libvirt's LXC gives it: a terminal, which exists once the container runs."""

import asyncio
import contextlib
import os
import termios
import tty
from pathlib import Path

from contract.errors import EngineError
from workers.console import MAX_LINE_BYTES
from workers.engines.process_pipes import PipeConsole
from workers.engines.serial_console import SerialConsole


class PtyConsole(SerialConsole):
    """Lines of a terminal. Receiving waits for it to be opened.

    What is said before that waits on the other side, a few kilobytes of it: the container is halted when
    there is no more room, as a guest is whose serial port nobody reads.
    """

    async def open(self, path: Path) -> None:
        """Take the terminal. Raises EngineError when it cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise EngineError(f"console {path} cannot be opened: {error.strerror}") from error
        _make_raw(handle)
        source, entry = (
            os.fdopen(handle, "rb", buffering=0),
            os.fdopen(os.dup(handle), "wb", buffering=0),
        )
        reader, unread = asyncio.StreamReader(MAX_LINE_BYTES), asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(unread)  # the write side wants one and never fills it
        incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
        outgoing, _ = await loop.connect_write_pipe(lambda: protocol, entry)
        console = PipeConsole(reader, asyncio.StreamWriter(outgoing, protocol, None, loop), incoming)
        self.tail = console.tail
        if self._called.done():  # closed meanwhile
            console.close()
        else:
            self._called.set_result(console)


def _make_raw(handle: int) -> None:
    """No echo, bytes unchanged. What has already come is kept: by default ``setraw`` throws it away."""
    with contextlib.suppress(termios.error):  # the container has ended already
        tty.setraw(handle, termios.TCSANOW)
