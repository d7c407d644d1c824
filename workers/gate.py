"""What a worker believes: with a key, orders that are signed for this host, fresh, and taken once."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import redis

from contract.errors import MessageError
from contract.signing import MAX_AHEAD_S, MAX_MESSAGE_AGE_S, HostKey, is_sealed, unseal

MAX_NONCES = 100_000
"""So many orders are remembered, which nobody but the coordinator can add to."""


class Gate:
    """Opens orders and remembers which it has let in. Without keys it lets in what is not signed."""

    def __init__(
        self,
        keys: Mapping[str, HostKey],
        now_ns: Callable[[], int],
        max_age_s: float = MAX_MESSAGE_AGE_S,
    ) -> None:
        self._keys = keys
        self._now_ns = now_ns
        self._max_age_s = max_age_s
        self._taken: OrderedDict[tuple[str, str], int] = OrderedDict()

    def open(self, body: object, host: str) -> Any:
        """What is asked for, as JSON says it. Raises MessageError for what is not to be believed."""
        key = self._keys.get(host)
        if key is not None:
            text = unseal(key, "order", host, body)
            try:
                return json.loads(text)
            except ValueError as error:
                raise MessageError(f"not JSON, although it is signed: {error}") from error
        if is_sealed(body):
            raise MessageError(
                f"the order is signed, and host '{host}' has no key: give its worker one with --key",
                cause="no_key",
            )
        return body

    def let_in(self, host: str, issued_at_ns: int, nonce: str) -> None:
        """Raises MessageError for an order that was taken before, is too old, or is not of now."""
        if host not in self._keys:
            return
        if (host, nonce) in self._taken:
            raise MessageError("this order has been taken already", cause="replayed")
        age_s = (self._now() - issued_at_ns) / 1e9
        if age_s > self._max_age_s:
            raise MessageError(
                f"the order is {age_s:.0f} s old, {self._max_age_s:g} s are allowed (--max-message-age)",
                cause="too_old",
            )
        if age_s < -MAX_AHEAD_S:
            raise MessageError(
                f"the order is of {-age_s:.0f} s in the future by the broker's clock", cause="future"
            )
        self._taken[host, nonce] = issued_at_ns
        self._forget(issued_at_ns)

    def _now(self) -> int:
        try:
            return self._now_ns()
        except redis.RedisError as error:
            raise MessageError(
                f"how old the order is cannot be told, the broker's clock is away: {error}",
                cause="too_old",
            ) from error

    def _forget(self, now_ns: int) -> None:
        """What is so old that it would be refused for that, and the oldest of too many."""
        horizon_ns = now_ns - round((self._max_age_s + 2 * MAX_AHEAD_S) * 1e9)
        while self._taken:
            first = next(iter(self._taken))
            if self._taken[first] >= horizon_ns and len(self._taken) <= MAX_NONCES:
                return
            del self._taken[first]
