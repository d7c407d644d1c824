import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import EngineError, InstanceExited
from workers.console import MAX_LINE_BYTES
from workers.engines.docker_console import AttachedConsole, FrameDecoder, attach
from workers.engines.docker_server import ApiServer

T = TypeVar("T")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
SYLLABLES = st.text("ab \u00e9\u4e2d", max_size=12)


def frame(text: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxL", stream, len(text)) + text


@given(st.lists(SYLLABLES, max_size=8), st.lists(st.integers(1, 40), min_size=1), st.integers(1, 9))
def test_no_line_is_lost_however_the_stream_is_cut(
    lines: list[str], pieces: list[int], payload_bytes: int
) -> None:
    text = "".join(line + "\n" for line in lines).encode()
    stream = b"".join(
        frame(text[start : start + payload_bytes]) for start in range(0, len(text), payload_bytes)
    )
    decoder, found, turn = FrameDecoder(), [], 0
    while stream:
        size = pieces[turn % len(pieces)]
        found += decoder.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert found + decoder.flush() == [line.strip() for line in lines]


def test_output_and_errors_do_not_mix_within_a_line() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(frame(b"one ") + frame(b"bad\n", 2) + frame(b"line\n")) == ["bad", "one line"]


def test_what_ends_without_a_line_feed_comes_last() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(frame(b"whole\nhal") + frame(b"oops", 2)) == ["whole"]
    assert decoder.flush() == ["hal", "oops"]
    assert decoder.flush() == []


def test_endless_lines_come_in_pieces() -> None:
    decoder = FrameDecoder()
    lines = decoder.feed(frame(b"x" * 1000) * 200)
    assert all(len(line) <= MAX_LINE_BYTES + 1000 for line in lines)
    assert len("".join(lines + decoder.flush())) == 200_000


def with_engine(tmp_path: Path, serve: Serve, use: Callable[[AttachedConsole], Awaitable[T]]) -> T:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await serve(reader, writer)
        writer.close()

    async def whole() -> T:
        path = tmp_path / "s"
        server = await asyncio.start_unix_server(handle, path)
        async with server:
            console = await attach(
                ApiServer("docker", path, 60.0), "/v1.41/containers/x/attach?stream=1"
            )
            try:
                return await use(console)
            finally:
                console.close()

    return asyncio.run(whole())


def test_speaks_both_ways(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(UPGRADED + frame(b"hello\n"))  # words right behind the head are not lost
        writer.write(frame(b"you said " + await reader.readline()))

    async def use(console: AttachedConsole) -> list[str]:
        heard = [await console.receive()]
        await console.send("moin")
        heard.append(await console.receive())
        with pytest.raises(InstanceExited):
            await console.receive()
        with pytest.raises(InstanceExited):
            await console.receive()
        assert list(console.tail) == heard
        return heard

    assert with_engine(tmp_path, serve, use) == ["hello", "you said moin"]


def test_a_refusal_carries_the_engines_words(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 404 Not Found\r\n\r\n{"message":"No such container: x"}')

    async def use(console: AttachedConsole) -> None: ...

    with pytest.raises(EngineError, match=r"404.*No such container"):
        with_engine(tmp_path, serve, use)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101", b"nonsense\r\n\r\n", b"x" * 100_000])
def test_a_broken_answer_is_an_engine_error(tmp_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async def use(console: AttachedConsole) -> None: ...

    with pytest.raises(EngineError):
        with_engine(tmp_path, serve, use)


async def send_until_told(console: AttachedConsole) -> None:
    for _ in range(100):
        await console.send("x" * 10_000)


def test_sending_to_what_is_gone_is_told(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(UPGRADED)

    async def use(console: AttachedConsole) -> None:
        with pytest.raises(InstanceExited):
            await console.receive()
        with pytest.raises(InstanceExited):
            await send_until_told(console)

    with_engine(tmp_path, serve, use)
