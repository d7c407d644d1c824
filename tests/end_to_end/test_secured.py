"""A fleet over TLS with a user per host: it measures, and no user may do what is not its own."""

import json
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from celery import Celery
from engines import session, short_folder
from fleet import PATIENCE_S, TONNAGE, Process, alive, wait_until
from secured_broker import SecuredBroker, secured_broker

from contract import CONTRACT_VERSION, wire
from contract.broker import connect
from contract.errors import BrokerError
from contract.parts import list_parts
from orchestrator.fleet import forget_host, quarantine_host, read_fleet, release_host

pytestmark = [pytest.mark.redis, pytest.mark.timeout(240)]

ONE, OTHER, LAME = (f"h-{secrets.token_hex(3)}-{name}" for name in ("one", "other", "lame"))
NO_ENGINES = ("--docker-socket", "/nowhere/docker", "--podman-socket", "/nowhere/podman")
NO_ENGINES += ("--libvirt-uri", "qemu:///system?socket=/nowhere")
TOGETHER = {"residents": 1, "capacity": 2, "detect_after_s": 0.5, "loss_after_s": 0.5}
TOGETHER |= {"recovery_deadline_s": 5, "meet_deadline_s": 60}


@pytest.fixture(scope="module")
def broker() -> Iterator[SecuredBroker]:
    with short_folder() as folder:
        yield from session("redis", lambda: secured_broker(folder / "made", ONE, OTHER, LAME))


