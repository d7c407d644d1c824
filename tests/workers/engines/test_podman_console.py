"""A console of Podman: let go of, its connection stays, and is read."""

import asyncio

import pytest

from contract.errors import InstanceExited
from workers.console import Console
from workers.engines.podman_console import HeldConsole


class Line(Console):
    """An instance that says a few lines and ends."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self.left = list(lines)
        self.sent: list[str] = []
        self.is_closed = False
        self.may_go_on = asyncio.Event()

    async def receive(self) -> str:
        if not self.left:
            await self.may_go_on.wait()
            raise InstanceExited("ended")
        self.tail.append(self.left[0])
        return self.left.pop(0)

    async def send(self, line: str) -> None:
        self.sent.append(line)

    def close(self) -> None:
        self.is_closed = True


def test_a_console_that_is_let_go_of_is_read_on_and_closed_at_the_end() -> None:
    async def whole() -> None:
        line = Line("a", "b", "c")
        console = HeldConsole(line)
        assert await console.receive() == "a"
        await console.send("x")
        for _ in range(2):
            console.close()
        await asyncio.sleep(0.01)
        assert (line.left, line.is_closed) == ([], False)
        line.may_go_on.set()
        await asyncio.sleep(0.01)
        assert line.is_closed
        assert line.sent == ["x"]
        assert list(console.tail) == ["a", "b", "c"]

    asyncio.run(whole())


def test_it_ends_when_its_driver_says_so() -> None:
    async def whole() -> None:
        line = Line()
        console = HeldConsole(line)
        console.close()
        await asyncio.sleep(0)
        console.end()
        assert line.is_closed
        line.may_go_on.set()
        with pytest.raises(InstanceExited):
            await console.receive()

    asyncio.run(whole())
