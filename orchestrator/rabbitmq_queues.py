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
        with app.connection_for_write() as link:
            return [_length(link, queue) for queue in queues]
    except (AMQPError, OperationalError, OSError) as error:
        raise BrokerError(f"RabbitMQ does not say what waits in its queues: {error}") from error


def _length(link: Any, queue: str) -> int:
    """A passive declaration changes nothing, and answers with the number of messages that are ready."""
    try:
        return int(link.default_channel.queue_declare(queue, passive=True).message_count)
    except NotFound:
        link.close()  # RabbitMQ has closed the channel; the next question opens another
        return 0
