"""A lease that cannot be renewed is told of once, and only when it has run out."""

import threading
from typing import Any, cast

import pytest
import redis
from scripted_fleet import Clock
from trials import make_trial

import workers.lease
from contract import wire
from contract.message import Message
from workers.lease import TrialLease


class Away:
    """A broker that gave the lease and then went away; comes back when told."""

    def __init__(self, clock: Clock, try_s: float) -> None:
        self._clock, self._try_s = clock, try_s
        self.is_away = True
        self.asked = threading.Semaphore(0)

    def set(self, *_: Any, **__: Any) -> bool:
        return True

    def delete(self, *_: Any) -> None:
        raise redis.ConnectionError

    def pipeline(self, **_: Any) -> "Away":
        return self

    def get(self, *_: Any) -> None:
        """Part of a pipeline."""

    def execute(self) -> list[None]:
        self._clock.sleep(self._try_s)
        self.asked.release()
        if self.is_away:
            raise redis.ConnectionError
        return [None]

    def wait_for(self, times: int) -> None:
        for _ in range(times):
            assert self.asked.acquire(timeout=30)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(workers.lease, "time", made)
    monkeypatch.setattr(workers.lease, "RENEW_S", 0.001)
    return made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    heard: list[str] = []
    monkeypatch.setattr(workers.lease, "tell", lambda event, *_, **__: heard.append(event))
    return heard


def lease_of(broker: Away) -> TrialLease:
    trial = make_trial(host="h1")
    message = Message(run="0" * 32, host="h1", attempt=1, issued_at_ns=1, nonce="n" * 16, trial=trial)
    return TrialLease(cast("Any", broker), message)


def test_a_lease_that_ran_out_is_told_once_per_absence(told: list[str], clock: Clock) -> None:
    broker = Away(clock, try_s=wire.LEASE_TTL_S * 0.6)
    with lease_of(broker):
        broker.wait_for(6)
        assert told == ["lease_lost"]
        broker.is_away = False
        broker.wait_for(3)
        broker.is_away = True
        broker.wait_for(6)
    assert told == ["lease_lost"] * 2


def test_a_short_absence_is_no_loss(told: list[str], clock: Clock) -> None:
    broker = Away(clock, try_s=wire.LEASE_TTL_S / 100)
    broker.is_away = True
    with lease_of(broker):
        broker.wait_for(20)
        broker.is_away = False
        broker.wait_for(200)
    assert told == []
