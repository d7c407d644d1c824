"""What worker and sampler use of the host that they measure: processors and memory, idle and at work.

The idle worker is beside a bare Celery worker of the same pool, with a task that does nothing. The
sampler is beside the same event loop without it.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import engines
import psutil
from figure import Figure, Size
from interleaved import in_turn, medians
from process_tree import Use, cpus_of, end
from redis import Redis
from trial_batches import TrialBatches

from contract import wire
from workers.drivers.base import Instance
from workers.experiments.lifecycle import LifecycleParams
from workers.host import load_now
from workers.sampler import _LAG_STEP_S, Sampler
from workers.settings import HostSettings

NEEDS: tuple[str, ...] = ("redis",)
IDLE_S = {Size.SMOKE: 1.0, Size.FULL: 20.0, Size.HUGE: 300.0}
SAMPLED_S = {Size.SMOKE: 0.3, Size.FULL: 4.0, Size.HUGE: 20.0}
ROUNDS = {Size.SMOKE: 1, Size.FULL: 5, Size.HUGE: 20}
INSTANCES = (0, 20)
UP_S = 60.0
IDLE_BUDGET = 0.01
"""Ours: an idle worker takes a hundredth of a processor."""
SAMPLER_BUDGET = 0.02
"""Ours: a sampler beside a trial takes a fiftieth."""
TOP = Path(__file__).parents[3]


def measure(size: Size) -> Iterator[Figure]:
    """Processors, MiB, and microseconds of one sample."""
    yield from _worker(IDLE_S[size])
    with engines.short_folder() as folder:
        host = HostSettings(name="bench", state_dir=folder / "state", run_dir=folder / "run")
        with TrialBatches("process", host) as batches:
            for instances in INSTANCES:
                yield from _sampler(batches, instances, size)
    yield _sample()


def _worker(seconds: float) -> Iterator[Figure]:
    limit_is = "bare Celery worker"
    with ExitStack() as stack:
        broker = stack.enter_context(engines.redis())
        folder = stack.enter_context(engines.short_folder())
        command = [sys.executable, "-c", "from orchestrator.cli import main; main()", "worker"]
        places = ["--state-dir", str(folder / "state"), "--run-dir", str(folder / "run")]
        ours = stack.enter_context(_started([*command, "--name", "bench", "--broker", broker, *places]))
        another = {"BARE_WORKER_BROKER": broker.removesuffix("/0") + "/1"}
        bare_command = [sys.executable, str(TOP / "tests/bench/bare_worker.py")]
        bare = stack.enter_context(_started(bare_command, another))
        client = stack.enter_context(Redis.from_url(broker))
        _wait(lambda: bool(client.exists(wire.heartbeat_key("bench"))))
        for process in (ours, bare):
            _wait(lambda process=process: len(process.children()) >= 1)
        time.sleep(min(8.0, 3 * seconds))  # what is done once after the start
        cpus = cpus_of({"ours": ours.pid, "bare": bare.pid}, seconds)
        mine, limit = Use.of(ours.pid), Use.of(bare.pid)
    yield Figure("idle worker", cpus["ours"], "cpus", cpus["bare"], limit_is, note="heartbeat every 2 s")
    yield Figure(
        "idle worker, at most",
        cpus["ours"],
        "cpus",
        budget=IDLE_BUDGET,
        note=f"{mine.processes} processes over {seconds:g} s",
    )
    yield Figure("idle worker, PSS", mine.pss_bytes / 2**20, "MiB", limit.pss_bytes / 2**20, limit_is)
    yield Figure("idle worker, RSS", mine.rss_bytes / 2**20, "MiB", limit.rss_bytes / 2**20, limit_is)


@contextmanager
def _started(command: list[str], more: Mapping[str, str] = {}) -> Iterator[psutil.Popen]:
    process = psutil.Popen(command, env={**os.environ, "PYTHONPATH": str(TOP), **more})
    try:
        yield process
    finally:
        end(process)


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + UP_S
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a worker did not come up within {UP_S:g} s")
        time.sleep(0.1)


def _sampler(batches: TrialBatches, instances: int, size: Size) -> Iterator[Figure]:
    """Processor seconds of this process per second, with a sampler and without, beside instances."""
    seconds = SAMPLED_S[size]
    ways = {
        "with": lambda: _cpus(lambda: batches.run(_section(batches, seconds, sampled=True))),
        "without": lambda: _cpus(lambda: batches.run(_section(batches, seconds, sampled=False))),
        "thread": lambda: _cpus(lambda: _wake(seconds)),
    }
    made = batches.run(_bring_up(batches, instances))
    try:
        found = medians(in_turn(ROUNDS[size], ways))
    finally:
        batches.run(_take_down(batches, made))
    case, used = f"sampler beside {instances} instances", found["with"] - found["without"]
    limit_is = f"bare thread that wakes {1 / _LAG_STEP_S:.0f} times a second"
    yield Figure(case, used, "cpus", found["thread"], limit_is)
    yield Figure(
        f"{case}, at most",
        used,
        "cpus",
        budget=SAMPLER_BUDGET,
        note="the wakes are how the lateness of the worker's loop is seen; a sample comes once a second",
    )


def _cpus(work: Callable[[], object]) -> float:
    before, begun = time.process_time(), time.monotonic()
    work()
    return (time.process_time() - before) / (time.monotonic() - begun)


async def _section(batches: TrialBatches, seconds: float, *, sampled: bool) -> None:
    """A measured section in which nothing happens."""
    bench = batches.bench(LifecycleParams())
    try:
        async with Sampler(bench) if sampled else nullcontext():
            await asyncio.sleep(seconds)
    finally:
        bench.recorder.close()


def _wake(seconds: float) -> None:
    begun = time.monotonic()
    for step in range(round(seconds / _LAG_STEP_S)):
        time.sleep(max(0.0, begun + step * _LAG_STEP_S - time.monotonic()))


async def _bring_up(batches: TrialBatches, instances: int) -> list[Instance]:
    bench = batches.bench(LifecycleParams())
    made = []
    for index in range(instances):
        made.append(await batches.driver.create(bench.spec(index)))
        await batches.driver.start(made[-1])
    bench.recorder.close()
    return made


async def _take_down(batches: TrialBatches, made: list[Instance]) -> None:
    for instance in made:
        await batches.driver.remove(instance)


def _sample() -> Figure:
    """One look at the host, beside bare reads of the same files."""
    files = ("stat", "meminfo", "loadavg", "pressure/cpu", "pressure/memory", "pressure/io")
    paths = [Path("/proc", name) for name in files if Path("/proc", name).exists()]

    def bare() -> None:
        for path in paths:
            path.read_text()
        os.times()

    def us_per(work: Callable[[], object]) -> Callable[[], float]:
        def once() -> float:
            begun = time.perf_counter()
            for _ in range(50):
                work()
            return (time.perf_counter() - begun) / 50 * 1e6

        return once

    found = medians(in_turn(20, {"ours": us_per(load_now), "bare": us_per(bare)}))
    return Figure(
        "one sample of the host", found["ours"], "µs", found["bare"], "bare reads of the same files"
    )
