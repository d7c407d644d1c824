"""What ``tonnage serve`` was told: where to listen, what to show, the secret that lets people act."""

import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from contract.errors import UseError
from contract.signing import Keys

LEAST_TOKEN = 16
"""Characters of a token: a shorter one can be guessed."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Everything that was said on the command line, checked."""

    address: str
    port: int
    token: str | None = None
    names: frozenset[str] = frozenset()
    """Names, beside addresses and ``localhost``, that a browser may ask for this page by."""
    results_root: Path = Path("results")
    broker: str | None = None
    campaigns: Path | None = None
    keys: Path | None = None
    """Folder of the hosts' keys: what is started signs with them, and registrations are compared."""

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        return self.address == "localhost" or _is_loopback(self.address)

    @property
    def url(self) -> str:
        """Where the page is."""
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{shown}:{self.port}/"

    def over(
        self,
        results_root: Path,
        broker: str | None,
        campaigns: Path | None,
        keys: Path | None = None,
    ) -> Self:
        """The same, showing these. Raises UseError and KeyFileError for folders that are not there."""
        if not results_root.is_dir():
            raise UseError(
                f"--results-root: found {str(results_root)!r}; allowed: a folder that holds results "
                "folders, as `tonnage run` makes them in results/"
            )
        if campaigns is not None and not campaigns.is_dir():
            raise UseError(f"--campaigns: found {str(campaigns)!r}; allowed: a folder of campaign files")
        if campaigns is not None and self.token is None:
            raise UseError("--campaigns needs --token FILE: only who enters the token may start one")
        if keys is not None:
            keys = Keys(keys).folder.resolve()
        return replace(self, results_root=results_root, broker=broker, campaigns=campaigns, keys=keys)


def settings_of(listen: str, token: Path | None, names: Sequence[str] = ()) -> ServeSettings:
    """Check where to listen, and read the token. Raises UseError."""
    address, port = parse_listen(listen)
    secret = read_token(token) if token is not None else None
    own = {socket.gethostname().lower(), *(name.lower() for name in names)}
    settings = ServeSettings(address, port, secret, frozenset(own))
    if not settings.loopback and secret is None:
        raise UseError(
            f"--listen {listen}: others can reach this address, so reading needs a token as well: say "
            "--token FILE, or listen on 127.0.0.1"
        )
    return settings


def parse_listen(text: str) -> tuple[str, int]:
    """``127.0.0.1:8080`` or ``[::1]:8080`` in two. Raises UseError."""
    address, colon, port = text.rpartition(":")
    address = address.removeprefix("[").removesuffix("]")
    if not colon or not address or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise UseError(f"--listen: found {text!r}; allowed: ADDRESS:PORT, such as 127.0.0.1:8080")
    if address != "localhost":
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise UseError(
                f"--listen: found {text!r}; allowed: an IP address of this machine and a port, or "
                "localhost:PORT"
            ) from error
    return address, int(port)


def read_token(file: Path) -> str:
    """The secret in a file, which only its owner may read. Raises UseError, never showing it."""
    try:
        with file.open(encoding="utf-8") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            secret = stream.read(10_000).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UseError(f"--token {file}: cannot be read: {why}") from error
    if mode & 0o007:
        raise UseError(f"--token {file}: everybody can read it; `chmod 600 {file}` and choose another")
    if len(secret) < LEAST_TOKEN:
        raise UseError(
            f"--token {file}: found {len(secret)} characters; allowed: {LEAST_TOKEN} or more, such as "
            "`openssl rand -hex 32` prints"
        )
    return secret


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
