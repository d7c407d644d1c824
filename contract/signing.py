"""Signed messages: HMAC-SHA256 (RFC 2104) with one secret per host, which the coordinator shares.

What is signed travels as text, exactly as it was signed: nothing is written anew to be verified.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from contract import CONTRACT_VERSION
from contract.errors import KeyFileError, MessageError
from contract.names import plain_name
from contract.versions import refuse_other_version

Purpose = Literal["order", "record", "answer", "registration", "refusal"]
"""What a signature is for. One made for a purpose is worth nothing for another."""

MAX_MESSAGE_AGE_S = 86_400.0
"""An order may wait in its queue behind a long trial, but not for longer than this."""

MAX_AHEAD_S = 60.0
"""So far may an order come from the future: both sides read the broker's clock, each with some error."""

_SUFFIX = ".key"
_SECRET = re.compile(r"[0-9a-f]{64}")


class HostKey:
    """The secret of one host. Shows its fingerprint only."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.fingerprint = hashlib.sha256(b"fingerprint" + secret).hexdigest()[:12]
        """Tells two copies of a key from two keys, and says nothing of the secret."""

    def __repr__(self) -> str:
        return f"HostKey({self.fingerprint})"

    def mac(self, purpose: Purpose, host: str, text: bytes, contract: int = CONTRACT_VERSION) -> str:
        """The signature, 64 hex digits. What comes before the text cannot hold a NUL."""
        head = f"tonnage\0{contract}\0{purpose}\0{host}\0".encode()
        return hmac.digest(self._secret, head + text, "sha256").hex()

    def fits(self, purpose: Purpose, host: str, text: bytes, mac: object) -> bool:
        """Whether a signature is ours. Takes the same time wherever the first wrong digit is."""
        if not isinstance(mac, str) or "\0" in host:
            return False
        return hmac.compare_digest(self.mac(purpose, host, text).encode(), mac.encode(errors="replace"))


def seal(key: HostKey, purpose: Purpose, host: str, text: str) -> dict[str, Any]:
    """The text with its signature. The version stands outside, so that any release can read it."""
    mac = key.mac(purpose, host, text.encode())
    return {"contract": CONTRACT_VERSION, "host": host, "text": text, "mac": mac}


def is_sealed(content: object) -> bool:
    """Whether something claims to be signed."""
    return isinstance(content, dict) and "mac" in content and "text" in content


def unseal(key: HostKey, purpose: Purpose, host: str, sealed: object) -> str:
    """The text that ``host``'s key was put to. Raises MessageError, whose cause says what is wrong."""
    sender, receiver = ("coordinator", "worker")[:: 1 if purpose == "order" else -1]
    if isinstance(sealed, dict) and "contract" in sealed:
        refuse_other_version(sealed, sender, receiver)
    if not is_sealed(sealed) or not isinstance(sealed, dict):
        raise MessageError(f"not signed, and host '{host}' has a key", cause="unsigned")
    text, mac = sealed["text"], sealed["mac"]
    if set(sealed) != {"contract", "host", "text", "mac"} or not isinstance(text, str):
        raise MessageError("not a signed message: it has other fields", cause="malformed")
    if sealed["host"] != host:
        raise MessageError(
            f"signed for host '{sealed['host']!s:.80}', not for '{host}'", cause="foreign"
        )
    if not key.fits(purpose, host, text.encode(errors="replace"), mac):
        raise MessageError(
            f"the signature does not fit key {key.fingerprint} of host '{host}': it was altered on its "
            "way, or signed with another key",
            cause="altered",
        )
    return text


def fingerprint(content: object) -> str:
    """What tells one message from all others, as it came: 32 hex digits.

    Of a message that nobody has signed nothing is certain, so its nonce will do.
    """
    match content:
        case {"contract": contract, "host": str(host), "text": str(body), "mac": str(mac)}:
            text = f"{contract}\0{host}\0{mac}\0{body}"
        case {"nonce": str(nonce)}:
            text = nonce
        case _:
            text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


def read_key(path: Path) -> HostKey:
    """The key in a file. Raises KeyFileError when it is not one, or when others can read it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if why := _why_unsafe(status):
                raise KeyFileError(f"{path}: {why}; chown it to who uses it, and chmod 600")
            text = file.read(1000).decode("ascii", errors="replace").strip()
    except OSError as error:
        raise KeyFileError(
            f"key {path} cannot be read: {error.strerror}; `tonnage keys make` makes keys"
        ) from error
    if not _SECRET.fullmatch(text):
        raise KeyFileError(
            f"{path} is not a key: 64 hex digits are wanted; `tonnage keys make` makes it"
        )
    return HostKey(bytes.fromhex(text))


def _why_unsafe(status: os.stat_result) -> str | None:
    """Read by its owner alone; root may lend its own to a group, as service managers do."""
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        return "not a file"
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {status.st_uid}, who can change it"
    if mode & (0o037 if status.st_uid == 0 else 0o077):
        return f"others can read or change it (mode {mode:04o})"
    return None


def host_key(path: Path, host: str) -> HostKey:
    """The key of a host: in a file, or in a folder as NAME.key. Raises KeyFileError."""
    return read_key(_file_of(path, host) if path.is_dir() else path)


def _file_of(folder: Path, host: str) -> Path:
    try:
        return folder / f"{plain_name(host)}{_SUFFIX}"
    except ValueError as error:
        raise KeyFileError(f"no key for host {host!r:.80}: a name is {error}") from error


class Keys:
    """A coordinator's folder of keys, NAME.key for each host; each is read once."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise KeyFileError(f"{folder} is not a folder of keys; `tonnage keys make` makes one")
        self.folder = folder
        self._known: dict[str, HostKey] = {}

    def of(self, host: str) -> HostKey:
        """Raises KeyFileError for a host that has none."""
        if host not in self._known:
            self._known[host] = read_key(_file_of(self.folder, host))
        return self._known[host]


def make_keys(folder: Path, hosts: Iterable[str], *, replace: bool = False) -> list[Path]:
    """Write a new key for every host, mode 0600. Raises KeyFileError, before any, where one is there."""
    paths = [_file_of(folder, host) for host in dict.fromkeys(hosts)]
    there = [path for path in paths if path.exists()]
    if there and not replace:
        raise KeyFileError(f"{there[0]} is there already; --replace makes another in its place")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in paths:
            _write_key(path)
    except OSError as error:
        raise KeyFileError(f"keys cannot be written to {folder}: {error.strerror}") from error
    return paths


def _write_key(path: Path) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    new.replace(path)


def list_keys(folder: Path) -> dict[str, HostKey | KeyFileError]:
    """By host, its key or what is wrong with its file."""
    found: dict[str, HostKey | KeyFileError] = {}
    for path in sorted(Keys(folder).folder.glob(f"*{_SUFFIX}")):
        try:
            found[path.name.removesuffix(_SUFFIX)] = read_key(path)
        except KeyFileError as error:
            found[path.name.removesuffix(_SUFFIX)] = error
    return found
