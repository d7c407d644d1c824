"""A client of OCI registries: what is there, push and fetch, with nothing but the standard library.

Protocol: the OCI distribution specification, version 1. Registries that ask for a login are refused.
"""

import hashlib
import http.client
import ipaddress
import json
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, ClassVar
from urllib.parse import urljoin, urlsplit

from contract.errors import ImageError, RegistryError
from workers.images.oci import (
    MANIFEST_TYPE,
    MAX_MANIFEST_BYTES,
    Blob,
    Manifest,
    Release,
    Stopped,
    read_manifest,
)

PLAIN_TYPES = "application/vnd.docker.distribution.manifest.v2+json"
_CHUNK_BYTES = 1 << 20
_MOST_REDIRECTS = 3
_CUT_AFTER = 1.5
"""Deadlines after which an answer that comes byte by byte is cut off; silence ends at one."""
_REDIRECTS = (301, 302, 303, 307, 308)


class Registry:
    """One registry. Every method blocks, for ``deadline_s`` at most, and any thread may call it.

    Raises RegistryError when it cannot be reached, hangs or refuses, and ImageError when what was asked
    for is not there or damaged.
    """

    links: ClassVar[dict[str, type[http.client.HTTPConnection]]] = {
        "http": http.client.HTTPConnection,
        "https": http.client.HTTPSConnection,
    }

    def __init__(self, address: str, deadline_s: float = 30.0) -> None:
        scheme, found, rest = address.rpartition("://")
        self.host = rest.rstrip("/")
        """Host and port, as in an image's name."""
        self._origin = f"{scheme if found else _usual_scheme(self.host)}://{self.host}"
        self._deadline_s = deadline_s

    def ping(self) -> None:
        """See that a registry answers."""
        with self._answer("GET", "/v2/") as answer:
            self._expect(answer, (200,), "the question whether it is one")

    def has_manifest(self, repository: str, reference: str) -> bool:
        """Whether an image is there, by tag or digest."""
        return self._has(f"/v2/{repository}/manifests/{reference}", f"image {repository}:{reference}")

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a blob is there."""
        return self._has(f"/v2/{repository}/blobs/{digest}", f"blob {digest}")

    def manifest(self, repository: str, reference: str) -> Manifest:
        """What an image is made of."""
        what = f"image {repository}:{reference}"
        with self._answer("GET", f"/v2/{repository}/manifests/{reference}", _ACCEPT) as answer:
            if answer.status == 404:
                raise ImageError(f"the registry {self.host} has no {what}")
            self._expect(answer, (200,), what)
            return read_manifest(self._read(answer, MAX_MANIFEST_BYTES + 1))

    def fetch(self, repository: str, blob: Blob, path: Path, stopped: Stopped) -> int:
        """Bring a blob to a file, verified by its digest. Returns the bytes that came over the wire.

        Nothing is left at ``path`` when that fails.
        """
        try:
            see_that_it_fits(blob, path.parent)
            with path.open("wb") as file:
                received, digest = self._receive(repository, blob, file, stopped)
            if (received, digest) != (blob.size_bytes, blob.digest):
                raise ImageError(
                    f"blob {blob.digest} of {repository} came damaged from {self.host}: "
                    f"{received} bytes with digest {digest} instead of {blob.size_bytes}"
                )
        except OSError as error:
            path.unlink(missing_ok=True)
            raise ImageError(f"blob {blob.digest} cannot be written to {path}: {error}") from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return received

    def push(self, release: Release, stopped: Stopped) -> int:
        """Bring an image to the registry. Blobs that are there already are not sent again.

        Returns the bytes that were sent.
        """
        sent = 0
        for blob in (*release.manifest.layers, release.manifest.config):
            if not self.has_blob(release.repository, blob.digest):
                sent += self._send(release.repository, blob, stopped)
        target = f"/v2/{release.repository}/manifests/{release.tag}"
        content = release.manifest.content
        with self._answer("PUT", target, {"Content-Type": MANIFEST_TYPE}, content) as answer:
            self._expect(answer, (201,), f"the manifest of {release.repository}:{release.tag}")
        return sent + len(content)

    def _has(self, target: str, what: str) -> bool:
        with self._answer("HEAD", target, _ACCEPT) as answer:
            self._expect(answer, (200, 404, *_REDIRECTS), what)
            return answer.status != 404

    def _send(self, repository: str, blob: Blob, stopped: Stopped) -> int:
        assert blob.path is not None, "a blob that lies nowhere cannot be pushed"
        with self._answer("POST", f"/v2/{repository}/blobs/uploads/") as answer:
            self._expect(answer, (202,), f"an upload to {repository}")
            place = self._sent_to(f"/v2/{repository}/blobs/uploads/", answer)
        target = f"{place}{'&' if '?' in place else '?'}digest={blob.digest}"
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(blob.size_bytes),
        }
        with (
            blob.path.open("rb") as file,
            self._answer(
                "PUT", target, headers, _chunks(file, self.host, stopped), streams=True
            ) as answer,
        ):
            self._expect(answer, (201,), f"blob {blob.digest}")
        return blob.size_bytes

    def _receive(
        self, repository: str, blob: Blob, file: IO[bytes], stopped: Stopped
    ) -> tuple[int, str]:
        """Copy a blob's bytes; no more than it should have. Returns how many, and their digest."""
        seen, received = hashlib.sha256(), 0
        with self._following(f"/v2/{repository}/blobs/{blob.digest}") as answer:
            if answer.status == 404:
                raise ImageError(f"the registry {self.host} has no blob {blob.digest}")
            self._expect(answer, (200,), f"blob {blob.digest}")
            while received <= blob.size_bytes and (chunk := self._read_some(answer)):
                if stopped():
                    raise RegistryError(f"the registry {self.host} was given up on at {received} bytes")
                seen.update(chunk)
                received += len(chunk)
                file.write(chunk)
        return received, f"sha256:{seen.hexdigest()}"

    def _read(self, answer: http.client.HTTPResponse, most_bytes: int = _CHUNK_BYTES) -> bytes:
        """All of a small answer, or as much of a large one."""
        try:
            return answer.read(most_bytes)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._in_our_words(error) from error

    def _read_some(self, answer: http.client.HTTPResponse) -> bytes:
        """What has come: who waits for all of a chunk may be kept for ever by a byte now and then."""
        try:
            return answer.read1(_CHUNK_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._in_our_words(error) from error

    @contextmanager
    def _following(self, target: str) -> Iterator[http.client.HTTPResponse]:
        """The answer to a GET, wherever the registry keeps its blobs."""
        place = target
        for _ in range(_MOST_REDIRECTS + 1):
            with self._answer("GET", place, streams=True) as answer:
                if answer.status not in _REDIRECTS:
                    yield answer
                    return
                place = self._sent_to(place, answer)
        raise RegistryError(f"the registry {self.host} sends us from place to place")

    @contextmanager
    def _answer(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] = {},
        body: bytes | Iterator[bytes] | None = None,
        *,
        streams: bool = False,
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to one request. Unless it ``streams``, all of it comes in 1.5 deadlines."""
        link, path = self._link(target)
        cut = None
        try:
            try:
                link.connect()
                cut = None if streams else _cut_off(link.sock, _CUT_AFTER * self._deadline_s)
                link.request(method, path, body, dict(headers))
                answer = link.getresponse()
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._in_our_words(error) from error
            with answer:
                yield answer
        finally:
            if cut is not None:
                cut.cancel()
            link.close()

    def _link(self, target: str) -> tuple[http.client.HTTPConnection, str]:
        """A connection to where a target is, and its path there. Raises RegistryError."""
        try:
            parts = urlsplit(urljoin(self._origin, target))
            kind = self.links.get(parts.scheme)
            if kind is None:
                raise RegistryError(
                    f"'{parts.scheme}://{parts.netloc}' names no registry: give HOST:PORT, or http:// "
                    "before it"
                )
            link = kind(parts.netloc, timeout=self._deadline_s)
        except (http.client.HTTPException, ValueError) as error:
            raise self._in_our_words(error) from error
        return link, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"

    def _sent_to(self, place: str, answer: http.client.HTTPResponse) -> str:
        """Where an answer sends us from ``place``: anywhere, but from TLS to no TLS."""
        try:
            here = urljoin(self._origin, place)
            there = urljoin(here, answer.headers.get("Location", ""))
            downgraded = urlsplit(here).scheme == "https" and urlsplit(there).scheme != "https"
        except ValueError as error:
            raise self._in_our_words(error) from error
        if downgraded:
            raise RegistryError(f"the registry {self.host} sends us to a place without TLS: refused")
        return there

    def _expect(self, answer: http.client.HTTPResponse, wanted: tuple[int, ...], what: str) -> None:
        if answer.status in wanted:
            return
        if answer.status in (401, 403):
            raise RegistryError(f"the registry {self.host} asks for a login, which Tonnage has none for")
        said = _message(self._read(answer))
        raise RegistryError(f"the registry {self.host} answered {answer.status} to {what}: {said}")

    def _in_our_words(self, error: Exception) -> RegistryError:
        if isinstance(error, TimeoutError):
            return RegistryError(
                f"the registry {self.host} did not answer within {self._deadline_s:g} s"
            )
        if isinstance(error, ConnectionRefusedError):
            return RegistryError(
                f"no registry listens at {self.host}: start one (Debian: docker-registry), or name "
                "another with --registry"
            )
        return RegistryError(f"the registry {self.host} cannot be spoken to: {error!r}")


_ACCEPT = {"Accept": f"{MANIFEST_TYPE}, {PLAIN_TYPES}"}


def _cut_off(link: socket.socket, after_s: float) -> threading.Timer:
    """End a connection under whoever waits for it, unless it is cancelled before.

    The socket itself: the library's connection lets go of it when an answer has begun.
    """

    def cut() -> None:
        with suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(after_s, cut)
    timer.daemon = True
    timer.start()
    return timer


def see_that_it_fits(blob: Blob, folder: Path) -> None:
    """Raises ImageError for a blob that would fill the disk, by its own word."""
    free = shutil.disk_usage(folder).free
    if blob.size_bytes > free:
        raise ImageError(
            f"blob {blob.digest} has {blob.size_bytes} bytes, and {folder} has {free} bytes left"
        )


def _usual_scheme(host: str) -> str:
    """http for this machine, as engines have it, else https."""
    name = host.rpartition(":")[0] or host
    try:
        loopback = ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        loopback = name == "localhost"
    return "http" if loopback else "https"


def _chunks(file: IO[bytes], host: str, stopped: Stopped) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        if stopped():
            raise RegistryError(f"the push to {host} was given up on")
        yield chunk


def _message(body: bytes) -> str:
    """What a registry says in the form of its errors, or as it came."""
    try:
        return str(json.loads(body)["errors"][0]["message"])[:300]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return body.decode("utf-8", "replace").strip()[:300] or "nothing more"
