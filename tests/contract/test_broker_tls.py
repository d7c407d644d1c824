"""TLS to a broker: our own connection and Celery's both refuse whoever is not the broker."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engines import session, short_folder
from kombu import Connection
from rabbitmq_server import LOGIN, RabbitMq
from secured_broker import SecuredBroker, call, secured_broker

from contract.broker import connect, reach
from contract.errors import BrokerError
from contract.wire import celery_settings

WRONG = [
    ("localhost", "other", "certificate is refused: self-signed|unable to get local issuer"),
    ("127.0.0.2", "ours", "certificate is refused: .*'127.0.0.2'"),
]
"""Host, authority, and what is said of them: the certificate is for localhost and 127.0.0.1."""


@pytest.fixture(scope="module")
def secured() -> Iterator[SecuredBroker]:
    with short_folder() as folder:
        yield from session("redis", lambda: secured_broker(folder / "made"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other")
    assert call("make", str(folder), "--name", "localhost").returncode == 0
    return folder / "ca.pem"


def orders(broker: str) -> None:
    """Connect as Celery does."""
    told = celery_settings(broker)
    options = told["broker_transport_options"]
    link = Connection(
        told["broker_url"], ssl=told["broker_use_ssl"], transport_options=options, connect_timeout=5
    )
    link.transport.close_connection(link.transport.establish_connection())


def by_redis(secured: SecuredBroker, host: str, authority: Path) -> str:
    url = secured.url("coordinator").replace("@localhost:", f"@{host}:")
    return f"{url.partition('?')[0]}?ssl_ca_certs={authority}"


@pytest.mark.redis
class TestRedis:
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    def test_the_broker_itself_is_taken(self, secured: SecuredBroker, host: str) -> None:
        url = by_redis(secured, host, secured.folder / "ca.pem")
        connect(url).close()
        orders(url)

    @pytest.mark.parametrize(("host", "authority", "said"), WRONG)
    def test_another_one_is_refused(
        self, secured: SecuredBroker, other_authority: Path, host: str, authority: str, said: str
    ) -> None:
        trusted = other_authority if authority == "other" else secured.folder / "ca.pem"
        url = by_redis(secured, host, trusted)
        with pytest.raises(BrokerError, match=said):
            connect(url)
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            orders(url)

    def test_without_an_authority_the_machines_own_are_asked(self, secured: SecuredBroker) -> None:
        url = secured.url("coordinator").partition("?")[0]
        for attempt in (connect, orders):
            with pytest.raises(Exception, match=r"certificate is refused|CERTIFICATE_VERIFY_FAILED"):
                attempt(url)

    def test_who_speaks_no_tls_is_told_so(self, secured: SecuredBroker) -> None:
        with pytest.raises(BrokerError, match="does it want TLS"):
            connect(secured.url("coordinator").replace("rediss", "redis").partition("?")[0])

    def test_a_wrong_password_is_told_so(self, secured: SecuredBroker) -> None:
        password = secured.url("coordinator").partition("tonnage-coordinator:")[2].partition("@")[0]
        with pytest.raises(BrokerError, match="are user and password those of Redis"):
            connect(secured.url("coordinator").replace(password, "guess"))


@pytest.mark.rabbitmq
@pytest.mark.xdist_group("rabbitmq")
class TestRabbitMq:
    STATE = "redis://127.0.0.1:1/0"

    def test_the_broker_itself_is_taken(self, rabbitmq: RabbitMq) -> None:
        for host in ("localhost", "127.0.0.1"):
            reach(f"{rabbitmq.encrypted_url(host)} {self.STATE}")
            orders(f"{rabbitmq.encrypted_url(host)} {self.STATE}")

    @pytest.mark.parametrize(("host", "authority", "said"), WRONG)
    def test_another_one_is_refused(
        self, rabbitmq: RabbitMq, other_authority: Path, host: str, authority: str, said: str
    ) -> None:
        trusted = other_authority if authority == "other" else rabbitmq.authority
        broker = f"{rabbitmq.encrypted_url(host, trusted)} {self.STATE}"
        with pytest.raises(BrokerError, match=said):
            reach(broker)
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            orders(broker)

    def test_a_wrong_password_is_told_so(self, rabbitmq: RabbitMq) -> None:
        url = rabbitmq.url.replace(LOGIN, "tonnage:guess")
        with pytest.raises(BrokerError, match="are user and password those of RabbitMQ") as caught:
            reach(f"{url} {self.STATE}")
        assert "guess" not in str(caught.value)


@pytest.mark.parametrize("attempt", [connect, celery_settings])
@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ("ssl_ca_certs=/nowhere/ca.pem", "certificate file /nowhere/ca.pem: No such file"),
        ("ssl_ca_certs={here}", "no certificate in it"),
        (
            "ssl_certfile=/nowhere/c&ssl_keyfile=/nowhere/k",
            "certificate file /nowhere/c with /nowhere/k",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    attempt: Callable[[str], object], files: str, complaint: str, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(BrokerError, match=complaint):
        attempt(f"rediss://:secret@127.0.0.1:1/0?{files.format(here=empty)}")
