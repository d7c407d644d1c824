"""``tonnage hosts`` and ``tonnage status`` with thousands of hosts registered, against a second.

The limit reads the same keys with redis-py alone, in an interpreter of its own.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import engines
from figure import Figure, Size
from interleaved import in_turn, medians
from null_campaign import null_trials
from null_fleet import names
from null_worker import null_part
from speed.broker_memory import registered

from contract.parts import part_name
from orchestrator.received import End, note_ends
from orchestrator.results import Results

NEEDS: tuple[str, ...] = ("redis",)
HOSTS = {Size.SMOKE: (20,), Size.FULL: (1000, 10_000), Size.HUGE: (1000, 10_000)}
TRIALS_PER_HOST = {Size.SMOKE: 2, Size.FULL: 10, Size.HUGE: 10}
ROUNDS = {Size.SMOKE: 1, Size.FULL: 5, Size.HUGE: 10}
BUDGET_MS = 1000.0
_TONNAGE = [sys.executable, "-c", "from orchestrator.cli import main; main()"]

_BARE = """
import json, sys, redis
client = redis.Redis.from_url(sys.argv[1])
names = sorted(name.decode() for name in client.hkeys("tonnage:hosts"))
pipe = client.pipeline(transaction=False)
for kind in ("registration", "host", "activity", "quarantine"):
    pipe.mget([f"tonnage:{kind}:{name}" for name in names])
found = pipe.execute()
for said in found[0]:
    json.loads(said)
print(len(names), len(found))
"""


def _ms(*command: str) -> Callable[[], float]:
    def once() -> float:
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120)
        return (time.perf_counter() - begun) * 1e3

    return once


def measured_campaign(results: Results, hosts: int, per_host: int) -> None:
    """A campaign of which all but the last block is measured, as its coordinator leaves it.

    All parts hold the same bytes, since status opens none of them, and none is synced.
    """
    trials = null_trials(names(hosts), per_host)
    results.parts.mkdir(parents=True)
    results.freeze("campaign: nulls\n", trials)
    part, ended = null_part(trials[0]), {}
    for trial in trials:
        if trial.block < per_host - 1:
            name = part_name(trial.trial_id, 1)
            (results.parts / name).write_bytes(part.data)
            ended[name] = len(part.data), End("completed", "valid", "")
    note_ends(results.received, ended)


def measure(size: Size) -> Iterator[Figure]:
    """Milliseconds from start to exit."""
    for hosts in HOSTS[size]:
        with engines.redis() as broker, tempfile.TemporaryDirectory(prefix="tng-null-") as folder:
            results = Results(Path(folder) / "null")
            measured_campaign(results, hosts, TRIALS_PER_HOST[size])
            with registered(broker, hosts):
                yield from _commands(size, hosts, broker, results)


def _commands(size: Size, hosts: int, broker: str, results: Results) -> Iterator[Figure]:
    status = [*_TONNAGE, "status", str(results.folder), "--broker", broker]
    ways = {
        "bare": _ms(sys.executable, "-c", _BARE, broker),
        "hosts": _ms(*_TONNAGE, "hosts", "--broker", broker),
        "hosts --json": _ms(*_TONNAGE, "hosts", "--broker", broker, "--json"),
        "status": _ms(*status),
        "status --json": _ms(*status, "--json"),
    }
    found = medians(in_turn(ROUNDS[size], ways))
    bare = found.pop("bare")
    for command, ms in found.items():
        case = f"tonnage {command}, {hosts:,} hosts"
        if command.startswith("status"):
            case += f", {hosts * TRIALS_PER_HOST[size]:,} trials"
        yield Figure(case, ms, "ms", budget=BUDGET_MS,
                     note=f"redis-py alone needs {bare:.0f} ms for the hosts' keys")  # fmt: skip
