"""A hostile registry costs its own pull, for a bounded time, and leaves nothing on the disk."""

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from contract.errors import ImageError, RegistryError
from workers.images.oci import MAX_MANIFEST_BYTES, Blob, read_manifest
from workers.images.registry import Registry

BYTES = b"content"
DIGEST = f"sha256:{hashlib.sha256(BYTES).hexdigest()}"
BLOB = Blob("x", DIGEST, len(BYTES))
DEADLINE_S = 0.3
DRIPS = 150
"""Of 20 ms each: far more than what is waited for. Who waits longer is given what he asked for."""
LAYER = {"mediaType": "x", "digest": DIGEST, "size": 7}
GOOD = json.dumps({"config": LAYER, "layers": [LAYER]}).encode()
Answer = Callable[[socket.socket, threading.Event], None]


def say(*pieces: bytes, drip: bytes = b"", end: bytes = b"") -> Answer:
    """Send the pieces, then one and the same ``DRIPS`` times, a little at a time, and then the end."""

    def answer(link: socket.socket, over: threading.Event) -> None:
        for piece in pieces:
            link.sendall(piece)
        for _ in range(DRIPS if drip else 0):
            if over.wait(0.02):
                return
            link.sendall(drip)
        link.sendall(end)

    return answer


@contextmanager
def listening(answer: Answer) -> Iterator[Registry]:
    """A registry that answers everything in one way."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve() -> None:
            while not over.is_set():
                with suppress(OSError):
                    link, _ = server.accept()
                    with link:
                        link.recv(65536)
                        answer(link, over)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield Registry(f"127.0.0.1:{server.getsockname()[1]}", DEADLINE_S)
        finally:
            over.set()
            with suppress(OSError):
                socket.create_connection(server.getsockname(), 1).close()
            thread.join(5)


OK = b"HTTP/1.1 200 OK\r\n"
MANY = b"Content-Length: 999999999999\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

MANIFESTS: dict[str, Answer] = {
    "a head that drips": say(OK + b"X-A: ", drip=b"a", end=b"\r\n\r\n" + GOOD),
    "heads without end": say(OK, drip=b"X-A: b\r\n" * 50),
    "a body that drips": say(OK + b"\r\n", drip=b" ", end=GOOD),
    "a body without end": say(OK + MANY, drip=b" " * 1_000_000),
    "chunks that are none": say(OK + CHUNKED + b"zz\r\n"),
    "no HTTP at all": say(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "an answer cut off": say(OK + b"Content-Length: 500\r\n\r\n{"),
    "nesting": say(OK + b"\r\n" + b"[" * 100_000),
    "an error that is a book": say(b"HTTP/1.1 500 x\r\n" + MANY, drip=b"x" * 1_000_000),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_is_none_is_refused_in_time(name: str) -> None:
    with listening(MANIFESTS[name]) as registry, pytest.raises((ImageError, RegistryError)) as refused:
        registry.manifest("a/b", "v1")
    assert len(str(refused.value)) < 1000


BLOBS: dict[str, Answer] = {
    "another's bytes": say(OK + b"\r\nCONTENT"),
    "more than was said": say(OK + MANY, drip=b"x" * 1_000_000),
    "less than was said": say(OK + b"Content-Length: 3\r\n\r\ncon"),
    "to a file of ours": say(b"HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\n\r\n"),
    "round and round": say(b"HTTP/1.1 302 x\r\nLocation: /v2/again\r\n\r\n"),
    "to no place": say(b"HTTP/1.1 302 x\r\nLocation: http://[/\r\n\r\n"),
    "to no port": say(b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:port/\r\n\r\n"),
    "to a line of its own": say(b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/a b\r\n\r\n"),
}


@pytest.mark.parametrize("name", BLOBS)
def test_a_blob_that_is_another_is_refused_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    with listening(BLOBS[name]) as registry, pytest.raises((ImageError, RegistryError)):
        registry.fetch("a/b", BLOB, tmp_path / "blob", lambda: False)
    assert list(tmp_path.iterdir()) == []


def test_a_blob_that_drips_is_given_up_with_the_pull(tmp_path: Path) -> None:
    begun = threading.Event()

    def stopped() -> bool:
        begun.set()
        return True

    large = Blob("x", DIGEST, 1_000_000)
    answer = say(OK + MANY, drip=b"x")
    with listening(answer) as registry, pytest.raises(RegistryError, match="given up on"):
        registry.fetch("a/b", large, tmp_path / "blob", stopped)
    assert begun.is_set()


def test_a_place_without_tls_is_not_gone_to_from_one_with(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry("https://registry.example")

    class Answered:
        headers = {"Location": "http://registry.example/blob"}

    with pytest.raises(RegistryError, match="without TLS: refused"):
        registry._sent_to("/v2/a/blobs/x", Answered())  # type: ignore[arg-type]


def test_a_blob_that_fills_the_disk_by_its_own_word_is_not_begun(tmp_path: Path) -> None:
    registry = Registry("127.0.0.1:1", DEADLINE_S)
    with pytest.raises(ImageError, match="bytes left"):
        registry.fetch("a/b", Blob("x", DIGEST, 2**62), tmp_path / "blob", lambda: False)


@pytest.mark.parametrize(
    "content",
    [
        b" " * (MAX_MANIFEST_BYTES + 1),
        b"[" * 100_000,
        json.dumps({"config": LAYER, "layers": [LAYER] * 1001}).encode(),
        json.dumps({"config": LAYER, "layers": []}).encode(),
        json.dumps({"config": LAYER, "layers": [LAYER | {"size": float("inf")}]}).encode(),
        json.dumps({"config": LAYER, "layers": [LAYER | {"size": -1}]}).encode(),
        json.dumps({"config": LAYER, "layers": [LAYER | {"digest": "sha256:../../../etc"}]}).encode(),
        json.dumps({"config": LAYER, "layers": [LAYER | {"digest": DIGEST + "\n"}]}).encode(),
        json.dumps({"config": LAYER, "layers": {"0": LAYER}}).encode(),
    ],
    ids=range(9),
)
def test_a_manifest_of_odd_content_is_refused(content: bytes) -> None:
    with pytest.raises(ImageError):
        read_manifest(content)
