"""Handing a part to its campaign: inside the completion record, or through a place that all share."""

import hashlib
import json
from collections.abc import Mapping

import redis
from pydantic import BaseModel

from contract import wire
from contract.errors import BrokerError, PartTooLarge
from contract.parts import PackedPart, TrialRecord, pack_part, part_name, read_part
from contract.rows import Rows
from contract.shared_parts import shared_parts
from contract.signing import HostKey, Purpose, seal
from contract.trial import Receipt
from workers.discover import find_experiment


def receipt_of(data: bytes, attempt: int) -> Receipt:
    """The receipt of a part that is at hand as bytes."""
    record = read_part(data).record
    return Receipt(
        trial_id=record.trial.trial_id,
        attempt=attempt,
        host=record.trial.host,
        outcome=record.outcome,
        verdict=record.verdict,
        reasons=record.reasons,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
    )


def see_that_it_fits(size_bytes: int, place: str) -> None:
    """Raises PartTooLarge for a part that its completion record cannot carry."""
    if not place and size_bytes > wire.MAX_MESSAGE_PART_BYTES:
        raise PartTooLarge(
            f"a part of {size_bytes / 2**20:.0f} MiB is too large for a message "
            f"({wire.MAX_MESSAGE_PART_BYTES // 2**20} MiB at most): give the campaign a 'results' that "
            "all hosts reach (a shared path or s3://BUCKET/PREFIX), or measure less per trial"
        )


def stand_in(packed: PackedPart, why: PartTooLarge) -> PackedPart:
    """What is delivered instead of a part that is too large: a failed record that says so.

    Its attempt is 0, so that the next run asks for the trial again, and a campaign that names a place
    by then gets the part from the spool.
    """
    record = read_part(packed.data).record
    experiment = find_experiment(record.trial.experiment)
    rows = experiment.plan_rows(experiment.Params.model_validate(record.trial.params))
    for row in rows:
        row.outcome, row.error_class, row.error_text = "lost", why.code, str(why)
    changes = {"attempt": 0, "outcome": "failed", "verdict": "invalid", "reasons": (str(why),)}
    changes |= {"error_class": why.code, "error_text": str(why)}
    return pack_part(TrialRecord.model_validate(record.model_dump() | changes), Rows(rows))


class Courier:
    """Hands things to whoever waits for them at the broker, signed where the host has a key."""

    def __init__(self, client: "redis.Redis[bytes]", keys: Mapping[str, HostKey]) -> None:
        self._client = client
        self._keys = keys

    def signed(self, purpose: Purpose, host: str, content: BaseModel) -> str:
        """The content as JSON, inside a signed envelope if the host has a key."""
        key, text = self._keys.get(host), content.model_dump_json()
        return text if key is None else json.dumps(seal(key, purpose, host, text))

    def deliver(self, receipt: Receipt, data: bytes, campaign: str, place: str = "") -> None:
        """Append the completion record to the campaign's stream; the part in it, or at ``place`` first.

        What is signed is the receipt, which holds the part's SHA-256. Raises BrokerError, ResultsError
        when the place does not answer, PartTooLarge.
        """
        see_that_it_fits(len(data), place)
        fields: dict[str | bytes, bytes | float | int | str] = {
            "receipt": self.signed("record", receipt.host, receipt)
        }
        if place:
            shared_parts(place, campaign).put(part_name(receipt.trial_id, receipt.attempt), data)
        else:
            fields["part"] = data
        stream = wire.stream_key(campaign)
        try:
            pipe = self._client.pipeline(transaction=False)
            pipe.xadd(stream, dict(fields))
            pipe.expire(stream, wire.STREAM_TTL_S)
            pipe.execute()
        except redis.RedisError as error:
            raise BrokerError(f"a part could not be delivered: {error}") from error


def deliver(
    client: "redis.Redis[bytes]", receipt: Receipt, data: bytes, campaign: str, place: str = ""
) -> None:
    """The same by a host that has no key."""
    Courier(client, {}).deliver(receipt, data, campaign, place)
