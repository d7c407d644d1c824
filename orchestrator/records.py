"""Completion records of one campaign: what workers have put on its stream, as far as it is believed."""

import hashlib
from collections.abc import Iterable, Iterator

import redis

from contract import wire
from contract.errors import BrokerError, MessageError, PartError, ResultsError
from contract.parts import part_name
from contract.shared_parts import shared_parts
from contract.trial import Receipt, Trial
from orchestrator.dispatch import Delivery
from orchestrator.trust import Trust, claimed

AT_ONCE = 100
"""Completion records that are taken in one go."""


class Records:
    """Reads the stream. What is not ours, or not to be believed, is dropped and put on record."""

    def __init__(self, client: "redis.Redis[bytes]", campaign: str, results: str, trust: Trust) -> None:
        self._client = client
        self._stream = wire.stream_key(campaign)
        self._shared = shared_parts(results, campaign) if results else None
        self._trust = trust
        self._host_of: dict[str, str] = {}
        """The hosts of the trials that are planned."""
        self._last = b"0"
        self.read_to_end = 0
        """How often all completion records there were had been taken."""

    def expect(self, trials: Iterable[Trial]) -> None:
        """Of these trials nobody but their own hosts may speak."""
        self._host_of.update((trial.trial_id, trial.host) for trial in trials)

    def receive(self, wait_s: float) -> list[Delivery]:
        """Records since the last call; waits at most ``wait_s`` when there are none.

        Raises redis.RedisError, and BrokerError when the shared place does not answer.
        """
        block_ms = max(1, round(wait_s * 1000))
        found = self._client.xread({self._stream: self._last}, count=AT_ONCE, block=block_ms)
        deliveries, seen = [], 0
        for ticket, fields in _entries(found):
            seen += 1
            try:
                if (delivery := self._opened(ticket, fields)) is not None:
                    deliveries.append(delivery)
            except ResultsError as error:
                if deliveries:  # the rest is asked for again
                    break
                raise BrokerError(str(error)) from error
            self._last = ticket
        self.read_to_end += seen < AT_ONCE
        return deliveries

    def confirm(self, deliveries: list[Delivery]) -> None:
        """Take the records off the stream. Raises redis.RedisError."""
        self._client.xdel(self._stream, *(delivery.ticket for delivery in deliveries))

    def _opened(self, ticket: bytes, fields: dict[bytes, bytes]) -> Delivery | None:
        """What a record delivers; None for one that is dropped. Raises ResultsError."""
        text = fields.get(b"receipt", b"")
        try:
            receipt = self._trust.receipt(text)
            return Delivery(receipt, self._part(receipt, fields), ticket.decode())
        except PartError as error:
            self._drop(ticket, text, MessageError(str(error), cause="part"))
        except MessageError as error:
            self._drop(ticket, text, error)
        return None

    def _drop(self, ticket: bytes, receipt: bytes, why: MessageError) -> None:
        self._client.xdel(self._stream, ticket)
        self._trust.refuse(why, "a record", *claimed(receipt))

    def _part(self, receipt: Receipt, fields: dict[bytes, bytes]) -> bytes:
        """The part that the receipt is of, and no other; from its own host, and no other."""
        owner = self._host_of.get(receipt.trial_id, receipt.host)
        if owner != receipt.host:
            raise MessageError(
                f"host '{receipt.host}' speaks of a trial of host '{owner}'", cause="foreign"
            )
        data = fields[b"part"] if b"part" in fields else self._fetch(receipt)
        if len(data) != receipt.size_bytes or hashlib.sha256(data).hexdigest() != receipt.sha256:
            raise PartError("the part is not the one that the receipt is of")
        return data

    def _fetch(self, receipt: Receipt) -> bytes:
        """A part that its worker put into the shared place. Raises PartError when it is not there."""
        if self._shared is None:
            raise PartError("a record without a part, and no shared place to look for it")
        return self._shared.get(part_name(receipt.trial_id, receipt.attempt))


def _entries(found: object) -> "Iterator[tuple[bytes, dict[bytes, bytes]]]":
    """Entries of one stream from an XREAD answer, in its old (list) or new (mapping) form."""
    streams = found.items() if isinstance(found, dict) else (found or [])
    for _, entries in streams:  # type: ignore[attr-defined]
        batch = entries[0] if entries and isinstance(entries[0], list) else entries
        yield from batch
