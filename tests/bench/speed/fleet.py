"""A whole campaign on thousands of simulated hosts: ``tonnage run`` and workers, to the last record.

Full: 1,000 hosts × 5 trials. Huge: 10,000 hosts × 10 trials, half an hour and some GiB.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import engines
from figure import Figure, Size
from null_campaign import write_campaign
from null_fleet import ENVIRONMENT, alive, runs, wait_until, worker_process

from contract.broker import connect
from contract.parts import list_parts

NEEDS: tuple[str, ...] = ("redis",)
HOSTS = {Size.SMOKE: 20, Size.FULL: 1000, Size.HUGE: 10_000}
BLOCKS = {Size.SMOKE: 2, Size.FULL: 5, Size.HUGE: 10}
HOSTS_PER_WORKER = 500
UP_S = 300.0
END_S = {Size.SMOKE: 120.0, Size.FULL: 600.0, Size.HUGE: 5400.0}
_TONNAGE = [sys.executable, "-c", "from orchestrator.cli import main; main()"]


@dataclass
class Course:
    """When a run had come how far, in seconds from its start, and what it took."""

    at_s: dict[str, float] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    """Of its memory until then."""
    cpu_s: float = 0.0
    code: int = -1


def measure(size: Size) -> Iterator[Figure]:
    """One run, from nothing to the report."""
    hosts, blocks = HOSTS[size], BLOCKS[size]
    trials = hosts * blocks
    with (
        engines.redis() as broker,
        ExitStack() as stack,
        tempfile.TemporaryDirectory(prefix="tng-fleet-") as folder,
    ):
        workers = [
            stack.enter_context(worker_process(_worker(broker, first, min(HOSTS_PER_WORKER, hosts))))
            for first in range(1, hosts + 1, HOSTS_PER_WORKER)
        ]
        wait_until(
            lambda: alive(broker) == hosts or not all(map(runs, workers)),
            "all hosts are alive",
            UP_S,
            0.5,
        )
        client = connect(broker)
        client.config_resetstat()
        course = _run(broker, Path(folder), blocks, END_S[size])
        _see_that_it_is_exact(Path(folder) / "results", trials)
        case = f"{hosts:,} hosts × {blocks} trials"
        measured_s = course.at_s["measured"]
        yield Figure(f"{case}: from start to the last part", measured_s, "s")
        yield Figure(f"{case}: trials per second until then", trials / measured_s, "trials/s")
        yield Figure(f"{case}: gathering", course.at_s["gathered"] - measured_s, "s")
        yield Figure(f"{case}: report", course.at_s["reported"] - course.at_s["gathered"], "s")
        for mark, what in (("measured", "until then"), ("reported", "gathering and report included")):
            peak = course.peak_bytes[mark] / 2**20
            yield Figure(f"{case}: coordinator's peak memory, {what}", peak, "MiB")
        yield Figure(f"{case}: coordinator's CPU, all included", course.cpu_s, "s")
        peak = client.info("memory")["used_memory_peak"]
        yield Figure(f"{case}: broker's peak memory", peak / 2**20, "MiB")
        memory = max(worker.memory_info().rss for worker in workers)
        yield Figure(f"{case}: memory of a worker for {min(hosts, HOSTS_PER_WORKER):,} hosts",
                     memory / 2**20, "MiB")  # fmt: skip


def _worker(broker: str, first: int, count: int) -> list[str]:
    return [*_TONNAGE, "worker", "--broker", broker, "--simulate", str(count), "--first", str(first)]


def _run(broker: str, folder: Path, blocks: int, longest_s: float) -> Course:
    """``tonnage run`` to its end, its progress told by the files that it makes."""
    file, results = write_campaign(folder, "nulls", blocks), folder / "results"
    marks = {"measured": results / ".dataset", "gathered": results / "dataset"}
    course, begun = Course(), time.monotonic()
    command = [*_TONNAGE, "run", str(file), "--broker", broker, "--results", str(results)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        now_s = time.monotonic() - begun
        for mark, path in marks.items():
            if mark not in course.at_s and path.exists():
                course.at_s[mark] = now_s
                course.peak_bytes[mark] = _peak_bytes(process.pid)
        if pid:
            process.returncode = course.code = os.waitstatus_to_exitcode(status)
            break
        if now_s > longest_s:
            process.kill()
        time.sleep(0.05)
    assert course.code == 0, (folder / "log").read_text()[-3000:]
    course.at_s["reported"], course.peak_bytes["reported"] = now_s, usage.ru_maxrss * 1024
    course.cpu_s = usage.ru_utime + usage.ru_stime
    for earlier, later in (("gathered", "reported"), ("measured", "gathered")):  # too short to be seen
        course.at_s.setdefault(earlier, course.at_s[later])
        course.peak_bytes.setdefault(earlier, course.peak_bytes[later])
    return course


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _see_that_it_is_exact(results: Path, trials: int) -> None:
    """Every planned trial is one record and one instance, measured once."""
    parts = list_parts(results / "parts")
    assert len(parts) == trials
    table = f"'{results}/dataset/trials/trials.parquet'"
    (rows,) = duckdb.sql(
        f"select count(*), count(distinct trial_id), sum((outcome = 'completed')::int) from {table}"
    ).fetchall()
    assert rows == (trials, trials, trials), rows
    again = sum(attempts != (1,) for attempts in parts.values())
    print(f"  {again} of {trials} trials were sent more than once")
