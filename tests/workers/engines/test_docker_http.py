"""Connections that stay open: few of them, whole answers, and none that is used after it broke."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from contract.errors import EngineAbsent, EngineError, EngineTimeout, ImageError
from workers.engines import docker_containers
from workers.engines.docker_http import Answer, ApiConnections
from workers.engines.docker_server import ApiServer

Reply = Callable[[str], bytes]


def said(body: str, status: int = 200, extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n{extra}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


class Engine:
    """Answers every request by ``reply``, and counts connections."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.connections = 0
        self.requests: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                length = next(int(x.split(":")[1]) for x in lines if x.startswith("Content-Length"))
                await reader.readexactly(length)
                self.requests.append(lines[0])
                answer = self.reply(lines[0])
                if not answer:
                    break
                writer.write(answer)
                await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def speak(
    path: Path,
    reply: Reply,
    work: Callable[[ApiConnections], Awaitable[object]],
    deadline_s: float = 30.0,
) -> Engine:
    engine = Engine(reply)

    async def whole() -> None:
        server = await asyncio.start_unix_server(engine.serve, path)
        links = ApiConnections(ApiServer("docker", path, deadline_s), "1.41")
        try:
            await work(links)
        finally:
            links.close()
            server.close()
            await asyncio.sleep(0.01)

    asyncio.run(whole())
    return engine


def test_calls_one_after_the_other_share_a_connection(tmp_path: Path) -> None:
    async def work(links: ApiConnections) -> None:
        for number in range(50):
            await docker_containers.start(links, f"c{number}")

    engine = speak(tmp_path / "s", lambda _: b"HTTP/1.1 204 No Content\r\n\r\n", work)
    assert engine.connections == 1
    assert engine.requests[7] == "POST /v1.41/containers/c7/start HTTP/1.1"
    assert len(engine.requests) == 50


def test_as_many_connections_as_calls_in_flight(tmp_path: Path) -> None:
    async def work(links: ApiConnections) -> None:
        for _ in range(3):
            found = await asyncio.gather(*(docker_containers.inspect(links, "x") for _ in range(8)))
            assert found == [{"Id": "x"}] * 8

    engine = speak(tmp_path / "s", lambda _: said('{"Id": "x"}'), work)
    assert engine.connections == 8


