"""What the broker holds: bytes per registered host, per queued trial and per result on its way."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import engines
import redis
from celery import Celery
from figure import Figure, Size
from kombu import Exchange, Queue
from null_campaign import null_trials
from null_fleet import names
from null_worker import NOTHING, null_part

from contract import wire
from contract.broker import connect
from orchestrator.dispatch import Order
from orchestrator.dispatch_celery import CeleryDispatcher
from workers.delivery import deliver
from workers.presence import Presence, probe_engines
from workers.service import WorkerConfig
from workers.settings import HostSettings

NEEDS: tuple[str, ...] = ("redis",)
HOSTS = {Size.SMOKE: 50, Size.FULL: 1000, Size.HUGE: 10_000}
NOWHERE = Path("/nowhere/socket")


@contextmanager
def registered(broker: str, hosts: int) -> Iterator[None]:
    """Hosts as their workers register them: with what every driver says of a host without engines."""
    with tempfile.TemporaryDirectory(prefix="tng-null-") as folder:
        base = HostSettings(
            name="base",
            state_dir=Path(folder),
            docker_socket=NOWHERE,
            podman_socket=NOWHERE,
            libvirt_uri=f"qemu:///system?socket={NOWHERE}",
            labels={"rack": "r12", "class": "large"},
        )
        known = tuple(base.model_copy(update={"name": name}) for name in names(hosts))
        presence = Presence(WorkerConfig(broker=broker, hosts=known, boot="0" * 32, simulated=True))
        presence.begin(probe_engines(base))
        try:
            yield
        finally:
            presence.end()


def used(client: "redis.Redis[bytes]") -> int:
    """Bytes that the broker's data take now, its clients' buffers left out."""
    time.sleep(0.3)
    memory = client.info("memory")
    return int(memory["used_memory"] - memory.get("mem_clients_normal", 0))


def measure(size: Size) -> Iterator[Figure]:
    """Each step adds something for every host; what the broker holds more is divided by their number."""
    hosts = HOSTS[size]
    with engines.redis() as broker, ExitStack() as stack:
        client = connect(broker)
        empty = used(client)
        stack.enter_context(registered(broker, hosts))
        with_hosts = used(client)
        said = client.mget([wire.registration_key(name) for name in names(hosts)])
        entry = sum(map(len, said)) / hosts
        yield Figure("broker's memory per registered host", (with_hosts - empty) / hosts, "bytes",
                     entry, "what the host says of itself, as JSON")  # fmt: skip
        dispatcher = CeleryDispatcher(broker, "nulls", names(hosts))
        held = [with_hosts]
        for block in range(3):
            for trial in null_trials(names(hosts), 3):
                if trial.block == block:
                    dispatcher.send(Order(trial, 1))
            held.append(used(client))
        first, second, third = ((b - a) / hosts for a, b in pairwise(held))
        bare_first, bare_second = _bare(hosts)
        again = (second + third) / 2
        yield Figure(
            "broker's memory per queued trial", again, "bytes", bare_second, "a task that does nothing"
        )
        yield Figure(
            "broker's memory per queue", first - again, "bytes", bare_first - bare_second, "bare Celery"
        )
        yield from _results(client, hosts)


def _bare(hosts: int) -> tuple[float, float]:
    """Bytes per message of a task that does nothing, the first of its queue and the second."""
    with engines.redis() as broker:
        client, app = connect(broker), Celery("bare", set_as_current=False)
        app.conf.update(wire.celery_settings(broker))
        queues = [f"host.{name}" for name in names(hosts)]
        app.conf.task_queues = [Queue(q, Exchange(q, type="direct"), routing_key=q) for q in queues]
        held = [used(client)]
        for _ in range(2):
            for queue in queues:
                app.send_task(NOTHING, args=[hosts], queue=queue, retry=False)
            held.append(used(client))
        app.close()
    return (held[1] - held[0]) / hosts, (held[2] - held[1]) / hosts


def _results(client: "redis.Redis[bytes]", hosts: int) -> Iterator[Figure]:
    parts = [null_part(trial) for trial in null_trials(names(min(hosts, 1000)), 1)]
    before = used(client)
    for part in parts:
        deliver(client, part.receipt, part.data, "nulls")
    grown = (used(client) - before) / len(parts)
    size = sum(len(part.data) for part in parts) / len(parts)
    yield Figure("broker's memory per result on its way", grown, "bytes", size, "the part itself")
