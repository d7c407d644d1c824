"""Celery's consumer with a guard before it: what is no order is put on record, and goes no further."""

import logging
import time
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer  # noqa: TID251 - one of the few places
from kombu import compression

from contract.broker import connect
from contract.errors import BrokerError, KeyFileError, MessageError
from contract.refusals import plain_text, record_refusal, refusal_of
from contract.wire import queue_for
from workers.events import tell
from workers.intake import take_in

log = logging.getLogger("tonnage.worker")

NONSENSE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What the transport raises for what it cannot take apart."""

AGAIN_AFTER_S = 0.2
"""Whoever floods the queue shall not have the worker spin."""


class GuardedConsumer(Consumer):  # type: ignore[misc]
    """Reads the worker's queues."""

    loop: Callable[..., Any]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        _refuse_compressed()
        self._read_on, self.loop = self.loop, self._guarded_loop

    def _guarded_loop(self, *given: Any) -> Any:
        """Reading messages. What is not even a message kills Celery's loop: here it begins anew."""
        try:
            return self._read_on(*given)
        except NONSENSE as error:
            what = f"what is not even a message: {type(error).__name__} {error!s:.80}"
            self._put_on_record(MessageError(what, cause="surface"))
            time.sleep(AGAIN_AFTER_S)
            raise ConnectionResetError("begin anew") from error

    def create_task_handler(self, *given: Any, **named: Any) -> Callable[[Any], Any]:
        """What is called with every message."""
        go_on = super().create_task_handler(*given, **named)

        def on_message(message: Any) -> Any:
            try:
                take_in(message)
            except MessageError as error:
                self._refuse(message, error)
                return None
            return go_on(message)

        return on_message

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A message that kombu could not even unpack."""
        what = f"what cannot be unpacked: {exc!s:.80}"
        self._refuse(message, MessageError(f"around an order stands {what}", cause="surface"))

    def _refuse(self, message: Any, error: MessageError) -> None:
        message.ack_log_error(log, self.connection_errors)
        self._put_on_record(error, (message.delivery_info or {}).get("routing_key"))

    def _put_on_record(self, error: MessageError, came_by: object = None) -> None:
        from workers.app import config

        what = f"message refused ({error.cause}): {plain_text(str(error))}"
        tell("message_refused", what, level=logging.WARNING, cause=error.cause)
        names = [host.name for host in config.hosts]
        host = next((name for name in names if came_by == queue_for(name)), names[0])
        try:
            with connect(config.broker) as client:
                record_refusal(client, refusal_of(error, host), config.keys().get(host))
        except (BrokerError, KeyFileError) as why:
            log.warning("and not put on record: %s", why)


def _refuse_compressed() -> None:
    """Have kombu unpack nothing: it would do so before anybody asks, however much comes out."""

    def refuse(_: bytes) -> bytes:
        raise MessageError("compressed", cause="surface")

    for kind in compression.encoders():
        compression.register(refuse, refuse, kind)