def test_an_answer_in_chunks_is_put_together(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = head + b'5;x=y\r\n{"Id"\r\n6\r\n: "x"}\r\n0\r\n\r\n'

    async def work(links: ApiConnections) -> None:
        for _ in range(2):
            assert await docker_containers.inspect(links, "x") == {"Id": "x"}

    assert speak(tmp_path / "s", lambda _: chunked, work).connections == 1


def test_an_answer_without_a_length_ends_with_its_connection(tmp_path: Path) -> None:
    """Also one that says that its connection ends."""
    answers = [said('{"Id": "x"}', extra="Connection: close\r\n"), said('{"Id": "x"}')]

    async def work(links: ApiConnections) -> None:
        assert await docker_containers.inspect(links, "x") == {"Id": "x"}
        assert await docker_containers.inspect(links, "x") == {"Id": "x"}

    assert speak(tmp_path / "s", lambda _: answers.pop(0), work).connections == 2


def test_an_answer_without_a_length_may_come_in_pieces(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in (b'HTTP/1.1 200 OK\r\n\r\n{"Id":', b' "x"}'):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.close()

    async def whole() -> None:
        async with await asyncio.start_unix_server(serve, tmp_path / "s"):
            links = ApiConnections(ApiServer("docker", tmp_path / "s", 30.0), "1.41")
            assert await docker_containers.inspect(links, "x") == {"Id": "x"}
            links.close()

    asyncio.run(whole())


def test_a_connection_that_the_engine_closed_is_not_used_again(tmp_path: Path) -> None:
    engine = Engine(lambda _: said('{"Id": "x"}'))

    async def whole() -> None:
        links = ApiConnections(ApiServer("docker", tmp_path / "s", 30.0), "1.41")
        for _ in range(2):
            writers: list[asyncio.StreamWriter] = []

            async def serve(
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                writers: list[asyncio.StreamWriter] = writers,
            ) -> None:
                writers.append(writer)
                await engine.serve(reader, writer)

            (tmp_path / "s").unlink(missing_ok=True)
            server = await asyncio.start_unix_server(serve, tmp_path / "s")
            assert await docker_containers.inspect(links, "x") == {"Id": "x"}
            server.close()
            for writer in writers:
                writer.close()
            await asyncio.sleep(0.02)
        links.close()

    asyncio.run(whole())
    assert engine.connections == 2


def test_an_engine_that_breaks_off_is_an_error_and_its_connection_is_dropped(tmp_path: Path) -> None:
    replies = [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b"no http\r\n\r\n",
        said("{}"),
    ]

    async def work(links: ApiConnections) -> None:
        with pytest.raises(EngineError, match="docker: the connection broke during 'inspect'"):
            await docker_containers.inspect(links, "x")
        with pytest.raises(EngineTimeout, match="docker did not answer 'inspect'"):
            await docker_containers.inspect(links, "x")
        with pytest.raises(EngineError, match="docker: the connection broke during 'inspect'"):
            await docker_containers.inspect(links, "x")
        assert await docker_containers.inspect(links, "x") == {}

    assert speak(tmp_path / "s", lambda _: replies.pop(0), work, 0.2).connections == 4


def test_a_call_that_was_given_up_leaves_no_answer_to_the_next(tmp_path: Path) -> None:
    async def work(links: ApiConnections) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await docker_containers.inspect(links, "slow")
        assert await docker_containers.inspect(links, "x") == {"Id": "x"}

    def reply(request: str) -> bytes:
        return b"HTTP/1.1 200 OK\r\n" if "slow" in request else said('{"Id": "x"}')

    assert speak(tmp_path / "s", reply, work).connections == 2


@pytest.mark.parametrize(
    ("status", "message", "ours"),
    [
        (404, "No such image: tonnage/tiny:1", ImageError),
        (404, "No such container: 12", EngineError),
        (500, "no space left on device", EngineError),
    ],
)
def test_refusals_become_ours(tmp_path: Path, status: int, message: str, ours: type) -> None:
    async def work(links: ApiConnections) -> None:
        with pytest.raises(EngineError, match=message) as told:
            await docker_containers.create(links, "x", {})
        assert type(told.value) is ours

    speak(tmp_path / "s", lambda _: said(f'{{"message": "{message}"}}', status), work)


@pytest.mark.parametrize("status", [204, 404, 409])
def test_what_is_gone_or_does_not_run_is_no_error(tmp_path: Path, status: int) -> None:
    async def work(links: ApiConnections) -> None:
        await docker_containers.kill(links, "x")
        assert await docker_containers.remove(links, "x") is (status != 409)

    speak(tmp_path / "s", lambda _: said("", status), work)


def test_a_kill_that_fails_is_an_error_only_where_it_runs(tmp_path: Path) -> None:
    runs = iter(["false", "true"])

    def reply(request: str) -> bytes:
        if "kill" in request:
            return said('{"message": "cannot"}', 500)
        return said(f'{{"State": {{"Running": {next(runs)}}}}}')

    async def work(links: ApiConnections) -> None:
        await docker_containers.kill(links, "x")
        with pytest.raises(EngineError, match="docker refused 'kill': cannot"):
            await docker_containers.kill(links, "x")

    speak(tmp_path / "s", reply, work)


def test_no_engine_is_an_absent_one(tmp_path: Path) -> None:
    links = ApiConnections(ApiServer("docker", tmp_path / "none", 1.0), "1.41")
    with pytest.raises(EngineAbsent, match="no engine listens"):
        asyncio.run(docker_containers.start(links, "x"))


def test_a_refusal_without_json_has_its_words() -> None:
    assert Answer(404, b"404 page not found\n").words() == "404 page not found"
    assert Answer(500, b"").words() == "status 500"
