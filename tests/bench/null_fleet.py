"""Null trials on simulated hosts: worker processes, our coordinator, and the bare loop of Celery."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from celery import Celery
from kombu import Exchange, Queue
from null_campaign import null_trials
from null_worker import DONE, NOTHING, TRIAL

from contract import wire
from contract.broker import connect

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
UP_S = 120.0
PER_TRIAL_S = 0.2
"""No trial may take longer than this on average: a run that does is ended."""


@dataclass(frozen=True)
class Ran:
    """What so many trials, or no-ops, took from the first message to the last answer."""

    trials: int
    wall_s: float
    sender_cpu_s: float
    worker_cpu_s: float
    broker_cpu_s: float
    peak_bytes: int = 0
    """Of the coordinator's memory; 0 where it was not a process of its own."""
    prepare_s: float = 0.0
    """Planning and writing the plan, before the first message."""

    def ms(self, seconds: float) -> float:
        """Milliseconds per trial."""
        return seconds / self.trials * 1e3


def names(hosts: int) -> list[str]:
    """Simulated hosts' names."""
    return [f"sim-{number:04d}" for number in range(1, hosts + 1)]


def wire_queues(hosts: int) -> list[str]:
    """Their queues."""
    return [f"host.{name}" for name in names(hosts)]


def wait_until(reached: Callable[[], bool], what: str, wait_s: float, poll_s: float = 0.02) -> None:
    """Poll until something is so. Raises TimeoutError."""
    deadline = time.monotonic() + wait_s
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {wait_s:g} s still not: {what}")
        time.sleep(poll_s)


class NullFleet:
    """One broker and one worker process that stands for all hosts."""

    def __init__(self, broker: str, hosts: int, worker: psutil.Process) -> None:
        self.broker, self.hosts = broker, hosts
        self._worker = worker
        self._client = connect(broker)

    def bare(self, count: int) -> Ran:
        """A loop of ``send_task`` over all queues of a task that does nothing."""
        queues = wire_queues(self.hosts)
        return self._loop(NOTHING, [(queues[place % len(queues)], [count]) for place in range(count)])

    def bare_trials(self, per_host: int) -> Ran:
        """The same loop of a task that measures a null trial, and of so many of these per host."""
        trials = null_trials(names(self.hosts), per_host)
        contents = [(trial.host, trial.model_dump(mode="json")) for trial in trials]
        return self._loop(TRIAL, [(f"host.{host}", [len(trials), body]) for host, body in contents])

    def _loop(self, task: str, messages: list[tuple[str, list[Any]]]) -> Ran:
        """Send all, queue after queue, and wait until the worker has run all."""
        app = Celery("bare", set_as_current=False)
        app.conf.update(wire.celery_settings(self.broker))
        queues = wire_queues(self.hosts)
        app.conf.task_queues = [Queue(q, Exchange(q, type="direct"), routing_key=q) for q in queues]
        app.conf.task_default_queue = queues[0]
        self._client.delete(DONE)
        before = self._cpu()
        begun, cpu = time.monotonic(), time.process_time()
        for queue, arguments in messages:
            app.send_task(task, args=arguments, queue=queue, retry=False)
        sent = time.process_time() - cpu
        done = lambda: not runs(self._worker) or bool(self._client.exists(DONE))  # noqa: E731
        wait_until(done, f"all of {task} have run", UP_S + len(messages) * PER_TRIAL_S, 0.002)
        wall = time.monotonic() - begun
        app.close()
        if not runs(self._worker):
            raise RuntimeError("the worker has ended")
        return Ran(len(messages), wall, sent, *self._since(before))

    def ours(self, per_host: int) -> Ran:
        """A coordinator process with a campaign of so many null trials per host."""
        count = per_host * self.hosts
        before = self._cpu()
        with tempfile.TemporaryDirectory(prefix="tng-null-") as folder:
            arguments = [self.broker, f"{folder}/results", str(per_host), f"c-{uuid.uuid4().hex[:8]}"]
            done = subprocess.run(
                [sys.executable, str(HERE / "null_campaign.py"), *arguments],
                check=True,
                stdout=subprocess.PIPE,
                env=ENVIRONMENT,
                timeout=UP_S + count * PER_TRIAL_S,
            )
        said = json.loads(done.stdout)
        assert said["trials"] == count
        loop = said["loop"]
        cpus = self._since(before)
        return Ran(
            count, loop["wall_s"], loop["cpu_s"], *cpus, said["peak_bytes"], said["prepare"]["wall_s"]
        )

    def _cpu(self) -> tuple[float, float]:
        """CPU seconds of worker and broker so far."""
        times, info = self._worker.cpu_times(), self._client.info("cpu")
        return times.user + times.system, info["used_cpu_user"] + info["used_cpu_sys"]

    def _since(self, before: tuple[float, float]) -> tuple[float, float]:
        worker, broker = self._cpu()
        return worker - before[0], broker - before[1]


def runs(worker: psutil.Process) -> bool:
    """Whether it has not ended: one that has stays a zombie until we ask for its end."""
    return worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE


def alive(broker: str) -> int:
    """How many simulated hosts have a heartbeat."""
    client = connect(broker)
    registered = [name.decode() for name in client.hkeys(wire.REGISTRY)]
    beats = client.mget([wire.heartbeat_key(name) for name in registered]) if registered else []
    return sum(beat is not None for beat in beats)


@contextmanager
def worker_process(command: list[str]) -> Iterator[psutil.Process]:
    """A worker for as long as the block runs, in a state folder of its own."""
    with tempfile.TemporaryDirectory(prefix="tng-null-") as state, ExitStack() as stack:
        log = stack.enter_context((Path(state) / "log").open("wb"))
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=ENVIRONMENT | {"TONNAGE_STATE_DIR": state}
        )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
            if process.returncode not in (0, -signal.SIGTERM):
                print((Path(state) / "log").read_text()[-3000:], file=sys.stderr)


@contextmanager
def null_fleet(broker: str, hosts: int, how: str) -> Iterator[NullFleet]:
    """A worker that stands for the hosts and takes messages; ``how`` as null_worker.py has it."""
    command = [sys.executable, str(HERE / "null_worker.py"), broker, str(hosts), "1", how]
    with worker_process(command) as worker:
        up = lambda: not runs(worker) or alive(broker) == hosts  # noqa: E731
        wait_until(up, "all hosts are alive", UP_S)
        fleet = NullFleet(broker, hosts, worker)
        fleet.bare(hosts)  # it takes messages now, and all queues are there
        yield fleet
