"""A console of Podman that can be let go of without ending the container."""

import asyncio
from contextlib import suppress

from contract.errors import InstanceExited
from workers.console import Console


class HeldConsole(Console):
    """An attached console whose connection stays open after ``close``, until the container ends.

    Podman's conmon closes a container's input when a client disconnects (it is started without
    ``--leave-stdin-open``), and at the end of its input the agent ends. Output goes on being read,
    since a client that does not read would halt the container.
    """

    def __init__(self, inner: Console) -> None:
        super().__init__()
        self._inner = inner
        self.tail = inner.tail
        self._draining: asyncio.Task[None] | None = None

    async def receive(self) -> str:
        """The next line. Raises InstanceExited when no more can come."""
        return await self._inner.receive()

    async def send(self, line: str) -> None:
        """Send one line. Raises InstanceExited when the other end is gone."""
        await self._inner.send(line)

    def close(self) -> None:
        """Let go of the console. The instance goes on."""
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._read_all())

    def end(self) -> None:
        """Close the connection, which ends the input of a container that still runs."""
        if self._draining is not None:
            self._draining.cancel()
        self._inner.close()

    async def _read_all(self) -> None:
        with suppress(InstanceExited):
            while True:
                await self._inner.receive()
        self._inner.close()
