"""One message at a time from RabbitMQ: the next one stays in its queue while a trial is measured.

Celery acknowledges a message when its task begins, and RabbitMQ then sends the next one at once. That
one would be in no queue and have no lease: the coordinator would count it as lost, and a worker that
dies would take it along for as long as its connection lives. Celery's own remedy is for Redis only.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery.bootsteps import StartStopStep  # noqa: TID251 - for workers/app.py
from celery.worker.request import Request  # noqa: TID251

log = logging.getLogger("tonnage.worker")


class Turnstile:
    """Stops consuming before a message is acknowledged, and goes on when its task has ended."""

    def __init__(self) -> None:
        self._busy = False
        self._consumer: Any = None
        self._consume: Callable[[], object] = lambda: None

    def guard(self, consumer: Any) -> None:
        """Take over a consumer: the first one, or that of a new connection, even while a trial runs."""
        self._consumer, self._consume = consumer, consumer.consume
        consumer.consume = self._consume_when_free

    def close(self) -> None:
        """No message from now on."""
        self._busy = True
        self._try(self._consumer.cancel)

    def open(self) -> None:
        """The next one may come."""
        self._busy = False
        self._try(self._consume)

    def _consume_when_free(self, *_: object, **__: object) -> None:
        if not self._busy:
            self._consume()

    def _try(self, call: Callable[[], object]) -> None:
        """A connection that is lost is made again by Celery, which then consumes anew."""
        try:
            call()
        except self._consumer.connection.recoverable_connection_errors as error:
            log.warning("broker: %s", error)


turnstile = Turnstile()
"""Of this process, which has one consumer."""


class OneMessageStep(StartStopStep):  # type: ignore[misc]
    """Puts the turnstile in front of the consumer, on every new connection."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Called by Celery once the consumer is there and before it takes anything."""
        turnstile.guard(parent.task_consumer)


class OneMessageRequest(Request):  # type: ignore[misc]
    """A message that is acknowledged when its task begins, behind a closed turnstile.

    For tasks that Celery takes for acknowledged late: so it tells us of their end, however that comes.
    """

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """The child has begun."""
        turnstile.close()
        super().on_accepted(pid, time_accepted)
        super().acknowledge()

    def acknowledge(self) -> None:
        """The task has ended, or was refused before it began."""
        super().acknowledge()
        turnstile.open()

    def reject(self, requeue: bool = False) -> None:
        """As ``acknowledge``."""
        super().reject(requeue)
        turnstile.open()
