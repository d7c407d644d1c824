"""The life of one instance in stamped stages: up to its ready level, and down to nothing."""

import asyncio
import http.client
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import AfterValidator

from contract.campaign import Limits
from contract.catalog import Capability
from contract.errors import AgentSilent, EngineTimeout, InstanceExited, TonnageError
from contract.rows import InstanceRow
from workers.agent import Agent
from workers.bench import Bench
from workers.console import Console
from workers.drivers.base import Instance

_LEVEL = re.compile(r"started|beacon|reply|tcp:([0-9]{1,5})|http:([0-9]{1,5})/[!-~]*")


def _ready_level(level: str) -> str:
    found = _LEVEL.fullmatch(level)
    if found is None:
        raise ValueError("started, beacon, reply, tcp:PORT or http:PORT/PATH")
    port = found[1] or found[2]
    if port is not None and not 0 < int(port) < 65536:
        raise ValueError("a port from 1 to 65535")
    return level


ReadyLevel = Annotated[str, AfterValidator(_ready_level)]
"""What counts as ready, as parameters and rows say it."""

TAKE_DOWN_BUDGET_S = 60.0
"""Own budget of every removal: running out of it costs no results."""
RECLAIM_DEADLINE_S = 10.0
_POLL_S = 0.005
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Instances are asked directly, whatever proxy this host has for the world outside."""


@dataclass(slots=True)
class Running:
    """An instance that was brought up, or as far as it got."""

    row: InstanceRow
    brings_image: bool = False
    """The image was dropped: bringing it anew is part of creating the instance."""
    revived: bool = False
    """The engine is to start it again whenever it ends by itself."""
    image: str | None = None
    """Instead of the trial's own."""
    limits: Limits | None = None
    """Instead of the trial's own."""
    pids: int | None = None
    """Most processes and threads that it may have."""
    suffix: str = ""
    """Of its name, where another of the same number may still be there."""
    instance: Instance | None = None
    console: Console | None = None
    agent: Agent | None = None


def needs_of(ready: str) -> frozenset[Capability]:
    """What a driver must offer for a ready level."""
    if ready in ("beacon", "reply"):
        return frozenset({Capability.CONSOLE})
    return frozenset() if ready == "started" else frozenset({Capability.ADDRESS})


async def bring_up(bench: Bench, running: Running, deadline_s: float) -> bool:
    """Create, start and wait until ready, stamping the row. Returns whether it became ready.

    A failure is the row's outcome, never an exception; what exists by then is left in ``running`` for
    ``take_down``. Cancellation passes through.
    """
    row = running.row
    try:
        async with asyncio.timeout(deadline_s):
            await _bring_up(bench, running, deadline_s)
    except TimeoutError:
        step, code = _unfinished_step(row)
        text = f"not ready within {deadline_s:g} s, at step '{step}'{_tail(running)}"
        _fail(row, code, text, late=True)
    except TonnageError as error:
        tail = _tail(running) if isinstance(error, InstanceExited) else ""
        _fail(row, error.code, f"{error}{tail}", late=isinstance(error, AgentSilent | EngineTimeout))
    else:
        row.outcome = "ok"
    return row.outcome == "ok"


async def take_down(bench: Bench, running: Running, *, graceful: bool) -> None:
    """Stop and remove, stamping the row, and see that nothing is left. Never raises for a failure."""
    if running.console is not None:
        running.console.close()
    if running.instance is None:
        return
    row = running.row
    try:
        async with asyncio.timeout(TAKE_DOWN_BUDGET_S):
            await _take_down(bench, running.instance, row, graceful=graceful)
    except TimeoutError:
        _fail(row, "leak", f"not removed within {TAKE_DOWN_BUDGET_S:g} s")
    except TonnageError as error:
        _fail(row, error.code, f"removal: {error}")


def cut_short(running: Running, code: str, why: str) -> None:
    """Note in its row that bringing an instance up was ended from outside before it was ready."""
    step, _ = _unfinished_step(running.row)
    _fail(running.row, code, f"{why}, at step '{step}'{_tail(running)}", late=True)


