"""Pages of ``tonnage serve`` over 1,000 hosts and 100 campaigns, and how soon a trial's end is seen.

The limit is a page of bare starlette and uvicorn in another process: a constant text, asked for by
the same client in turn. Of the campaigns most are small; one has ten trials on every host. The end of a
trial is from the moment that its part is stored to the answer that counts it, by the stream of events.
"""

import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import engines
from figure import Figure, Size
from interleaved import in_turn, medians
from null_campaign import null_trials
from null_fleet import names
from null_worker import null_part
from speed.broker_memory import registered
from speed.hosts_and_status import measured_campaign

from contract.parts import part_name
from orchestrator.received import End
from orchestrator.results import Results

NEEDS: tuple[str, ...] = ("redis",)
HOSTS = {Size.SMOKE: 20, Size.FULL: 1000, Size.HUGE: 10_000}
CAMPAIGNS = {Size.SMOKE: 3, Size.FULL: 100, Size.HUGE: 300}
SMALL_HOSTS = 20
TRIALS_PER_HOST = 10
ROUNDS = {Size.SMOKE: 2, Size.FULL: 15, Size.HUGE: 15}
ENDS = {Size.SMOKE: 1, Size.FULL: 5, Size.HUGE: 5}
BUDGET_MS = 200.0
SEEN_BUDGET_S = 2.0
PAGES = {
    "fleet": "/",
    "fleet, found by words": "/?q=h000&sort=clock",
    "campaigns": "/campaigns",
    "campaign": "/campaigns/large",
    "trials": "/campaigns/large/trials?page=3",
    "capacity, empty form": "/capacity",
    "compare, empty form": "/compare",
}
_BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route
def page(request): return HTMLResponse("<p>" + "x" * 20_000)
uvicorn.run(Starlette(routes=[Route("/", page)]), port=int(sys.argv[1]), log_level="error")
"""
_OURS = "from orchestrator.cli import main; main()"


def _get(port: int, path: str) -> bytes:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request("GET", path)
    answer = client.getresponse()
    body = answer.read()
    client.close()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status}")
    return body


def _ms(port: int, path: str) -> Callable[[], float]:
    def once() -> float:
        begun = time.perf_counter()
        _get(port, path)
        return (time.perf_counter() - begun) * 1e3

    return once


@contextmanager
def _server(*words: str, port: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", *words], stdout=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 60
        while True:
            try:
                _get(port, "/")
                break
            except OSError:
                if time.monotonic() > give_up or process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _fill(root: Path, size: Size) -> Results:
    measured_campaign(large := Results(root / "large"), HOSTS[size], TRIALS_PER_HOST)
    for number in range(CAMPAIGNS[size] - 1):
        measured_campaign(Results(root / f"small-{number:03}"), SMALL_HOSTS, TRIALS_PER_HOST)
    return large


def _ends_seen_s(port: int, results: Results, size: Size) -> list[float]:
    """Store parts one by one, each when the page shows the one before."""
    all_of_them = null_trials(names(HOSTS[size]), TRIALS_PER_HOST)
    trials = [trial for trial in all_of_them if trial.block == TRIALS_PER_HOST - 1]
    done = len(results.attempts())
    part = null_part(trials[0])
    stream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    stream.request("GET", "/live?topic=campaign:large")
    events = stream.getresponse()
    found = []
    for number, trial in enumerate(trials[: ENDS[size]]):
        time.sleep(1.5)
        begun = time.perf_counter()
        results._publish(
            {part_name(trial.trial_id, 1): part.data},
            [(part_name(trial.trial_id, 1), part.data, End("completed", "valid", ""))],
        )
        wanted = f"{done + number + 1:,} of".replace(",", "\N{NARROW NO-BREAK SPACE}").encode()
        while wanted not in _get(port, "/campaigns/large"):
            while not events.readline().startswith(b"data"):
                pass
        found.append(time.perf_counter() - begun)
    stream.close()
    return found


def measure(size: Size) -> Iterator[Figure]:
    """Milliseconds per page, then seconds until an end is seen."""
    with engines.redis() as broker, tempfile.TemporaryDirectory(prefix="tng-serve-") as folder:
        root, port, bare_port = Path(folder), engines.free_port(), engines.free_port()
        results = _fill(root, size)
        listen = ["--results-root", str(root), "--listen", f"127.0.0.1:{port}", "--broker", broker]
        with (
            registered(broker, HOSTS[size]),
            _server(_BARE, str(bare_port), port=bare_port),
            _server(_OURS, "serve", *listen, port=port),
        ):
            while b"still being read" in _get(port, "/campaigns"):
                time.sleep(0.2)
            yield from _pages(size, port, bare_port)
            seen = _ends_seen_s(port, results, size)
            case = f"a trial's end is on the page, of {HOSTS[size] * TRIALS_PER_HOST:,} trials"
            yield Figure(case, max(seen), "s", budget=SEEN_BUDGET_S, note=f"the longest of {len(seen)}")


def _pages(size: Size, port: int, bare_port: int) -> Iterator[Figure]:
    ways = {name: _ms(port, path) for name, path in PAGES.items()} | {"bare": _ms(bare_port, "/")}
    found = medians(in_turn(ROUNDS[size], ways))
    bare = found.pop("bare")
    for name, ms in found.items():
        case = f"page {name}, {HOSTS[size]:,} hosts, {CAMPAIGNS[size]} campaigns"
        yield Figure(
            case, ms, "ms", budget=BUDGET_MS, note=f"a page of bare starlette needs {bare:.1f} ms"
        )
