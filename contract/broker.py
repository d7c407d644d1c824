"""Our own connection to Redis: bounded waits, verified TLS, no silent retries, plain-worded errors."""

import logging
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from contract.broker_tls import tls_options
from contract.broker_urls import Endpoint, read_broker, without_password
from contract.errors import BrokerError

__all__ = ["IN_THE_CLEAR", "broker_errors", "clock_offset", "connect", "reach", "without_password"]

log = logging.getLogger("tonnage.broker")

IN_THE_CLEAR = "passwords and orders cross the network in the clear: use rediss://… or amqps://…"

CONNECT_S = 5
"""Longest wait for a connection; a broker that drops what it does not like never answers."""


def connect(broker: str) -> "redis.Redis[bytes]":
    """A client of the broker's Redis whose every wait is bounded.

    Raises BrokerError when it does not answer, is not who it must be, or does not know us. What passes
    a network in the clear is warned of, once per process.
    """
    end = read_broker(broker).state
    options: dict[str, Any] = {"username": end.user, "password": end.password, "db": end.database}
    if end.scheme == "unix":
        options |= {"unix_socket_path": end.place}
    else:
        options |= {"host": end.host, "port": end.port, "socket_keepalive": True}
    if end.is_encrypted:
        options |= {"ssl": True, "ssl_check_hostname": True, **tls_options(end)}
    client: redis.Redis[bytes] = redis.Redis(
        socket_timeout=15,
        socket_connect_timeout=CONNECT_S,
        retry=Retry(NoBackoff(), 0),
        **options,
    )
    _warn_of(end)
    try:
        with broker_errors(broker):
            client.ping()
    except BrokerError:
        client.close()
        raise
    return client


def reach(broker: str) -> None:
    """See that orders can be sent or taken, where they do not go through the Redis of ``connect``.

    Celery would try again for ever, whatever is wrong. Raises BrokerError.
    """
    wanted = read_broker(broker)
    if not wanted.by_rabbitmq:
        return
    from amqp.exceptions import AMQPError
    from kombu import Connection

    from contract.wire import celery_settings

    settings = celery_settings(broker)
    _warn_of(wanted.orders)
    link = Connection(
        settings["broker_url"], ssl=settings.get("broker_use_ssl", False), connect_timeout=CONNECT_S
    )
    try:
        transport = link.transport  # asked itself: the connection would wait, and try again
        transport.close_connection(transport.establish_connection())
    except (AMQPError, OSError) as error:
        raise BrokerError(_in_words(wanted.orders, error)) from error


@contextmanager
def broker_errors(broker: str) -> Iterator[None]:
    """Turn the client's errors into BrokerError, leaving passwords out."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise BrokerError(_in_words(read_broker(broker).state, error)) from error


def _in_words(end: Endpoint, error: Exception) -> str:
    """What went wrong, and what to do."""
    said = f"broker {end.shown}: {_without(end.password, str(error)).rstrip('.')}"
    name = "RabbitMQ" if end.scheme in ("amqp", "amqps") else "Redis"
    if isinstance(cause := _tls_error(error), ssl.SSLCertVerificationError):
        return (
            f"broker {end.shown}: its certificate is refused: {cause.verify_message}; the URL must name "
            "it as its certificate does, and ssl_ca_certs=/PATH/ca.pem the authority that has signed it"
        )
    if cause is not None:
        return f"{said}; it speaks no TLS there, or another one: is the port right?"
    if isinstance(error, redis.exceptions.NoPermissionError):
        return f"{said}; this user may not: see the table of users in docs/operations.md"
    if isinstance(error, redis.AuthenticationError) or "ACCESS_REFUSED" in str(error):
        return f"{said}; are user and password those of {name}?"
    return f"{said}; is {name} running, and reachable from here{_doubt(end, error)}?"


def _doubt(end: Endpoint, error: Exception) -> str:
    """What else it may be that a broker hangs up, or never answers a greeting."""
    if end.is_encrypted:
        return ", and does it speak TLS there" * isinstance(error, TimeoutError | redis.TimeoutError)
    lost = isinstance(error, ConnectionResetError) or re.search("closed|reset", str(error))
    return ", and does it want TLS (rediss:// or amqps://)" if lost else ""


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error that another was made of, when there is one."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _without(secret: str | None, text: str) -> str:
    return text.replace(secret, "…") if secret else text


def _warn_of(end: Endpoint) -> None:
    if end.is_in_the_clear:
        _warn_once(end.shown)


@cache
def _warn_once(shown: str) -> None:
    log.warning("broker %s: %s", shown, IN_THE_CLEAR)


def clock_offset(client: "redis.Redis[bytes]", now_ns: Callable[[], int]) -> tuple[int, int]:
    """Broker's clock minus ours, and its error bound (half the best round trip), ns.

    The exchange with the shortest round trip of eight is used (Cristian's algorithm, 1989).
    """
    best: tuple[int, int] | None = None
    for _ in range(8):
        before = now_ns()
        seconds, micros = client.time()
        after = now_ns()
        error = (after - before) // 2
        if best is None or error < best[1]:
            best = (seconds * 10**9 + micros * 1000 - (before + after) // 2, error)
    assert best is not None
    return best
