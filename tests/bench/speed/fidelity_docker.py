"""Containers by Tonnage against bare loops of the same engine calls: latency, throughput, one call.

Latency is the median of what create (with attach), start and remove (kill, delete) take together: what
rows hold of it. Throughput is lifecycles per second with everything that is between.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import engines
from beside_bare_loops import BUDGET, BareLoop, Plan, against, turns
from docker_by_hand import Library, Program, RawHttp
from figure import Figure, Size
from instant_engine import instant_engine
from interleaved import in_turn, medians
from trial_batches import Batch, TrialBatches, by_hand

from contract.campaign import Limits
from workers.drivers.base import InstanceSpec
from workers.engines import docker_containers
from workers.engines.docker_records import DockerSettings, container_body, reference
from workers.settings import HostSettings

NEEDS: tuple[str, ...] = ("docker",)
VERBS = "create, start and remove"
CALLS = 50
ROUNDS_ALONE = {Size.SMOKE: 1, Size.FULL: 5, Size.HUGE: 100}
ROUNDS_OF_OWN_PART = {Size.SMOKE: 1, Size.FULL: 15, Size.HUGE: 100}
PLANS = {
    Size.SMOKE: [Plan(2, 1, 1)],
    Size.FULL: [Plan(1, 50, 5), Plan(8, 16, 4), Plan(16, 8, 3)],
    Size.HUGE: [Plan(1, 400, 40), Plan(8, 100, 20), Plan(16, 60, 10), Plan(64, 20, 5)],
}


def measure(size: Size) -> Iterator[Figure]:
    """Milliseconds and lifecycles per second, at rising concurrency."""
    with engines.dockerd() as engine, engines.short_folder() as folder:
        host = HostSettings(name="bench", state_dir=folder, docker_socket=engine.socket)
        with TrialBatches("docker", host) as batches:
            http, library = _bare(batches, engine.socket)
            program = Program(engine.socket, reference("tiny"))
            loops = {
                "http": BareLoop(http.live, "bare loop of HTTP calls", budget=BUDGET),
                "library": BareLoop(library.live, "bare loop of the client library"),
                "program": BareLoop(program.live, "loop of docker run --rm", has_parts=False),
            }
            for plan in PLANS[size]:
                yield from _at(batches, plan, loops)
            real_ms, pace = _pace(http, ROUNDS_ALONE[size])
            yield pace
            yield from _one_call(batches, http, library)
            library.api.close()
        yield from _own_part(folder, real_ms, size)


def _pace(http: RawHttp, rounds: int) -> tuple[float, Figure]:
    """What a bare lifecycle takes alone, ms; and how little more an engine does with many at once."""
    seen: dict[int, list[Batch]] = {1: [], 16: []}

    def by(lanes: int) -> Callable[[], float]:
        def once() -> float:
            with ThreadPoolExecutor(lanes) as pool:
                seen[lanes].append(by_hand(http.live, max(4, lanes), pool))
            return seen[lanes][-1].per_s

        return once

    found = medians(in_turn(rounds, {str(lanes): by(lanes) for lanes in seen}))
    real_ms = median(batch.calls_s for batch in seen[1][1:]) * 1e3
    return real_ms, Figure(
        "lifecycles of the bare loop of HTTP calls, 16 at once",
        found["16"],
        "1/s",
        found["1"],
        "the same loop, 1 at once",
        higher_is_better=True,
        note="dockerd does most of a lifecycle one after the other, whoever asks; the rest of the time "
        "that 16 at once take is waiting",
    )


def _own_part(folder: Path, real_ms: float, size: Size) -> Iterator[Figure]:
    """What Tonnage takes by itself, without an engine's noise, and how much that is of a real lifecycle.

    At an engine that answers at once all that is left of a lifecycle is its client's part.
    """
    with instant_engine(folder) as path:
        host = HostSettings(name="bench", state_dir=folder, docker_socket=path)
        with TrialBatches("docker", host) as batches:
            http, library = _bare(batches, path)
            loops = {"http": BareLoop(http.live, ""), "library": BareLoop(library.live, "")}
            one = turns(batches, "beacon", loops, 1, ROUNDS_OF_OWN_PART[size], each=20)
            many = turns(batches, "beacon", loops, 16, ROUNDS_OF_OWN_PART[size], each=4)
            library.api.close()
    ms = medians({name: [b.calls_s * 1e3 for b in found] for name, found in one.items()})
    per_s = medians({name: [b.per_s for b in found] for name, found in many.items()})
    for name, who, budget in (("tonnage", "Tonnage", BUDGET), ("library", "the client library", None)):
        yield Figure(
            f"{VERBS} by {who}, of an engine that answers at once",
            ms[name],
            "ms",
            ms["http"],
            "bare loop of HTTP calls",
        )
        yield Figure(
            f"{VERBS} by {who}, 1 at once, reckoned",
            real_ms + ms[name] - ms["http"],
            "ms",
            real_ms,
            "bare loop of HTTP calls at a real engine",
            budget,
            note="what it takes more at an engine that answers at once, on top of the bare loop's "
            "time at a real one: free of an engine's noise",
        )
        yield Figure(
            f"lifecycles by {who}, 16 at once, of an engine that answers at once",
            per_s[name],
            "1/s",
            per_s["http"],
            "bare loop of HTTP calls",
            higher_is_better=True,
            note="far more than an engine can do, so the engine sets the pace"
            if budget is not None
            else "",
        )


def _bare(batches: TrialBatches, path: Path) -> tuple[RawHttp, Library]:
    spec = InstanceSpec(0, "bare", "tiny", "bench", Limits())
    body = container_body(spec, DockerSettings(), batches.owner())
    version = batches.driver.api.api_version  # type: ignore[attr-defined]
    return RawHttp(path, version, body), Library(path, version, body)


def _at(batches: TrialBatches, plan: Plan, loops: dict[str, BareLoop]) -> Iterator[Figure]:
    """The loop with a budget takes more turns than the others."""
    lanes = plan.concurrency
    for names, rounds in ((["http"], plan.rounds), (["library", "program"], plan.others)):
        found = turns(batches, "beacon", {name: loops[name] for name in names}, lanes, rounds)
        for name in names:
            yield from against(lanes, loops[name], found["tonnage"], found[name], VERBS)


def _one_call(batches: TrialBatches, http: RawHttp, library: Library) -> Iterator[Figure]:
    """A call that does next to nothing in the engine, so that what is left is the way there."""
    made = json.loads(http.ask("POST", "create?name=tonnage-bare-one", http.body))["Id"]
    links = batches.driver.links  # type: ignore[attr-defined]

    async def ours() -> None:
        for _ in range(CALLS):
            await docker_containers.inspect(links, made)

    def by_library() -> None:
        for _ in range(CALLS):
            library.api.inspect_container(made)

    def by_http() -> None:
        for _ in range(CALLS):
            json.loads(http.ask("GET", f"{made}/json"))

    try:
        calls = {"tonnage": lambda: batches.run(ours()), "library": by_library, "http": by_http}
        found = medians(in_turn(20, {name: _us_per_call(call) for name, call in calls.items()}))
    finally:
        http.ask("DELETE", f"{made}?force=true")
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
