"""Our own connection to Redis: bounded waits, no silent retries, plain-worded errors."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from contract.errors import BrokerError

# Not by parsing: a URL that cannot be parsed may hold a password too.
_USER_PASSWORD = re.compile(r"^((?:[^/@]*://)?[^:@/]*:(?!//)).*@", re.DOTALL)
_QUERY_PASSWORD = re.compile(r"(password=)[^&]*", re.IGNORECASE)


def connect(url: str) -> "redis.Redis[bytes]":
    """A client whose every wait is bounded. Raises BrokerError when the broker does not answer."""
    options: dict[str, Any] = {} if url.startswith("unix") else {"socket_keepalive": True}
    try:
        client: redis.Redis[bytes] = redis.Redis.from_url(
            url, socket_timeout=15, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0), **options
        )
        with broker_errors(url):
            client.ping()
    except (ValueError, TypeError) as error:  # their texts may hold a piece of the password
        raise BrokerError(
            f"not a broker's URL: {without_password(url)}; one looks like redis://HOST:6379/0, and "
            "a password in it has '/', '#', '?' and '@' written as %2F, %23, %3F and %40"
        ) from error
    return client


@contextmanager
def broker_errors(url: str) -> Iterator[None]:
    """Turn the client's errors into BrokerError, leaving the password out."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise BrokerError(
            f"broker {without_password(url)}: {error}; is Redis running, and reachable from here?"
        ) from error


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


def without_password(url: str) -> str:
    """The URL with its password, if any, left out."""
    return _QUERY_PASSWORD.sub(r"\1…", _USER_PASSWORD.sub(r"\1…@", url))
