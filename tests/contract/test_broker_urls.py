"""What --broker may say: one URL or two, TLS that is always verified, and no password in any answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.broker_urls import Endpoint, client_url, read_broker, without_password
from contract.errors import BrokerError


def state(text: str) -> Endpoint:
    return read_broker(text).state


def test_one_url_is_for_everything() -> None:
    broker = read_broker("redis://user:p%40ss@broker.example:6390/3")
    assert broker.orders is broker.state
    assert not broker.by_rabbitmq
    end = broker.state
    assert (end.host, end.port, end.user, end.password) == ("broker.example", 6390, "user", "p@ss")
    assert end.database == 3


@pytest.mark.parametrize(
    "text",
    [
        "amqp://u:p@one/ rediss://two",
        "rediss://two  amqp://u:p@one/",
        " amqp://u:p@one/\nrediss://two\n",
    ],
)
def test_of_two_urls_each_has_its_part(text: str) -> None:
    broker = read_broker(text)
    assert broker.by_rabbitmq
    assert (broker.orders.host, broker.orders.port, broker.orders.place) == ("one", 5672, "/")
    assert (broker.state.host, broker.state.port) == ("two", 6379)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("amqp://host", "add the Redis that keeps"),
        ("redis://one redis://two", "2 URLs of Redis"),
        ("amqp://one amqps://two redis://three", "2 URLs of RabbitMQ"),
        ("", "not a broker's URL"),
        ("localhost:6379", "not a broker's URL"),
        ("gopher://host", "not a broker's URL"),
        ("sentinel://host", "not a broker's URL"),
        ("redis:///0", "no host"),
        ("amqp:///vhost redis://h", "no host"),
        ("unix://", "no path"),
        ("redis://host:99999", "not a broker's URL"),
        ("redis://host/one", "not a broker's URL"),
        ("redis://host?socket_timeout=1", "unknown option 'socket_timeout'"),
        ("redis://u:p q@host", "written as %20"),
        ("redis://host?ssl_ca_certs=/ca", "needs TLS: rediss"),
        ("amqp://h?ssl_ca_certs=/ca redis://h", "needs TLS: amqps"),
        ("rediss://host?ssl_keyfile=/key", "ssl_certfile"),
        ("rediss://host?ssl_cert_reqs=none", "anybody for the broker"),
        ("rediss://host?ssl_cert_reqs=CERT_NONE", "anybody for the broker"),
        ("rediss://host?ssl_cert_reqs=optional", "anybody for the broker"),
        ("rediss://host?ssl_check_hostname=false", "anybody for the broker"),
        ("rediss://host?ssl_check_hostname=0", "anybody for the broker"),
        ("amqps://h?ssl_cert_reqs=none redis://h", "anybody for the broker"),
        ("rediss://host?ssl_ca_data=x", "unknown option"),
    ],
)
def test_what_is_no_broker_is_said_in_plain_words(text: str, complaint: str) -> None:
    with pytest.raises(BrokerError, match=complaint):
        read_broker(text)


@pytest.mark.parametrize(
    "text",
    [
        "amqp://user:secret@host",
        "amqp://user:secret@host:x redis://h",
        "amqp://user:secret@one redis://:secret@two:port",
        "amqp://user:secret@one amqp://user:secret@two",
        "amqps://user:se/secret@one rediss://two",
        "amqp://user:se cret-secret@one redis://two",
        "redis://two?password=secret&nonsense=1 amqp://one",
        "redis://user:1?secret@host",
        "redis://user:1/secret@host",
        "redis://user:1#secret@host",
        "redis://user:secret redis://two",
        "rediss://user:secret@host?ssl_cert_reqs=none",
    ],
)
def test_no_password_is_in_a_complaint(text: str) -> None:
    with pytest.raises(BrokerError) as caught:
        read_broker(text)
    assert "secret" not in str(caught.value)
    assert "secret" not in without_password(text)


def test_no_password_is_in_what_python_shows() -> None:
    assert "secret" not in repr(read_broker("amqp://u:secret@h redis://:secret@h"))


@given(st.text(max_size=40), st.sampled_from(["", "redis://", "amqp://u:", "unix:/"]))
def test_nothing_raises_anything_else(text: str, before: str) -> None:
    try:
        read_broker(before + text)
    except BrokerError:
        return


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("redis://broker.example", True),
        ("redis://10.0.0.5", True),
        ("redis://localhost", False),
        ("redis://127.0.0.3", False),
        ("redis://[::1]", False),
        ("rediss://broker.example", False),
        ("unix:///run/redis.sock", False),
    ],
)
def test_what_a_network_can_read_is_known(text: str, is_open: bool) -> None:
    assert state(text).is_in_the_clear is is_open


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("redis://h", "redis://h:6379/0"),
        ("rediss://u:p%2Fx@[::1]:1/2?ssl_ca_certs=/ca", "rediss://u:p%2Fx@[::1]:1/2"),
        ("redis://h?db=4&password=a/b", "redis://:a%2Fb@h:6379/4"),
        ("unix://:p@/run/r.sock?db=1", "redis+socket://:p@/run/r.sock?virtual_host=1"),
        ("amqp://u:p@h/team redis://x", "pyamqp://u:p@h:5672/team"),
        ("amqps://h redis://x", "amqps://h:5671/%2F"),
    ],
)
def test_celery_gets_a_url_without_what_it_would_misread(text: str, url: str) -> None:
    assert client_url(read_broker(text).orders) == url
