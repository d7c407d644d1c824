"""What a coordinator does per trial and per look does not grow with the fleet: counted, not timed."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from scripted_fleet import Clock, Fleet, Watcher
from trials import make_part, make_trial

from contract import CONTRACT_VERSION, parts, wire
from contract.broker import connect
from contract.campaign import Campaign
from contract.errors import UseError
from contract.rows import InstanceRow
from contract.trial import Trial
from orchestrator import coordinate, dispatch_celery, muster
from orchestrator.coordinate import Coordination
from orchestrator.dispatch import Delivery, HostState, Order
from orchestrator.dispatch_celery import CeleryDispatcher
from orchestrator.fleet import _entry, _opened, read_fleet, read_states
from orchestrator.muster import Muster
from orchestrator.results import Results
from orchestrator.standing import StandingReader

HOSTS = [f"h{number}" for number in range(40)]
AT_ONCE = 15


class Wide(Fleet):
    """As many hosts as it is sent orders for, all of them alive."""

    def hosts(self) -> dict[str, HostState]:
        return {name: HostState(alive=True) for name in HOSTS}


class Quiet(Watcher):
    """Does not mind hosts that it does not know."""

    def hosts(self, states: dict[str, HostState]) -> None:
        """Nothing."""


class Kept(Results):
    """Takes parts and writes nothing."""

    def keep(self, came: Any) -> None:
        """Nothing."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the loop has looked at a host, and has gone round."""
    counted: Counter[str] = Counter()

    def count(name: str) -> None:
        real: Callable[..., Any] = getattr(Coordination, name)

        def counting(self: Coordination, *given: Any) -> Any:
            counted[name] += 1
            return real(self, *given)

        monkeypatch.setattr(Coordination, name, counting)

    for name in ("_fill", "_top_up", "_take"):
        count(name)
    monkeypatch.setattr(coordinate, "time", Clock())
    monkeypatch.setattr(coordinate, "HOSTS_AT_ONCE", AT_ONCE)
    return counted


def run(folder: Path, blocks: int) -> tuple[Wide, Quiet]:
    trials = tuple(make_trial(host=host, block=block) for host in HOSTS for block in range(blocks))
    fleet, watcher = Wide(Clock()), Quiet()
    Coordination(trials, Kept(folder), fleet, watcher, lambda _: [InstanceRow(0)]).run(lambda: False)
    assert len(watcher.ended) == len(trials)
    return fleet, watcher


def test_a_delivery_has_the_loop_look_at_its_own_host_only(tmp_path: Path, calls: Counter[str]) -> None:
    blocks = 3
    run(tmp_path, blocks)
    # Once at the beginning, and once per delivery at most.
    assert calls["_fill"] <= len(HOSTS) * (blocks + 1)


