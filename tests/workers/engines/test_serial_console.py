"""The serial port's socket, called by a stand-in for QEMU."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from contract.errors import EngineError, InstanceExited
from workers.engines.serial_console import MAX_SOCKET_PATH_BYTES, SerialConsole, check_socket_path

Work = Callable[[SerialConsole, Path], Awaitable[None]]


def with_console(path: Path, work: Work) -> None:
    async def whole() -> None:
        console = await SerialConsole.listen(path)
        try:
            async with asyncio.timeout(20):
                await work(console, path)
        finally:
            console.close()

    asyncio.run(whole())


async def let_go(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        await writer.wait_closed()


def test_lines_said_before_anybody_reads_are_kept(tmp_path: Path) -> None:
    async def work(console: SerialConsole, path: Path) -> None:
        reader, guest = await asyncio.open_unix_connection(path)
        guest.write(b"one\r\ntwo\n")
        await guest.drain()
        assert [await console.receive(), await console.receive()] == ["one", "two"]
        assert list(console.tail) == ["one", "two"]
        await console.send("back")
        assert await reader.readline() == b"back\n"
        await let_go(guest)

    with_console(tmp_path / "c", work)


def test_receiving_waits_for_the_call(tmp_path: Path) -> None:
    async def work(console: SerialConsole, path: Path) -> None:
        waiting = asyncio.ensure_future(console.receive())
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):  # giving up once does not break it
            await asyncio.wait_for(console.receive(), 0.01)
        _, guest = await asyncio.open_unix_connection(path)
        guest.write(b"late\n")
        assert await waiting == "late"
        await let_go(guest)

    with_console(tmp_path / "c", work)


def test_the_end_of_qemu_is_the_end_of_the_console(tmp_path: Path) -> None:
    async def work(console: SerialConsole, path: Path) -> None:
        _, guest = await asyncio.open_unix_connection(path)
        await let_go(guest)
        with pytest.raises(InstanceExited, match="the console closed"):
            await console.receive()

    with_console(tmp_path / "c", work)


def test_a_panic_is_the_reason_however_long_its_trace(tmp_path: Path) -> None:
    async def work(console: SerialConsole, path: Path) -> None:
        _, guest = await asyncio.open_unix_connection(path)
        guest.write(b"[    2.6] Kernel panic - not syncing: VFS\r\n" + b"[    2.7]  trace\r\n" * 30)
        await let_go(guest)
        for _ in range(31):
            await console.receive()
        with pytest.raises(InstanceExited, match=r"Kernel panic - not syncing: VFS$"):
            await console.receive()

    with_console(tmp_path / "c", work)


def test_closing_before_the_call_ends_the_wait_and_keeps_the_socket(tmp_path: Path) -> None:
    async def work(console: SerialConsole, path: Path) -> None:
        waiting = asyncio.ensure_future(console.receive())
        await asyncio.sleep(0)
        console.close()
        with pytest.raises(InstanceExited, match="before the guest started"):
            await waiting
        assert console.is_closed
        assert path.is_socket()
        console.close()

    with_console(tmp_path / "c", work)


def test_only_the_first_caller_is_heard(tmp_path: Path) -> None:
    async def work(console: SerialConsole, path: Path) -> None:
        _, first = await asyncio.open_unix_connection(path)
        first.write(b"first\n")
        assert await console.receive() == "first"
        reader, second = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        await let_go(first, second)

    with_console(tmp_path / "c", work)


def test_draining_reads_what_nobody_reads(tmp_path: Path) -> None:
    async def work(console: SerialConsole, path: Path) -> None:
        console.drain()
        _, guest = await asyncio.open_unix_connection(path)
        for _ in range(64):  # far more than buffers hold
            guest.write(b"x" * 65535 + b"\n")
            await guest.drain()
        await let_go(guest)

    with_console(tmp_path / "c", work)


def test_a_second_start_listens_in_place_of_the_first(tmp_path: Path) -> None:
    async def work(console: SerialConsole, path: Path) -> None:
        console.close()
        again = await SerialConsole.listen(path)
        _, guest = await asyncio.open_unix_connection(path)
        guest.write(b"again\n")
        assert await again.receive() == "again"
        await let_go(guest)
        again.close()

    with_console(tmp_path / "c", work)


def test_no_handle_is_kept(tmp_path: Path) -> None:
    async def work(console: SerialConsole, path: Path) -> None:
        _, guest = await asyncio.open_unix_connection(path)
        guest.write(b"x\n")
        await console.receive()
        await let_go(guest)

    with_console(tmp_path / "c", work)
    before = len(os.listdir("/proc/self/fd"))
    with_console(tmp_path / "c", work)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_socket_that_cannot_be_is_an_engine_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be made"):
        with_console(tmp_path / "missing" / "c", lambda *_: asyncio.sleep(0))


def test_long_paths_name_the_setting() -> None:
    check_socket_path(Path("/" + "x" * (MAX_SOCKET_PATH_BYTES - 1)))
    with pytest.raises(EngineError, match="'run_dir'"):
        check_socket_path(Path("/" + "x" * MAX_SOCKET_PATH_BYTES))
