"""How many messages wait in queues of RabbitMQ, asked as any client may, without its management."""

from typing import Any

from amqp.exceptions import AMQPError, NotFound
from kombu.exceptions import OperationalError

from contract.errors import BrokerError


def rabbitmq_lengths(app: Any, queues: list[str]) -> list[int]:
    """Messages of each queue that no worker has taken; 0 for one that is not there.

    ``app`` is the Celery app that sends there. Raises BrokerError.
    """
    try:
        with app.connection_or_acquire() as link:
            link.ensure_connection(max_retries=1)
            return _Asking(link).lengths(queues)
    except (AMQPError, OperationalError, OSError) as error:
        raise BrokerError(f"RabbitMQ does not say what waits in its queues: {error}") from error


class _Asking:
    """A channel of its own, since RabbitMQ closes the one on which a queue is asked for in vain."""

    def __init__(self, link: Any) -> None:
        self._link = link
        self._channel = link.channel()

    def lengths(self, queues: list[str]) -> list[int]:
        try:
            return [self._length(queue) for queue in queues]
        finally:
            self._channel.close()

    def _length(self, queue: str) -> int:
        """A passive declaration changes nothing, and answers with the messages that are ready."""
        try:
            return int(self._channel.queue_declare(queue, passive=True).message_count)
        except NotFound:
            self._channel = self._link.channel()
            return 0
