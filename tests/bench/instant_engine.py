"""A Docker engine that answers at once and runs nothing, so that its client's part can be measured.

    python tests/bench/instant_engine.py SOCKET

It knows what a lifecycle asks for, keeps connections open, and says the agent's first words on the
attached stream as soon as a container is started.
"""

import asyncio
import contextlib
import json
import re
import secrets
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FIXED = {
    "version": {"ApiVersion": "1.41", "Version": "0"},
    "info": {},
    "_ping": "OK",
    "containers/json": [],
    "images/json": [],
}
_DEAD = 2**22 - 1
"""Linux's last PID: as good as dead, so that nobody waits for its end."""
_ROUTE = re.compile(r"^(?:/v[0-9.]+)?/([^?]*)")


class InstantEngine:
    """Containers as a table of nonces and attached streams."""

    def __init__(self) -> None:
        self._nonces: dict[str, str] = {}
        self._streams: dict[str, asyncio.StreamWriter] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request, or a stream once it is attached."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                method, target, _ = head.split(" ", 2)
                path = _ROUTE.match(target)[1]  # type: ignore[index]
                if path.endswith("/attach"):
                    self._streams[path.split("/")[1]] = writer
                    writer.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                    await reader.read()
                    break
                status, said = self._answer(method, path, body)
                content = json.dumps(said).encode() if status == 200 else b""
                fields = f"Content-Type: application/json\r\nContent-Length: {len(content)}"
                writer.write(f"HTTP/1.1 {status} x\r\n{fields}\r\n\r\n".encode() + content)
        writer.close()

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        if path in _FIXED or path.startswith("images/"):
            return 200, _FIXED.get(path, {})
        if path == "containers/create":
            made = secrets.token_hex(32)
            self._nonces[made] = json.loads(body)["Env"][0].partition("=")[2]
            return 200, {"Id": made}
        container = path.split("/")[1] if "/" in path else ""
        if container not in self._nonces:
            return 404, {}
        if path.endswith("/json"):
            return 200, {"Id": container, "State": {"Pid": _DEAD, "Running": True}}
        if path.endswith("/start"):
            self._speak(container)
        elif method == "DELETE":
            del self._nonces[container]
            self._streams.pop(container).close()
        return 204, None

    def _speak(self, container: str) -> None:
        line = json.dumps({"beacon": self._nonces[container]}).encode() + b"\n"
        self._streams[container].write(struct.pack(">BxxxL", 1, len(line)) + line)


@contextmanager
def instant_engine(folder: Path) -> Iterator[Path]:
    """One in a process of its own. Its socket."""
    import engines

    path = folder / "instant.sock"
    command = [sys.executable, __file__, str(path)]
    with engines.daemon(command, folder / "instant.log", lambda: engines.docker_answers(path)):
        yield path


async def main(path: str) -> None:
    """Serve until ended."""
    server = await asyncio.start_unix_server(InstantEngine().serve, path)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