def call(broker: SecuredBroker, who: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on the machine of a coordinator, a viewer or a host."""
    return subprocess.run(
        [TONNAGE, *arguments],
        env=os.environ | broker.variables(who),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def worker(broker: SecuredBroker, who: str, folder: Path, *options: str) -> Process:
    folders = ("--state-dir", str(folder / who), "--run-dir", str(folder / who / "run"))
    (folder / who).mkdir(parents=True)
    log = folder / who / "worker.log"
    return Process(log, "worker", *folders, *NO_ENGINES, *options, env=broker.variables(who))


def test_a_campaign_asks_for_nothing_that_its_users_may_not(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    _forget_refusals(broker)
    hosts = [worker(broker, f"hosts/{name}", tmp_path) for name in (ONE, OTHER)]
    simulated = worker(broker, "simulated", tmp_path, "--simulate", "3")
    everybody = {ONE, OTHER, "sim-0001", "sim-0002", "sim-0003"}
    try:
        there = lambda: alive(broker.url("coordinator")) == everybody  # noqa: E731
        wait_until(there, "all hosts are alive")
        results = tmp_path / "results"
        _run(broker, tmp_path / "campaign.yaml", results)
        assert len(list_parts(results / "parts")) == 4
        for command in (("hosts",), ("status", str(results)), ("watch", str(results))):
            answer = call(broker, "viewer", *command)
            assert answer.returncode == 0, answer.stderr
        assert call(broker, "coordinator", "sweep", "--fleet", "--dry-run").returncode == 0
        for process in (*hosts, simulated):
            process.send(signal.SIGTERM)
        assert [process.wait() for process in (*hosts, simulated)] == [0, 0, 0]
        _look_after(broker)
        assert broker.denied() == []
    finally:
        for process in (*hosts, simulated):
            process.kill()


def _forget_refusals(broker: SecuredBroker) -> None:
    with connect(broker.url("redis/admin")) as admin:
        admin.acl_log_reset()


def _run(broker: SecuredBroker, file: Path, results: Path) -> None:
    entries = [
        {"experiment": "lifecycle", "drivers": ["process"], "params": {"instances": 1}},
        {"experiment": "failover", "drivers": ["process"], "params": TOGETHER},  # the hosts meet
    ]
    content = {"campaign": "secured", "blocks": 1, "deadline_s": 60, "hosts": {"names": [ONE, OTHER]}}
    file.write_text(yaml.safe_dump(content | {"experiments": entries}))
    answer = call(broker, "coordinator", "run", str(file), "--results", str(results))
    assert answer.returncode == 0, answer.stderr
    assert "in the clear" not in answer.stderr


def _look_after(broker: SecuredBroker) -> None:
    """What an operator's commands do, and a host's own doctor."""
    with connect(broker.url("coordinator")) as client:
        quarantine_host(client, ONE, "for a try")
        release_host(client, ONE)
        forget_host(client, OTHER)
        client.set(wire.cancel_key("r" * 32), wire.CANCEL_NOW, ex=60)
        client.xrevrange(f"{wire.PREFIX}refused", count=1)
    with connect(broker.url(f"hosts/{ONE}")) as client:
        assert client.info("server")["redis_version"]


def nameless(who: str) -> str:
    """Names of tests must be the same in every process."""
    return who.partition("/")[0]


OTHERS_QUEUE = wire.PREFIX + wire.queue_for(OTHER)
MINE = wire.heartbeat_key(ONE)
PARTS = wire.stream_key("secured")
PIDBOX = "tonnage:/0.celery.pidbox"
OF_REDIS: list[tuple[Any, ...]] = [
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "dir"),
    ("CONFIG", "SET", "dir", "/tmp"),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("RANDOMKEY",),
    ("EVAL", "return 1", "0"),
    ("SCRIPT", "LOAD", "return 1"),
    ("FUNCTION", "LIST"),
    ("MODULE", "LIST"),
    ("MONITOR",),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "x", "on"),
    ("CLIENT", "LIST"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("CLIENT", "PAUSE", "1000"),
    ("REPLICAOF", "127.0.0.1", "1"),
    ("SHUTDOWN",),
    ("SAVE",),
    ("SLOWLOG", "GET"),
    ("SUBSCRIBE", PIDBOX),
    ("PSUBSCRIBE", "*"),
    ("PUBLISH", PIDBOX, "{}"),
    ("SET", "elsewhere", "1"),
    ("GET", "elsewhere"),
]
OF_OTHERS: list[tuple[Any, ...]] = [
    ("BRPOP", OTHERS_QUEUE, "1"),
    ("LPUSH", OTHERS_QUEUE, "{}"),
    ("LLEN", OTHERS_QUEUE),
    ("DEL", OTHERS_QUEUE),
    ("SADD", f"{wire.PREFIX}_kombu.binding.{wire.queue_for(OTHER)}", wire.queue_for(ONE)),
    ("SET", wire.registration_key(OTHER), "{}"),
    ("GET", wire.registration_key(OTHER)),
    ("DEL", wire.registration_key(OTHER)),
    ("SET", wire.heartbeat_key(OTHER), "{}"),
    ("GET", wire.heartbeat_key(OTHER)),
    ("DEL", wire.heartbeat_key(OTHER)),
    ("SET", wire.owner_key(OTHER), "me"),
    ("SET", wire.activity_key(OTHER), "{}"),
    ("SET", wire.lease_key(OTHER, "t" * 32), "me"),
    ("DEL", wire.lease_key(OTHER, "t" * 32)),
    ("SET", wire.begun_key(OTHER, "t" * 32, 1), "1"),
    ("SET", wire.quarantine_key(OTHER), "{}"),
    ("DEL", wire.quarantine_key(ONE)),
    ("HGETALL", wire.REGISTRY),
    ("DEL", wire.REGISTRY),
    ("XREAD", "STREAMS", PARTS, "0"),
    ("XRANGE", PARTS, "-", "+"),
    ("XLEN", PARTS),
    ("XDEL", PARTS, "1-1"),
    ("DEL", PARTS),
    ("XRANGE", f"{wire.PREFIX}refused", "-", "+"),
    ("GET", wire.run_key("secured")),
    ("SET", wire.run_key("secured"), "{}"),
    ("SET", wire.cancel_key("r" * 32), "now"),
    ("LRANGE", f"{wire.PREFIX}swept:{'a' * 32}", "0", "-1"),
    ("COPY", MINE, wire.heartbeat_key(OTHER)),
    ("RENAME", MINE, wire.heartbeat_key(OTHER)),
    ("SORT", MINE, "STORE", wire.heartbeat_key(OTHER)),
]


def refused(broker: SecuredBroker, who: str, commands: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Those of the commands that Redis did not refuse."""
    allowed = []
    with connect(broker.url(who)) as client:
        for command in commands:
            try:
                client.execute_command(*command)
            except redis.exceptions.NoPermissionError:
                continue
            except redis.RedisError as error:
                allowed.append((*command, str(error)))
                continue
            allowed.append(command)
    return allowed


@pytest.mark.parametrize("who", [f"hosts/{ONE}", "simulated", "viewer"], ids=nameless)
def test_no_host_reaches_what_is_anothers(broker: SecuredBroker, who: str) -> None:
    viewing = ("HGETALL", "GET", "XRANGE")
    commands = [c for c in OF_OTHERS if who != "viewer" or c[0] not in viewing or c[1] == PARTS]
    assert refused(broker, who, commands) == []


@pytest.mark.parametrize("who", [f"hosts/{ONE}", "simulated", "viewer", "coordinator"], ids=nameless)
def test_nobody_reaches_redis_itself(broker: SecuredBroker, who: str) -> None:
    assert refused(broker, who, OF_REDIS) == []


def test_a_refusal_is_on_record_with_its_user(broker: SecuredBroker) -> None:
    assert refused(broker, f"hosts/{ONE}", [("LLEN", OTHERS_QUEUE)]) == []
    assert any(
        entry["username"] == f"tonnage-worker-{ONE}" and entry["object"] == OTHERS_QUEUE
        for entry in broker.denied()
    )


def test_nobody_comes_in_without_a_user(broker: SecuredBroker) -> None:
    query = broker.url("coordinator").partition("?")[2]
    bare = f"rediss://localhost:{broker.port}/0?{query}"
    with pytest.raises(BrokerError, match=r"Authentication required|are user and password those"):
        connect(bare).get("x")
    with pytest.raises(BrokerError, match="are user and password those of Redis"):
        connect(bare.replace("//", "//default:guess@"))


@pytest.mark.parametrize("wrong", ["password", "authority"])
def test_commands_say_what_is_wrong_and_end_with_1(
    broker: SecuredBroker, tmp_path: Path, wrong: str
) -> None:
    url = broker.url("coordinator")
    password = url.partition("tonnage-coordinator:")[2].partition("@")[0]
    if wrong == "password":
        url, said = url.replace(password, "guess"), "are user and password those of Redis?"
    else:
        url, said = url.partition("?")[0], "its certificate is refused: "
    file = tmp_path / "campaign.yaml"
    file.write_text("campaign: none\nexperiments: [{experiment: lifecycle, drivers: [process]}]\n")
    state = ("--name", ONE, "--state-dir", str(tmp_path / "state"), *NO_ENGINES)
    for command in (("worker", *state), ("run", str(file)), ("hosts",)):
        ran = Process(tmp_path / f"{command[0]}.log", *command, "--broker", url)
        assert ran.wait() == 1
        assert said in ran.said()
        assert password not in ran.said()


def test_who_has_stolen_a_hosts_password_is_no_other_host(broker: SecuredBroker, tmp_path: Path) -> None:
    thief = worker(broker, f"hosts/{ONE}", tmp_path, "--name", OTHER)
    assert thief.wait() == 1
    assert "this user may not: see the table of users" in thief.said()
    assert OTHER not in alive(broker.url("coordinator"))


def test_who_has_stolen_a_hosts_password_cannot_say_anything_of_another_host(
    broker: SecuredBroker,
) -> None:
    nobody = "h-nobody"
    said = json.dumps({"contract": CONTRACT_VERSION, "boot": "its own", "labels": {"rack": "1"}})
    forged = json.dumps({"contract": CONTRACT_VERSION, "boot": "forged", "labels": {"rack": "2"}})
    with connect(broker.url(f"hosts/{OTHER}")) as victim, connect(broker.url(f"hosts/{ONE}")) as thief:
        victim.set(wire.registration_key(OTHER), said)
        victim.hset(wire.REGISTRY, OTHER, wire.REGISTERED)
        thief.hset(wire.REGISTRY, mapping={OTHER: forged, nobody: forged})  # it may: names stand there
        with pytest.raises(redis.exceptions.NoPermissionError):
            thief.set(wire.registration_key(OTHER), forged)
        with connect(broker.url("coordinator")) as client:
            fleet = read_fleet(client, [OTHER, nobody])
            assert (fleet[OTHER].boot, fleet[OTHER].labels) == ("its own", {"rack": "1"})
            assert (fleet[nobody].state, fleet[nobody].contract) == ("stale", 0)
            forget_host(client, OTHER)
            forget_host(client, nobody)
            assert not client.exists(wire.registration_key(OTHER))


def test_a_worker_that_celery_gives_up_ends_with_1(broker: SecuredBroker, tmp_path: Path) -> None:
    """Celery keeps its exit code to itself, and a service manager would take the end for meant."""
    users = broker.folder / "redis" / "users.acl"
    lines = users.read_text().splitlines()
    lamed = [line.replace("+llen ", "") if f"worker-{LAME} " in line else line for line in lines]
    users.write_text("\n".join(lamed) + "\n")
    with connect(broker.url("redis/admin")) as admin, suppress(redis.ConnectionError):
        admin.acl_load()  # it drops all connections, this one too
    lame = worker(broker, f"hosts/{LAME}", tmp_path)
    assert lame.wait() == 1
    assert "the worker has ended over an error" in lame.said()


def test_events_reach_their_watcher_and_nothing_else_does(broker: SecuredBroker) -> None:
    _forget_refusals(broker)
    host, watcher = (_celery(broker.url(who)) for who in (f"hosts/{ONE}", "events"))
    heard: list[str] = []

    def hear(event: dict[str, Any]) -> None:
        heard.append(event["type"])
        receiver.should_stop = True

    def send() -> bool:
        dispatcher.send("worker-online")
        return bool(heard)

    with watcher.connection() as link, host.connection() as other:
        receiver = watcher.events.Receiver(link, handlers={"*": hear})
        listener = threading.Thread(target=receiver.capture)
        listener.start()
        try:
            with host.events.Dispatcher(other, enabled=True) as dispatcher:
                wait_until(send, "an event is heard")
        finally:
            receiver.should_stop = True
            listener.join(PATIENCE_S)
    assert heard[:1] == ["worker-online"]
    assert broker.denied() == []
    calls = [c for c in OF_REDIS if c[:2] not in (("PUBLISH", PIDBOX), ("SCRIPT", "LOAD"))]
    assert refused(broker, "events", calls) == []
    assert refused(broker, "events", [("GET", wire.run_key("x")), ("LLEN", OTHERS_QUEUE)]) == []


def _celery(url: str) -> Celery:
    app = Celery("events", set_as_current=False)
    app.conf.update(wire.celery_settings(url))
    return app
