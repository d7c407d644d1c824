"""From the start of a worker process to its first trial begun, against a bare Celery worker."""

import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import engines
from celery import Celery
from figure import Figure, Size
from interleaved import in_turn, medians
from kombu import Queue
from null_fleet import HERE, runs, wait_until, worker_process
from trials import make_trial

from contract import wire
from contract.broker import connect
from contract.parts import read_part
from orchestrator.dispatch import Order
from orchestrator.dispatch_celery import CeleryDispatcher

NEEDS: tuple[str, ...] = ("redis",)
ROUNDS = {Size.SMOKE: 1, Size.FULL: 7, Size.HUGE: 20}
SIMULATED = {Size.SMOKE: (), Size.FULL: ("1", "1000"), Size.HUGE: ("1", "1000", "10000")}
UP_S = 300.0
NOWHERE = "/nowhere/socket"
TASK, BEGAN = "bench.begin", "bench:began"
"""Of telling_worker.py, which is a program of its own."""
_TONNAGE = [sys.executable, "-c", "from orchestrator.cli import main; main()"]


def measure(size: Size) -> Iterator[Figure]:
    """The message waits in the queue already."""
    with engines.redis() as broker:
        ways: dict[str, Callable[[], float]] = {
            "bare": lambda: _bare(broker),
            "worker": lambda: _ours(broker),
        }
        for hosts in SIMULATED[size]:
            ways[hosts] = partial(_ours, broker, "--simulate", hosts)
        found = medians(in_turn(ROUNDS[size], ways))
    limit = "bare Celery worker, prefork of one, until its first task"
    yield Figure(
        "tonnage worker, until its first trial", found["worker"], "s", found["bare"], limit,
        note="ours looks at all engines, registers, and starts its child by spawn, not fork",
    )  # fmt: skip
    for hosts in SIMULATED[size]:
        case = f"tonnage worker --simulate {hosts}, until its first trial"
        yield Figure(case, found[hosts], "s", found["bare"], limit)


def _until(answer: Callable[[], Any], command: list[str]) -> Any:
    with worker_process(command) as worker:
        wait_until(lambda: not runs(worker) or answer() is not None, "it begins", UP_S, poll_s=0.01)
        return answer()


def _ours(broker: str, *simulated: str) -> float:
    own = uuid.uuid4().hex[:8]  # a real host's name may be held once on a machine
    host, campaign = ("sim-0001" if simulated else f"start-{own}"), f"c-{own}"
    client = connect(broker)
    dispatcher = CeleryDispatcher(broker, campaign, [host])
    dispatcher.send(Order(make_trial(campaign=campaign, host=host), 1))
    with tempfile.TemporaryDirectory(prefix="tng-start-") as folder:
        options = ["--broker", broker, "--name", host, "--state-dir", f"{folder}/s"]
        options += ["--run-dir", f"{folder}/r", "--docker-socket", NOWHERE, "--podman-socket", NOWHERE]
        options += ["--libvirt-uri", f"qemu:///system?socket={NOWHERE}", *simulated]
        begun_ns = time.time_ns()
        data = _until(
            lambda: next((f[b"part"] for _, f in client.xrange(wire.stream_key(campaign))), None),
            [*_TONNAGE, "worker", *options],
        )
    client.flushdb()
    return float((read_part(data).record.started_at_ns or 0) - begun_ns) / 1e9


def _bare(broker: str) -> float:
    client, queue = connect(broker), "bench.start"
    app = Celery("bare", broker=broker, set_as_current=False)
    app.conf.task_queues = [Queue(queue, routing_key=queue)]
    app.conf.task_default_queue = queue
    app.send_task(TASK, queue=queue, retry=False)
    app.close()
    begun_ns = time.time_ns()
    command = [sys.executable, str(HERE / "telling_worker.py"), broker, queue]
    said = _until(lambda: client.get(BEGAN), command)
    client.flushdb()
    return float(int(said) - begun_ns) / 1e9
