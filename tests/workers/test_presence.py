"""A worker that stands for many simulated hosts: registered in few round trips, and beating bearably."""

import secrets
from collections.abc import Iterator

import pytest
import redis

from contract import wire
from contract.broker import connect
from contract.errors import HostBusy
from orchestrator.fleet import read_fleet
from workers.presence import BEATS_PER_S, Presence
from workers.service import WorkerConfig
from workers.settings import HostSettings

pytestmark = pytest.mark.redis
HOSTS = 200


@pytest.fixture
def names() -> list[str]:
    prefix = f"many-{secrets.token_hex(4)}"
    return [f"{prefix}-{number}" for number in range(HOSTS)]


@pytest.fixture
def config(redis_url: str, host_settings: HostSettings, names: list[str]) -> Iterator[WorkerConfig]:
    hosts = tuple(host_settings.model_copy(update={"name": name}) for name in names)
    yield WorkerConfig(broker=redis_url, hosts=hosts, boot="mine", simulated=True)
    connect(redis_url).hdel(wire.REGISTRY, *names)


def test_many_hosts_come_and_go_in_a_few_round_trips(
    config: WorkerConfig, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = 0
    real = redis.connection.AbstractConnection.send_packed_command

    def counting(self: redis.Connection, *given: object, **options: object) -> None:
        nonlocal trips
        trips += 1
        real(self, *given, **options)

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", counting)
    presence = Presence(config)
    presence.begin({"simulated": {"present": True}})
    client = connect(config.broker)
    alive = {name for name, entry in read_fleet(client).items() if entry.alive}
    presence.end()
    assert alive >= set(names)
    assert not any(entry.alive for entry in read_fleet(client, names).values())
    assert trips < HOSTS / 4


def test_one_name_of_many_that_is_taken_is_named(
    config: WorkerConfig, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEARTBEAT_TTL_S", 2)
    client = connect(config.broker)
    client.set(wire.owner_key(names[7]), "another's", ex=60)
    with pytest.raises(HostBusy, match=f"another worker is host '{names[7]}'"):
        Presence(config).begin({})
    client.delete(wire.owner_key(names[7]))


def test_thousands_of_hosts_have_each_beat_more_rarely(config: WorkerConfig) -> None:
    few, many = Presence(config), Presence(config.model_copy(update={"hosts": config.hosts * 50}))
    assert (few._period_s, few._ttl_s) == (wire.HEARTBEAT_S, wire.HEARTBEAT_TTL_S)
    assert many._period_s == 50 * HOSTS / BEATS_PER_S
    assert many._ttl_s == 5 * many._period_s
