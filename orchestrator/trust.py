"""Whom a coordinator believes: with a folder of keys hosts whose signature fits, else everybody."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from pydantic import BaseModel, ValidationError

from contract.errors import KeyFileError, MessageError
from contract.refusals import Entry, Refusal, RefusalReader, record_refusal
from contract.signing import Keys, Purpose, is_sealed, seal, unseal
from contract.trial import Receipt

NOT_AN_END = ("replayed", "surface")
"""Causes that say nothing of the order itself: another copy of it was taken, or it never arrived."""

MOST_NOTES = 50
"""So many are told of: who invents hosts shall not fill a person's screen."""


class Trust:
    """Signs orders, opens what comes back, and hears which orders were refused."""

    def __init__(self, client: "redis.Redis[bytes]", keys: Keys | None) -> None:
        self._client = client
        self._keys = keys
        self._reader = RefusalReader(client)
        self._refused: dict[str, Refusal] = {}
        """By fingerprint of the order."""
        self._noted: set[str] = set()
        self.note: Callable[[str], None] = lambda _: None
        """Who is told of what was not believed: once for each host."""

    def body(self, host: str, order: BaseModel) -> dict[str, Any]:
        """What an order's message carries. Raises KeyFileError for a host without key."""
        if self._keys is None:
            return order.model_dump(mode="json")
        return seal(self._keys.of(host), "order", host, order.model_dump_json())

    def opened(self, purpose: Purpose, text: bytes) -> tuple[str, str | None]:
        """What somebody says, and which host has signed it; None where nobody's signature is asked for.

        Raises MessageError when it is not to be believed.
        """
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MessageError(f"not JSON: {error!s:.80}") from error
        if self._keys is None:
            return str(said["text"]) if is_sealed(said) else text.decode(), None
        if not is_sealed(said):
            raise MessageError("not signed, although this coordinator has keys", cause="unsigned")
        host = str(said.get("host", ""))
        try:
            return unseal(self._keys.of(host), purpose, host, said), host
        except KeyFileError as error:
            raise MessageError(str(error), cause="unsigned") from error

    def receipt(self, text: bytes) -> Receipt:
        """The receipt of a completion record, by its own host. Raises MessageError."""
        opened, signer = self.opened("record", text)
        try:
            receipt = Receipt.model_validate_json(opened)
        except ValidationError as error:
            raise MessageError(f"not a receipt: {error!s:.200}") from error
        if signer not in (None, receipt.host):
            raise MessageError(f"host '{signer}' speaks for host '{receipt.host}'", cause="foreign")
        return receipt

    def refuse(self, error: MessageError, what: str, host: str = "", trial: str = "") -> None:
        """Put on record what was not believed, and have a person told."""
        refusal = Refusal(
            by="coordinator", host=host, cause=error.cause, text=f"{what}: {error}", trial=trial
        )
        record_refusal(self._client, refusal)
        self._tell(host, f"{what} of host {host or 'unknown'} is refused: {error}")

    def listen(self) -> None:
        """Take in what was refused since the last call."""
        for entry in self._reader.news():
            refusal = entry.refusal
            if refusal.by != "worker" or not refusal.message or refusal.cause in NOT_AN_END:
                continue
            if self._is_believed(entry):
                self._refused[refusal.message] = refusal
            else:
                self._tell(
                    refusal.host, f"somebody says in the name of host {refusal.host}: {refusal.text}"
                )

    def why_refused(self, host: str, order: str) -> str | None:
        """What the host has said against an order of ours, given its fingerprint."""
        refusal = self._refused.get(order)
        if refusal is None or refusal.host != host:
            return None
        return f"host {host} refused the order ({refusal.cause}): {refusal.text}"

    def forget(self, orders: set[str]) -> None:
        """Keep in mind only what concerns these orders."""
        self._refused = {order: r for order, r in self._refused.items() if order in orders}

    def _is_believed(self, entry: Entry) -> bool:
        if self._keys is None:
            return True
        try:
            return entry.is_of(self._keys.of(entry.refusal.host))
        except KeyFileError:
            return False

    def _tell(self, host: str, text: str) -> None:
        if host not in self._noted and len(self._noted) < MOST_NOTES:
            self._noted.add(host)
            self.note(f"{text}; more of it: `tonnage hosts --refused`")


def claimed(text: bytes) -> tuple[str, str]:
    """Host and trial that a record says it is of, true or not; empty where that cannot be read."""
    with suppress(ValueError, TypeError, LookupError, RecursionError):
        said = json.loads(text)
        inside = json.loads(said["text"]) if is_sealed(said) else said
        return str(inside["host"]), str(inside["trial_id"])
    return "", ""
