"""Who has entered the token: sessions in memory, a cookie in the browser."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict

LASTS_S = 12 * 3600
"""After this the token has to be entered again."""
MOST_SESSIONS = 100
COOKIE = "tonnage_session"


class Sessions:
    """The sessions of one server; they end with it. Without a token nobody can open one."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._ends: OrderedDict[str, float] = OrderedDict()

    @property
    def possible(self) -> bool:
        """Whether there is a token that can be entered."""
        return self._token is not None

    def open(self, given: str) -> str | None:
        """A new session's id for whoever gives the token; None for anything else."""
        if self._token is None or not hmac.compare_digest(_digest(given), _digest(self._token)):
            return None
        session = secrets.token_urlsafe(32)
        self._ends[_key(session)] = time.monotonic() + LASTS_S
        while len(self._ends) > MOST_SESSIONS:
            self._ends.popitem(last=False)
        return session

    def knows(self, session: str | None) -> bool:
        """Whether this session was opened here and has not ended."""
        return session is not None and self._ends.get(_key(session), 0) > time.monotonic()

    def close(self, session: str | None) -> None:
        """End a session."""
        if session is not None:
            self._ends.pop(_key(session), None)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _key(session: str) -> str:
    """Looked up by digest, so that how long the search takes says nothing about ids."""
    return hashlib.sha256(session.encode()).hexdigest()