def test_deliveries_are_taken_between_rounds_of_a_first_sending(
    tmp_path: Path, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first_came_after: list[int] = []
    real = Wide.receive

    def receive(self: Wide, wait_s: float) -> list[Delivery]:
        came = real(self, wait_s)
        if came and not first_came_after:
            first_came_after.append(len(self.sent))
        return came

    monkeypatch.setattr(Wide, "receive", receive)
    run(tmp_path, 2)
    assert first_came_after == [AT_ONCE * Wide.window]


class Trips:
    """Counts answers of the broker: one per command, or per pipeline."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        real = redis.Redis.execute_command
        real_pipe = redis.client.Pipeline.execute

        def command(client: Any, *given: Any, **options: Any) -> Any:
            self.count += 1
            return real(client, *given, **options)

        def pipe(client: Any, *given: Any, **options: Any) -> Any:
            self.count += 1
            return real_pipe(client, *given, **options)

        monkeypatch.setattr(redis.Redis, "execute_command", command)
        monkeypatch.setattr(redis.client.Pipeline, "execute", pipe)

    def of(self, act: Callable[[], Any]) -> int:
        before = self.count
        act()
        return self.count - before


@pytest.mark.redis
def test_a_look_takes_a_few_round_trips_however_many_hosts_there_are(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = [f"scale-{name}" for name in HOSTS]
    dispatcher = CeleryDispatcher(redis_url, "scale", hosts)
    orders = [Order(make_trial(campaign="scale", host=host), 1) for host in hosts]
    monkeypatch.setattr(dispatch_celery, "LOST_AFTER_S", -1.0)
    trips = Trips(monkeypatch)
    assert trips.of(dispatcher.hosts) == 2
    assert trips.of(lambda: dispatcher.lost(orders)) == 3
    dispatcher.receive(0)
    assert trips.of(lambda: dispatcher.lost(orders)) == 4
    assert trips.of(lambda: dispatcher.confirm([_delivery(order) for order in orders])) == 1


def _delivery(order: Order) -> Delivery:
    packed = make_part(order.trial)
    return Delivery(packed.receipt, packed.data, "1-1")


@pytest.fixture
def client(redis_url: str) -> "Iterator[redis.Redis[bytes]]":
    made = connect(redis_url)
    names: list[str] = [f"scale-{name}" for name in ("a", "b", "c")]
    yield made
    made.hdel(wire.REGISTRY, *names)
    keys = (wire.registration_key, wire.heartbeat_key, wire.owner_key)
    made.delete(*(key(name) for name in names for key in keys))


CAMPAIGN = {
    "campaign": "scale",
    "experiments": [{"experiment": "lifecycle", "drivers": ["simulated"]}],
}


def register(client: "redis.Redis[bytes]", name: str, boot: str = "1", **labels: str) -> None:
    """As a worker does."""
    entry = {"contract": CONTRACT_VERSION, "boot": boot, "labels": labels, "engines": {}, "facts": {}}
    client.hset(wire.REGISTRY, name, wire.REGISTERED)
    client.set(wire.registration_key(name), json.dumps(entry))
    client.set(wire.owner_key(name), boot, ex=60)
    client.set(wire.heartbeat_key(name), "{}", ex=60)


@pytest.mark.redis
def test_what_hosts_say_of_themselves_is_read_once_per_worker(
    redis_url: str, client: "redis.Redis[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = Campaign.model_validate(CAMPAIGN | {"hosts": {"labels": {"scale": "yes"}}})
    register(client, "scale-a", scale="yes")
    fleet = Muster(redis_url, campaign, set())
    assert fleet.hosts == ["scale-a"]
    read: list[str] = []
    real = muster.read_fleet

    def reading(of: Any, only: Any = None, keys: Any = None) -> Any:
        read.extend(name for name in only or () if name.startswith("scale-"))
        return real(of, only, keys)

    monkeypatch.setattr(muster, "read_fleet", reading)
    register(client, "scale-b", scale="no")
    for _ in range(3):
        assert fleet.newcomers() == []
    assert read == ["scale-b"]
    register(client, "scale-b", boot="2", scale="yes")
    assert fleet.newcomers() == ["scale-b"]
    assert fleet.newcomers() == []
    assert read == ["scale-b"] * 2


@pytest.mark.redis
def test_a_worker_of_a_release_that_registers_elsewhere_is_of_another_version(
    redis_url: str, client: "redis.Redis[bytes]"
) -> None:
    labels = {"rack": "early"}
    entry = {"contract": CONTRACT_VERSION, "boot": "1", "labels": labels, "engines": {}, "facts": {}}
    client.hset(wire.REGISTRY, "scale-a", json.dumps(entry))
    client.set(wire.heartbeat_key("scale-a"), "{}", ex=60)
    host = read_fleet(client, ["scale-a"])["scale-a"]
    assert (host.state, host.labels) == ("other version", labels)
    campaign = Campaign.model_validate(CAMPAIGN | {"hosts": {"labels": labels}})
    with pytest.raises(UseError, match=r"scale-a run another version .* version of an earlier release"):
        Muster(redis_url, campaign, set())
    register(client, "scale-b")
    left_there = client.hget(wire.REGISTRY, "scale-b") or b""  # what such a release's coordinator reads
    assert _entry("scale-b", _opened("scale-b", left_there, None), [b"{}", None, None]).state == (
        "other version"
    )


@pytest.mark.redis
def test_states_are_those_of_the_whole_registration(client: "redis.Redis[bytes]") -> None:
    for name in ("scale-a", "scale-b", "scale-c"):
        register(client, name)
    client.set(wire.activity_key("scale-b"), b'{"trial": "t"}', ex=60)
    client.set(wire.registration_key("scale-c"), b'{"contract": 99}')
    states, fleet = read_states(client), read_fleet(client)
    assert {name: states[name] for name in ("scale-a", "scale-b", "scale-c")} == {
        "scale-a": "idle",
        "scale-b": "busy",
        "scale-c": "other version",
    }
    assert states == {name: host.state for name, host in fleet.items()}
    client.set(wire.registration_key("scale-c"), b"[]")
    assert read_states(client)["scale-c"] == "unreadable"
    client.delete(wire.activity_key("scale-b"))


def measured(folder: Path, trials: tuple[Trial, ...], outcome: str = "completed") -> Results:
    results = Results(folder)
    results.freeze("campaign: sample\n", trials)
    parts = [make_part(trial, outcome=outcome, error_text="why") for trial in trials]
    results.keep([(part.receipt, part.data) for part in parts])
    return results


def refuse(*_: object) -> Any:
    raise AssertionError("not to be read")


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_standing_reads_neither_plan_nor_parts_of_what_was_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    trials = tuple(make_trial(host=host, block=block) for host in ("h1", "h2") for block in range(4))
    results = measured(tmp_path, trials, outcome)
    results.received.rename(tmp_path / "ends")
    slowly = StandingReader(results).read()
    (tmp_path / "ends").rename(results.received)
    monkeypatch.setattr(parts, "peek_record", refuse)
    monkeypatch.setattr(results, "planned", refuse)
    assert StandingReader(results).read() == slowly
    assert slowly.outcomes == {outcome: 8}


def test_standing_does_not_believe_what_was_noted_of_another_plan_or_broken_off(tmp_path: Path) -> None:
    trials = tuple(make_trial(block=block) for block in range(4))
    results = measured(tmp_path, trials)
    ends = results.received
    ends.write_text(ends.read_text()[:-20])  # killed while writing
    assert StandingReader(results).read().outcomes == {"completed": 4}
    plan = (tmp_path / "plan.json").read_text()
    (tmp_path / "plan.json").write_text(plan.replace("sample", "simple"))
    assert StandingReader(results).read().campaign == "simple"
