"""A worker's lease on a trial: renewed from a side thread, which also hears when the trial is to end."""

import json
import logging
import threading
import time
import uuid
from contextlib import suppress
from types import TracebackType
from typing import Self

import redis

from contract import wire
from contract.message import Message
from workers.events import tell

log = logging.getLogger("tonnage.worker")

RENEW_S = 3.0


class TrialLease:
    """Context manager around one attempt at a trial. ``taken`` says whether the trial is ours."""

    def __init__(self, client: "redis.Redis[bytes]", message: Message) -> None:
        self._client = client
        self._key = wire.lease_key(message.host, message.trial.trial_id)
        self._begun_key = wire.begun_key(message.host, message.trial.trial_id, message.attempt)
        self._token = uuid.uuid4().hex
        self._cancel_key = wire.cancel_key(message.run)
        self._activity_key = wire.activity_key(message.host)
        what = {"trial": message.trial.trial_id, "experiment": message.trial.experiment}
        what |= {"driver": message.trial.driver, "profile": message.trial.profile}
        self._activity = json.dumps(what | {"since_ns": time.time_ns()})
        self._cancelled = threading.Event()
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="lease", daemon=True)
        self.taken = False

    def cancelled(self) -> bool:
        """Whether somebody asked for the trial to end at once, as of the last renewal."""
        return self._cancelled.is_set()

    def __enter__(self) -> Self:
        try:
            self.taken = bool(self._client.set(self._key, self._token, nx=True, ex=wire.LEASE_TTL_S))
            if self.taken:
                self._client.set(self._begun_key, 1, ex=wire.BEGUN_TTL_S)
        except redis.RedisError as error:
            log.warning("lease of %s: %s; going on without", self._key, error)
            self.taken = True
        if self.taken:
            self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.taken:
            return
        self._ended.set()
        self._renewer.join(timeout=5)
        with suppress(redis.RedisError):
            self._client.delete(self._key, self._activity_key, self._begun_key)

    def _renew(self) -> None:
        renewed_at, told = time.monotonic(), False
        while not self._ended.is_set():
            with suppress(redis.RedisError):  # a broker that is away has not asked for anything
                pipe = self._client.pipeline(transaction=False)
                pipe.set(self._key, self._token, ex=wire.LEASE_TTL_S)
                pipe.set(self._activity_key, self._activity, ex=wire.LEASE_TTL_S)
                pipe.get(self._cancel_key)
                if pipe.execute()[-1] == wire.CANCEL_NOW:
                    self._cancelled.set()
                renewed_at, told = time.monotonic(), False
            if time.monotonic() - renewed_at > wire.LEASE_TTL_S and not told:
                tell("lease_lost", f"{self._key}: not renewed in time", level=logging.WARNING)
                told = True
            self._ended.wait(RENEW_S)
