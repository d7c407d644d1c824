"""A terminal as console: nothing said early is lost, nothing is echoed, its end is seen."""

import asyncio
import os
import tty
from pathlib import Path

import pytest

from contract.errors import EngineError, InstanceExited
from workers.engines.pty_console import PtyConsole


def test_speaks_both_ways_and_keeps_what_was_said_before() -> None:
    async def whole() -> None:
        holder, container = os.openpty()
        tty.setraw(container)  # as libvirt makes it, or what is said early would come back
        os.write(holder, b"early\n")
        console = PtyConsole()
        waiting = asyncio.create_task(console.receive())
        await asyncio.sleep(0)
        await console.open(Path(os.ttyname(container)))
        assert await asyncio.wait_for(waiting, 5) == "early"
        await console.send("moin")
        assert await asyncio.to_thread(os.read, holder, 100) == b"moin\n"
        os.write(holder, b"one\ntwo\n")
        assert [await console.receive() for _ in range(2)] == ["one", "two"]
        assert list(console.tail) == ["early", "one", "two"]  # and no echo
        os.close(container)
        os.close(holder)
        with pytest.raises(InstanceExited):
            await asyncio.wait_for(console.receive(), 5)
        console.close()
        await asyncio.sleep(0)

    asyncio.run(whole())


def test_one_that_is_closed_before_it_is_opened_lets_go() -> None:
    async def whole() -> None:
        holder, container = os.openpty()
        console = PtyConsole()
        console.close()
        await console.open(Path(os.ttyname(container)))
        with pytest.raises(InstanceExited, match="closed before"):
            await console.receive()
        await asyncio.sleep(0)
        os.close(container)
        os.close(holder)

    asyncio.run(whole())


def test_a_terminal_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def whole() -> None:
        console = PtyConsole()
        with pytest.raises(EngineError, match="cannot be opened"):
            await console.open(tmp_path / "pts")
        console.close()

    asyncio.run(whole())
