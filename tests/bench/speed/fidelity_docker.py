"""Containers by Tonnage against bare loops of the same engine calls: latency, throughput, one call.

Latency is the median of what create (with attach), start and remove (kill, delete) take together: what
rows hold of it. Throughput is lifecycles per second with everything that is between.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import engines
from docker_by_hand import Library, Program, RawHttp, batch
from figure import Figure, Size
from interleaved import in_turn, medians, ratio_interval
from trial_batches import Batch, TrialBatches

from contract.campaign import Limits
from workers.drivers.base import InstanceSpec
from workers.engines import docker_containers
from workers.engines.docker_records import DockerSettings, container_body, reference
from workers.settings import HostSettings

NEEDS: tuple[str, ...] = ("docker",)
BUDGET = 1.03
CALLS = 100


@dataclass(frozen=True)
class Plan:
    """How much is done at one concurrency. A batch has as many lifecycles as are in flight at once."""

    concurrency: int
    rounds: int
    """Against raw HTTP, which the budget is about."""
    others: int
    """Rounds against the client library and the program."""


PLANS = {
    Size.SMOKE: [Plan(1, 1, 1), Plan(4, 1, 1)],
    Size.FULL: [Plan(1, 60, 8), Plan(8, 20, 5), Plan(16, 10, 3)],
    Size.HUGE: [Plan(1, 400, 40), Plan(8, 100, 20), Plan(16, 60, 10), Plan(64, 20, 5)],
}


@dataclass
class Ways:
    """Ours and the bare loops, each as a batch."""

    batches: TrialBatches
    http: RawHttp
    library: Library
    program: Program
    seen: dict[str, list[Batch]] = field(default_factory=dict)

    def turns(self, plan: Plan, rounds: int, *names: str) -> dict[str, list[Batch]]:
        """Batches of these ways in turn, without those that warmed up."""
        self.seen = {name: [] for name in names}
        with ThreadPoolExecutor(plan.concurrency) as pool:
            in_turn(rounds, {name: self._way(name, plan.concurrency, pool) for name in names})
        return {name: batches[1:] for name, batches in self.seen.items()}

    def _way(self, name: str, lanes: int, pool: ThreadPoolExecutor) -> Callable[[], float]:
        def once() -> float:
            if name == "tonnage":
                found = self.batches.batch(lanes, lanes)
            else:
                found = batch(getattr(self, name).live, lanes, pool)
            self.seen[name].append(found)
            return found.wall_s

        return once


def measure(size: Size) -> Iterator[Figure]:
    """Milliseconds and lifecycles per second, at rising concurrency."""
    with engines.dockerd() as engine, tempfile.TemporaryDirectory(prefix="tng-") as folder:
        host = HostSettings(name="bench", state_dir=Path(folder), docker_socket=engine.socket)
        with TrialBatches("docker", host) as batches:
            yield from _figures(_ways(batches, engine.socket), PLANS[size])


def _ways(batches: TrialBatches, path: Path) -> Ways:
    spec = InstanceSpec(0, "bare", "tiny", "bench", Limits())
    body = container_body(spec, DockerSettings(), batches.owner())
    version = batches.driver.api.api_version  # type: ignore[attr-defined]
    program = Program(path, reference("tiny"))
    return Ways(batches, RawHttp(path, version, body), Library(path, version, body), program)


def _figures(ways: Ways, plans: list[Plan]) -> Iterator[Figure]:
    for plan in plans:
        lanes = f"{plan.concurrency} at once"
        found = ways.turns(plan, plan.rounds, "tonnage", "http")
        yield from _against(lanes, found, "http", "bare loop of HTTP calls", BUDGET)
        found = ways.turns(plan, plan.others, "tonnage", "library", "program")
        yield from _against(lanes, found, "library", "bare loop of the client library", None)
        yield from _against(lanes, found, "program", "loop of docker run --rm", None)
    yield from _one_call(ways)


def _against(
    lanes: str, found: dict[str, list[Batch]], name: str, limit_is: str, budget: float | None
) -> Iterator[Figure]:
    whole = name == "program"
    what = "from create to gone" if whole else "create, start and remove"
    ours, bare = (
        [(b.whole_s if whole else b.calls_s) * 1e3 for b in found[w]] for w in ("tonnage", name)
    )
    yield _figure(f"{what}, {lanes}, beside {limit_is}", "ms", ours, bare, (limit_is, budget))
    ours, bare = ([b.per_s for b in found[w]] for w in ("tonnage", name))
    yield _figure(f"lifecycles, {lanes}, beside {limit_is}", "1/s", ours, bare, (limit_is, budget))


def _figure(
    case: str, unit: str, ours: list[float], bare: list[float], limit: tuple[str, float | None]
) -> Figure:
    found = medians({"ours": ours, "bare": bare})
    faster = unit == "1/s"
    low, high = ratio_interval(bare, ours) if faster else ratio_interval(ours, bare)
    return Figure(
        case,
        found["ours"],
        unit,
        found["bare"],
        limit[0],
        limit[1],
        higher_is_better=faster,
        note=f"95 % interval of the ratio {low:.3f} to {high:.3f}, {len(ours)} rounds",
    )


def _one_call(ways: Ways) -> Iterator[Figure]:
    """A call that does next to nothing in the engine, so that what is left is the way there."""
    made = json.loads(ways.http.ask("POST", "create?name=tonnage-bare-one", ways.http.body))["Id"]
    links = ways.batches.driver.links  # type: ignore[attr-defined]

    async def ours() -> None:
        for _ in range(CALLS):
            await docker_containers.inspect(links, made)

    def by_library() -> None:
        for _ in range(CALLS):
            ways.library.api.inspect_container(made)

    def by_http() -> None:
        for _ in range(CALLS):
            json.loads(ways.http.ask("GET", f"{made}/json"))

    try:
        calls = {"tonnage": lambda: ways.batches.run(ours()), "library": by_library, "http": by_http}
        found = medians(in_turn(20, {name: _us_per_call(call) for name, call in calls.items()}))
    finally:
        ways.http.ask("DELETE", f"{made}?force=true")
    yield Figure("one call (inspect)", found["tonnage"], "µs", found["http"], "HTTP by http.client")
    yield Figure(
        "one call (inspect) of the client library",
        found["library"],
        "µs",
        found["http"],
        "HTTP by http.client",
        note="what is not in Tonnage's timed calls; of day-2 verbs exec, logs, snapshot and list pay it",
    )


def _us_per_call(calls: Callable[[], object]) -> Callable[[], float]:
    def once() -> float:
        begun = time.perf_counter()
        calls()
        return (time.perf_counter() - begun) / CALLS * 1e6

    return once