async def _bring_up(bench: Bench, running: Running, deadline_s: float) -> None:
    row, driver = running.row, bench.driver
    spec = bench.spec(row.instance, revived=running.revived)
    if running.image is not None:
        spec = replace(spec, image=running.image)
    limits = spec.limits if running.limits is None else running.limits
    name = f"{spec.name}{running.suffix}"
    spec = replace(spec, name=name, limits=limits, pids=running.pids)
    row.t_call = bench.now()
    if running.brings_image:
        await driver.prepare(spec.image)
    running.instance = await driver.create(spec)
    row.t_created = bench.now()
    if row.ready_level in ("beacon", "reply"):
        running.console = await driver.attach(running.instance)
        running.agent = Agent(running.console, spec.nonce)
    await driver.start(running.instance)
    row.t_started = bench.now()
    if running.agent is not None:
        await running.agent.beacon(deadline_s)
        row.t_beacon = bench.now()
        row.guest_uptime_ns = running.agent.uptime_ns
        if row.ready_level == "reply":
            await running.agent.ask("ping", deadline_s=deadline_s)
    elif row.ready_level != "started":
        await _answers(await driver.address(running.instance), row.ready_level)
    row.t_ready = bench.now()


async def _take_down(bench: Bench, instance: Instance, row: InstanceRow, *, graceful: bool) -> None:
    driver = bench.driver

    def stamp_exit(_: object) -> None:
        if row.t_exited is None:  # else it was killed before, and that was its end
            row.t_exited = bench.now()

    death = await driver.watch_exit(instance) if row.t_started is not None else None
    if death is not None:
        death.add_done_callback(stamp_exit)
    row.t_stop_call = bench.now()
    await driver.stop(instance, graceful=graceful)
    await driver.remove(instance)
    row.t_gone = bench.now()
    if death is not None:
        await asyncio.wait({death}, timeout=RECLAIM_DEADLINE_S)
        death.cancel()
    left = await _reclaim(bench, instance)
    if left:
        _fail(row, "leak", f"still there {RECLAIM_DEADLINE_S:g} s after removal: {', '.join(left)}")
    else:
        row.t_reclaimed = bench.now()


async def _reclaim(bench: Bench, instance: Instance) -> list[str]:
    """Poll until nothing is left; the poll's step, 5 to 50 ms, is the stamp's error."""
    give_up = bench.now() + round(RECLAIM_DEADLINE_S * 1e9)
    step_s = _POLL_S
    while left := await bench.driver.remains(instance):
        if bench.now() > give_up:
            return left
        await asyncio.sleep(step_s)
        step_s = min(step_s * 1.5, 10 * _POLL_S)
    return []


async def _answers(address: str, level: str) -> None:
    """Poll tcp:PORT or http:PORT/PATH every 5 ms until it answers; the caller sets the deadline."""
    match = re.match(r"^(tcp|http):([0-9]+)(/.*)?$", level)
    assert match is not None, level
    kind, port, path = match[1], int(match[2]), match[3] or "/"
    while True:
        try:
            if kind == "tcp":
                _, writer = await asyncio.open_connection(address, port)
                writer.close()
                return
            if await asyncio.to_thread(_http_ok, f"http://{address}:{port}{path}"):
                return
        except OSError:
            pass  # not listening yet
        await asyncio.sleep(_POLL_S)


def _http_ok(url: str) -> bool:
    try:
        with _NO_PROXY.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, http.client.HTTPException):
        return False


def _unfinished_step(row: InstanceRow) -> tuple[str, str]:
    """The step that a row without all its stamps was at, and the code of its being late."""
    if row.t_created is None:
        return "create", EngineTimeout.code
    if row.t_started is None:
        return "start", EngineTimeout.code
    return row.ready_level if row.t_beacon is None else "reply", AgentSilent.code


def _tail(running: Running) -> str:
    last = " | ".join(running.console.tail) if running.console else ""
    return f"; console said: {last}" if last else ""


def _fail(row: InstanceRow, error_class: str, text: str, *, late: bool = False) -> None:
    if row.error_class is not None:  # the first cause counts, what came of it is told beside it
        row.error_text = f"{row.error_text}; then {text}"
        return
    row.outcome = "timeout" if late else "failed"
    row.error_class, row.error_text = error_class, text
