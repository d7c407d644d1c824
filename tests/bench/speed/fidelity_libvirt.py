"""Domains by Tonnage against bare loops of libvirt's library and of virsh: latency and throughput.

Timed from define until libvirt says that the domain runs, then destroy and undefine. Guests are not
waited for: under emulation their boot would be most of it. libvirt's destroy looks every 200 ms whether
QEMU is gone, so what it takes comes in steps.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from statistics import median
from typing import Any

import engines
from beside_bare_loops import BUDGET, BareLoop, Plan, against, turns
from figure import Figure, Size
from interleaved import in_turn, medians
from libvirt_by_hand import Library, Template, Virsh
from trial_batches import TrialBatches

from contract.campaign import Limits
from workers.drivers.base import InstanceSpec
from workers.engines import libvirt_calls
from workers.engines.domain_xml import domain_xml
from workers.settings import HostSettings

NEEDS: tuple[str, ...] = ("libvirt",)
VERBS = "define, start, destroy and undefine"
SETTINGS = {"accel": "tcg", "memory_mib": 128}
MANY = 8
"""More than a daemon serves of one client at a time."""
PLANS = {
    Size.SMOKE: [Plan(1, 1, 0)],
    Size.FULL: [Plan(1, 18, 3), Plan(4, 8, 2)],
    Size.HUGE: [Plan(1, 200, 20), Plan(4, 100, 20)],
}
ROUNDS_OF_OWN_PART = {Size.SMOKE: 1, Size.FULL: 10, Size.HUGE: 100}
FOUR = ("define", "start", "destroy", "undefine")
ROUNDS_OF_MANY = {Size.SMOKE: 0, Size.FULL: 3, Size.HUGE: 20}


def measure(size: Size) -> Iterator[Figure]:
    """Milliseconds and lifecycles per second at rising concurrency; many calls of one client."""
    uri = os.environ.get("TONNAGE_TEST_LIBVIRT_URI", "qemu:///system")
    with ExitStack() as stack:
        stack.enter_context(engines.libvirtd(uri))
        folders = [stack.enter_context(engines.short_folder()) for _ in range(3)]
        host = HostSettings(name="bench", state_dir=folders[0], run_dir=folders[1], libvirt_uri=uri)
        batches = stack.enter_context(TrialBatches("libvirt", host, SETTINGS))
        template = Template(_xml(batches), folders[2])
        library = Library(uri, template)
        stack.callback(library.close)
        loops = {
            "library": BareLoop(library.live, "bare loop of libvirt's library", budget=BUDGET),
            "virsh": BareLoop(Virsh(uri, template).live, "loop of virsh"),
        }
        for plan in PLANS[size]:
            yield from _at(batches, plan, loops)
        yield from _own_part(batches, library, ROUNDS_OF_OWN_PART[size])
        if rounds := ROUNDS_OF_MANY[size]:
            yield _many(batches, uri, template, rounds)


def _xml(batches: TrialBatches) -> str:
    spec = InstanceSpec(0, "bare", "tiny", "bench", Limits())
    return domain_xml(batches.run(batches.driver._domain(spec)))  # type: ignore[attr-defined]


def _at(batches: TrialBatches, plan: Plan, loops: dict[str, BareLoop]) -> Iterator[Figure]:
    for name, rounds in (("library", plan.rounds), ("virsh", plan.others)):
        if rounds:
            found = turns(batches, "started", {name: loops[name]}, plan.concurrency, rounds)
            yield from against(plan.concurrency, loops[name], found["tonnage"], found[name], VERBS)


def _own_part(batches: TrialBatches, library: Library, rounds: int) -> Iterator[Figure]:
    """What a lifecycle takes beside the four calls of libvirt that a bare loop makes, too.

    Guests that boot and destroys in steps of 200 ms are in both and make noise; what is added is not.
    """
    session = batches.driver._session  # type: ignore[attr-defined]
    plain, calls_s = session.call, dict[str, float]()

    def noted(function: Callable[..., Any], *more: Any) -> Any:
        begun = time.perf_counter()
        try:
            return plain(function, *more)
        finally:  # a second destroy is not a bare loop's
            calls_s.setdefault(function.__name__, time.perf_counter() - begun)

    own_ms, bare_ms = [], []
    session.call = noted
    try:
        for _ in range(rounds + 1):
            calls_s.clear()
            life = batches.batch(1, 1, "started").lives[0]
            own_ms.append((life.up_s + life.down_s - sum(calls_s[name] for name in FOUR)) * 1e3)
            bare = library.live()
            bare_ms.append((bare.up_s + bare.down_s) * 1e3)
    finally:
        session.call = plain
    own, real = median(own_ms[1:]), median(bare_ms[1:])
    yield Figure(
        "what Tonnage adds to the four calls of libvirt, 1 at once",
        own,
        "ms",
        note="console, PID file, look-ups by UUID, one more destroy, turns of threads and event loop",
    )
    yield Figure(
        f"{VERBS}, 1 at once, reckoned",
        real + own,
        "ms",
        real,
        "bare loop of libvirt's library",
        BUDGET,
        note="the bare loop's time and what Tonnage adds: free of the guests' noise",
    )


def _many(batches: TrialBatches, uri: str, template: Template, rounds: int) -> Figure:
    """Destroy waits rather than works, so what is served one after the other shows."""
    one = Library(uri, template, shared=True)

    def by_one(domains: list[str]) -> None:
        def destroy(number: str) -> None:
            one.connection().lookupByUUIDString(number).destroy()

        with ThreadPoolExecutor(MANY) as pool:
            list(pool.map(destroy, domains))

    def by_driver(domains: list[str]) -> None:
        driver = batches.driver

        async def destroy_all() -> None:
            ask = driver._ask  # type: ignore[attr-defined]
            await asyncio.gather(*(ask(libvirt_calls.destroy, number) for number in domains))

        batches.run(destroy_all())

    try:
        ways = {"tonnage": _timed(one, by_driver), "one": _timed(one, by_one)}
        found = medians(in_turn(rounds, ways))
    finally:
        one.close()
    return Figure(
        f"{MANY} destroys at once",
        found["tonnage"],
        "s",
        found["one"],
        "one client's connection",
        note="a stock daemon serves five requests of a client at a time, and the client library is late "
        "with answers of calls that share a connection: in Tonnage none do",
    )


def _timed(library: Library, destroy: Callable[[list[str]], None]) -> Callable[[], float]:
    def once() -> float:
        with ExitStack() as stack:
            domains = [stack.enter_context(library.paused()).UUIDString() for _ in range(MANY)]
            begun = time.perf_counter()
            destroy(domains)
            return time.perf_counter() - begun

    return once
