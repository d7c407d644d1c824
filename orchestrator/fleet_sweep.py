"""Having the workers of a fleet sweep their hosts, through the broker."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from contract.broker import broker_errors, connect
from contract.broker_clock import BrokerClock
from contract.errors import MessageError
from contract.signing import Keys, fingerprint
from contract.sweeping import SweepAnswer, SweepOrder, answer_key
from orchestrator.dispatch_celery import send_orders
from orchestrator.trust import Trust

LISTEN_EVERY_S = 2.0


@dataclass(slots=True)
class Swept:
    """What came of it: every host that was asked is in one of them, or has not answered."""

    answers: dict[str, SweepAnswer] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """By host, why it did not take the order."""


class FleetSweep:
    """One sweep of some hosts, each by its own worker after the trial that it is at."""

    def __init__(self, broker: str, hosts: list[str], keys: Keys | None = None) -> None:
        self._broker = broker
        self._hosts = hosts
        self._client = connect(broker)
        self._trust = Trust(self._client, keys)
        self._answer_to = uuid.uuid4().hex
        self._sent: dict[str, str] = {}

    def run(self, *, dry_run: bool, wait_s: float, note: Callable[[str], None]) -> Swept:
        """Ask, and wait for answers. What is not to be believed is told to ``note``.

        Raises BrokerError, and KeyFileError for a host that has no key where others have.
        """
        self._trust.note = note
        swept, give_up = Swept(), time.monotonic() + wait_s
        with broker_errors(self._broker):
            self._ask(dry_run=dry_run)
            while set(self._hosts) - {*swept.answers, *swept.refused}:
                if (left_s := give_up - time.monotonic()) <= 0:
                    break
                self._hear(swept, max(0.1, min(LISTEN_EVERY_S, left_s)))
        return swept

    def _ask(self, *, dry_run: bool) -> None:
        clock, bodies = BrokerClock(self._client), {}
        for host in self._hosts:
            order = SweepOrder(
                host=host,
                dry_run=dry_run,
                answer_to=self._answer_to,
                issued_at_ns=clock.now_ns(),
                nonce=uuid.uuid4().hex,
            )
            bodies[host] = self._trust.body(host, order)
        send_orders(self._broker, bodies)
        self._sent = {host: fingerprint(body) for host, body in bodies.items()}

    def _hear(self, swept: Swept, wait_s: float) -> None:
        """Take the next answer, if one comes; then see who has refused."""
        came = self._client.blpop([answer_key(self._answer_to)], timeout=wait_s)
        if came is not None:
            answer = self._opened(came[1])
            if answer is not None:
                swept.answers[answer.host] = answer
        self._trust.listen()
        for host, order in self._sent.items():
            if why := self._trust.why_refused(host, order):
                swept.refused[host] = why

    def _opened(self, text: bytes) -> SweepAnswer | None:
        try:
            opened, signer = self._trust.opened("answer", text)
            answer = SweepAnswer.model_validate_json(opened)
            if signer not in (None, answer.host):
                raise MessageError(f"host '{signer}' speaks for host '{answer.host}'", cause="foreign")
            if answer.answer_to != self._answer_to or answer.host not in self._hosts:
                raise MessageError("it belongs to another sweep", cause="foreign")
        except ValidationError as error:
            self._trust.refuse(MessageError(f"not an answer: {error!s:.200}"), "an answer to a sweep")
        except MessageError as error:
            self._trust.refuse(error, "an answer to a sweep")
        else:
            return answer
        return None
