"""Standard input and output of a bare process, as pipes that outlive the console over them."""

import asyncio
import os

from workers.console import MAX_LINE_BYTES, StreamConsole


class Pipes:
    """Both pipes of one process. While they are open, letting go of the console ends nothing."""

    def __init__(self) -> None:
        self.child_stdin, self._stdin = os.pipe()
        self._stdout, self.child_stdout = os.pipe()
        self._open = {self.child_stdin, self._stdin, self._stdout, self.child_stdout}

    async def console(self) -> "PipeConsole":
        """A console over our ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(MAX_LINE_BYTES)
        output = os.fdopen(os.dup(self._stdout), "rb", buffering=0)
        incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
        unread = asyncio.StreamReader()  # the write side's protocol wants one and never fills it
        protocol = asyncio.StreamReaderProtocol(unread)
        entry = os.fdopen(os.dup(self._stdin), "wb", buffering=0)
        outgoing, _ = await loop.connect_write_pipe(lambda: protocol, entry)
        return PipeConsole(reader, asyncio.StreamWriter(outgoing, protocol, None, loop), incoming)

    def handed_over(self) -> None:
        """The process has its ends: close ours of them, or its death would not be seen."""
        self._close(self.child_stdin, self.child_stdout)

    def close(self) -> None:
        """Close every end that is still open here."""
        self._close(*self._open)

    def _close(self, *handles: int) -> None:
        for handle in handles:
            if handle in self._open:
                self._open.discard(handle)
                os.close(handle)


class PipeConsole(StreamConsole):
    """A console whose two directions are separate pipes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        incoming: asyncio.ReadTransport,
    ) -> None:
        super().__init__(reader, writer)
        self._incoming = incoming

    def close(self) -> None:
        """Close both directions."""
        super().close()
        self._incoming.close()
