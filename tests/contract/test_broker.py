"""Connections to the broker: bounded, and no password in any message."""

import itertools
import time

import pytest
import redis

from contract.broker import broker_errors, clock_offset, connect, reach, without_password
from contract.errors import BrokerError

# Port 1 of the loopback: nobody listens there.
URLS = [
    "redis://:secret@127.0.0.1:1/0",
    "redis://user:secret@127.0.0.1:1/0",
    "rediss://user:secret@127.0.0.1:1/0",
    "redis://user:se/secret@127.0.0.1:1/0",
    "redis://user:se#secret@127.0.0.1:1/0",
    "redis://user:se?secret@127.0.0.1:1/0",
    "redis://user:se@secret@127.0.0.1:1/0",
    "redis://user:%73%65secret@127.0.0.1:1/0",
    "redis://user:secret@[::1/0",
    "redis://user:secret@127.0.0.1:x/0",
    "redis://127.0.0.1:1/0?password=secret",
    "redis://127.0.0.1:1/0?db=x&password=secret&username=user",
    "redis://user:secret@127.0.0.1:1/0?nonsense=1",
    "unix://user:secret@/nowhere/redis.sock",
    "redis://user:secret@127.0.0.1:1/0 amqp://user:secret@127.0.0.1:1",
    "amqp://user:secret@127.0.0.1:1",
    "gopher://user:secret@127.0.0.1",
    "user:secret@127.0.0.1",
]


@pytest.mark.parametrize("url", URLS)
def test_no_password_is_in_a_message(url: str) -> None:
    with pytest.raises(BrokerError) as caught:
        connect(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
def test_nor_in_one_about_rabbitmq(scheme: str) -> None:
    with pytest.raises(BrokerError, match="is RabbitMQ running") as caught:
        reach(f"{scheme}://user:secret@127.0.0.1:1/ redis://user:secret@127.0.0.1:1/0")
    assert "secret" not in str(caught.value)


def test_nor_when_the_broker_repeats_it() -> None:
    with pytest.raises(BrokerError) as caught, broker_errors("redis://:secret@h"):
        raise redis.ConnectionError("not 'secret'")
    assert "secret" not in str(caught.value)


def test_what_a_network_can_read_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with pytest.raises(BrokerError):
            connect("redis://:secret@0.0.0.0:1/0")
    (record,) = [record for record in caplog.records if record.name == "tonnage.broker"]
    assert "in the clear: use rediss://" in record.getMessage()
    assert "secret" not in record.getMessage()


def test_a_broker_that_is_not_there_is_named() -> None:
    with pytest.raises(BrokerError, match=r"redis://127\.0\.0\.1:1/0: .*refused.*is Redis running"):
        connect("redis://127.0.0.1:1/0")


def test_what_is_no_url_is_named() -> None:
    with pytest.raises(BrokerError, match="not a broker's URL: localhost"):
        connect("localhost")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://user@host:6379/0", "redis://user@host:6379/0"),
        ("redis://:p@host:6379/0", "redis://:…@host:6379/0"),
        ("redis://user:p@host:6379/0", "redis://user:…@host:6379/0"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
    ],
)
def test_all_but_the_password_is_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_a_broker_that_never_answers_a_greeting_may_speak_no_tls() -> None:
    with pytest.raises(BrokerError, match="does it speak TLS there"), broker_errors("rediss://h"):
        raise redis.TimeoutError("Timeout connecting to server")


def test_errors_of_the_client_become_ours() -> None:
    with pytest.raises(BrokerError, match="gone"), broker_errors("redis://h"):
        raise redis.ConnectionError("gone")


class FakeBroker:
    """Answers TIME from a clock that is 5 s ahead; the third answer is the quickest."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.trips_ns = itertools.chain([4000, 3000, 1000], itertools.repeat(9000))

    def clock(self) -> int:
        return self.now_ns

    def time(self) -> tuple[int, int]:
        half = next(self.trips_ns) // 2
        self.now_ns += half
        answer = self.now_ns + 5_000_000_000
        self.now_ns += half
        return answer // 10**9, answer % 10**9 // 1000


def test_the_offset_is_that_of_the_quickest_exchange() -> None:
    broker = FakeBroker()
    offset_ns, error_ns = clock_offset(broker, broker.clock)  # type: ignore[arg-type]
    assert error_ns == 500
    assert abs(offset_ns - 5_000_000_000) <= 1000  # Redis tells whole microseconds


@pytest.mark.redis
def test_a_broker_on_this_machine_has_our_time(redis_url: str) -> None:
    offset_ns, error_ns = clock_offset(connect(redis_url), time.time_ns)
    assert abs(offset_ns) <= error_ns + 1000
