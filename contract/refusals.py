"""Messages that were refused: a short stream on the broker, for people, and for whoever sent them."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any, Literal

import redis
from pydantic import AfterValidator, Field, ValidationError

from contract import CONTRACT_VERSION, wire
from contract.campaign import Frozen
from contract.errors import MessageError
from contract.plain_text import printable
from contract.signing import HostKey, is_sealed
from contract.trial import Trial

MAX_KEPT = 10_000
"""So many are kept, about: the oldest go first."""

MAX_TEXT = 600

AT_ONCE = 2_000
"""So many are read in one go: whoever floods the stream shall not keep a coordinator from its work."""

CAUSES = {
    "unsigned": "it is not signed, and who got it has a key",
    "altered": "its signature does not fit: changed on its way, or signed with another key",
    "foreign": "it is for, or of, another host",
    "too_old": "it was issued longer ago than a message may be old",
    "future": "it was issued later than now",
    "replayed": "it has been taken once already",
    "no_key": "it is signed, and who got it has no key",
    "version": "another release of Tonnage has written it",
    "malformed": "it is not what it should be",
    "surface": "around it stood what would act on a worker: another task, a time, a callback, a format",
    "policy": "its part would go where the host's policy lets none go",
    "part": "the part that came with a record is another one",
}
"""Why a message was refused, in short and in words."""


def plain_text(text: str) -> str:
    """Cut short, and without what a terminal would obey: it may be an attacker's."""
    return printable(text[:MAX_TEXT]).replace("\n", " ")


PlainText = Annotated[str, AfterValidator(plain_text)]


class Refusal(Frozen):
    """One message that was not believed. Run and trial are as it claimed: nobody has verified them."""

    contract: int = CONTRACT_VERSION
    by: Literal["worker", "coordinator"]
    host: PlainText
    """Whose worker refused it, or whose record was refused."""
    cause: PlainText
    text: PlainText
    run: PlainText = ""
    trial: PlainText = ""
    message: str = Field("", max_length=64)
    """``contract.signing.fingerprint`` of it; empty where it says nothing of what became of an order."""


class Entry(Frozen):
    """A refusal as it is read: when by the broker's clock, and its signature if any."""

    refusal: Refusal
    at_s: float
    text: str
    mac: str = ""

    def is_of(self, key: HostKey) -> bool:
        """Whether the host whose key it is has said so."""
        return key.fits("refusal", self.refusal.host, self.text.encode(), self.mac)


def refusal_of(error: MessageError, host: str, content: object = None, message: str = "") -> Refusal:
    """What a worker says of a message; run and trial are taken from it where they can be seen."""
    claimed = _claimed(content)
    return Refusal(
        by="worker",
        host=host,
        cause=error.cause,
        text=str(error),
        run=str(claimed.get("run", ""))[:64],
        trial=_claimed_trial(claimed.get("trial")),
        message=message,
    )


def _claimed(content: object) -> dict[str, Any]:
    """The inside of what may be signed, without asking whether the signature fits."""
    if is_sealed(content) and isinstance(content, dict):
        with suppress(ValueError, TypeError, RecursionError):
            content = json.loads(content["text"])
    return content if isinstance(content, dict) else {}


def _claimed_trial(content: object) -> str:
    with suppress(ValidationError):
        return Trial.model_validate(content).trial_id
    return ""


def record_refusal(client: "redis.Redis[bytes]", refusal: Refusal, key: HostKey | None = None) -> None:
    """Add it to the stream. A broker that does not take it is no reason to fail."""
    text = refusal.model_dump_json()
    fields = {"refusal": text}
    if key is not None:
        fields["mac"] = key.mac("refusal", refusal.host, text.encode())
    with suppress(redis.RedisError):
        client.xadd(wire.REFUSED, dict(fields), maxlen=MAX_KEPT, approximate=True)


def last_refusals(client: "redis.Redis[bytes]", count: int = MAX_KEPT) -> list[Entry]:
    """The latest ones, the oldest of them first. What is no refusal is left out."""
    return list(_read(reversed(client.xrevrange(wire.REFUSED, count=count))))


class RefusalReader:
    """What is refused from now on."""

    def __init__(self, client: "redis.Redis[bytes]") -> None:
        self._client = client
        last: list[Any] = client.xrevrange(wire.REFUSED, count=1)
        self._last = last[0][0].decode() if last else "0-0"

    def news(self) -> list[Entry]:
        """Those since the last call: one command when there are none."""
        entries = self._client.xrange(wire.REFUSED, min="(" + self._last, count=AT_ONCE)
        if entries:
            self._last = entries[-1][0].decode()
        return list(_read(iter(entries)))


def _read(entries: Iterator[tuple[bytes, dict[bytes, bytes]]]) -> Iterator[Entry]:
    for ticket, fields in entries:
        try:
            text = fields[b"refusal"].decode()
            at_s = int(ticket.partition(b"-")[0]) / 1000
            refusal = Refusal.model_validate_json(text)
            yield Entry(refusal=refusal, at_s=at_s, text=text, mac=fields.get(b"mac", b"").decode())
        except (ValidationError, KeyError, ValueError):
            continue
