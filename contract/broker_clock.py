"""The broker's clock, by which the age of a message is told: hosts' own may be hours apart."""

import time
from contextlib import suppress

import redis

from contract.broker import clock_offset

COMPARE_EVERY_S = 60.0
"""How often it is asked for, which takes eight round trips."""


class BrokerClock:
    """Reads it through a clock of ours that nobody sets, compared with it now and then."""

    def __init__(self, client: "redis.Redis[bytes]") -> None:
        self._client = client
        self._offset_ns: int | None = None
        self._compared_at = 0.0

    def now_ns(self) -> int:
        """Nanoseconds since 1970. Raises redis.RedisError when it was never to be had."""
        now = time.monotonic()
        if self._offset_ns is None:
            self._compare()
        elif now - self._compared_at > COMPARE_EVERY_S:
            with suppress(redis.RedisError):  # the last comparison will do
                self._compare()
        assert self._offset_ns is not None
        return time.monotonic_ns() + self._offset_ns

    def _compare(self) -> None:
        self._offset_ns, _ = clock_offset(self._client, time.monotonic_ns)
        self._compared_at = time.monotonic()
