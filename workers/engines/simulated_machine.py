"""What exists on simulated hosts: instances, and the consoles that they speak on."""

import asyncio
import hashlib
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contract.errors import InstanceExited
from workers.console import Console
from workers.drivers.base import Instance
from workers.ownership import Owner


@dataclass(slots=True)
class SimulatedInstance(Instance):
    """A set of draws and a little state."""

    up_factor: float = 1.0
    down_factor: float = 1.0
    fate: str = "well"
    owner: Owner | None = None
    console: "SimulatedConsole | None" = None
    state: str = "created"
    born_s: float = 0.0
    """When it was started, by the loop's clock."""
    hangs: bool = False
    """It lives and answers nothing."""
    awake: bool = False
    """Its agent has said its first words; what was asked before waits for it."""
    stressed_until_s: float = -math.inf
    """When its stress ended, by the loop's clock; in all eternity while it goes on."""
    death: asyncio.Event = field(default_factory=asyncio.Event)
    marker: str = ""
    """The word that its agent was told to keep."""
    cpus: float | None = None
    memory_mib: int | None = None
    """Limits that it was given after its creation."""


machines: dict[str, dict[str, SimulatedInstance]] = {}
"""What exists on each simulated host, by instance name; outlives a driver object as an engine would."""


class SimulatedConsole(Console):
    """Speaks the agent's protocol: beacon, then one answer per request after the reply time."""

    def __init__(
        self,
        instance: SimulatedInstance,
        answer_s: Callable[[str], float],
        told: Callable[[str], dict[str, Any]] = lambda _: {},
    ) -> None:
        super().__init__()
        self._instance = instance
        self._answer_s = answer_s
        self._told = told
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._unread: list[str] = []

    async def receive(self) -> str:
        """The next line; InstanceExited once the instance is dead."""
        line = await self.lines.get()
        if line is None:
            self.lines.put_nowait(None)
            raise InstanceExited("the console closed")
        self.tail.append(line)
        return line

    async def send(self, line: str) -> None:
        """Answer ``<ticket> <request> …`` as the agent would."""
        if self._instance.death.is_set():
            raise InstanceExited("the console broke: the instance is dead")
        if self._instance.hangs:
            return
        if not self._instance.awake:
            self._unread.append(line)
            return
        request = line.split(" ")[1]
        took_s = self._answer_s(request)
        if math.isinf(took_s):
            return
        if request in WORKS:  # it goes on while whoever asked waits, up to a deadline
            asyncio.get_running_loop().call_later(took_s, self._answer, line, took_s)
        else:
            await asyncio.sleep(took_s)
            self._answer(line)

    def speak(self, beacon: str) -> None:
        """The agent's first words, and then what it was asked meanwhile."""
        self.lines.put_nowait(beacon)
        self.catch_up()

    def catch_up(self) -> None:
        """Answer what was asked while it was not awake."""
        for line in self._unread:
            self._answer(line)
        self._unread.clear()

    def _answer(self, line: str, took_s: float | None = None) -> None:
        """What the agent does with a line that it reads."""
        ticket, _, request = line.partition(" ")
        if request in _ENDS:
            die(self._instance)
            return
        answer: dict[str, Any] = {"re": ticket, "ok": True} | self._told(request)
        if request.startswith("stress "):
            self._instance.stressed_until_s = math.inf
        elif request == "calm":
            self._instance.stressed_until_s = asyncio.get_running_loop().time()
        if took_s is not None:
            answer["elapsed_s"] = round(took_s, 2)
        if request.split(" ")[0] not in _REQUESTS:
            answer = {"re": ticket, "ok": False, "error": f"unknown request: {request}"}
        self.lines.put_nowait(json.dumps(answer))

    def close(self) -> None:
        """Nothing to let go of."""


_ENDS = frozenset({"die", "oom"})
WORKS = frozenset(
    {"cpu", "mem", "disk", "sys", "fork", "direct", "random", "fsync", "net", "stream", "run"}
)
ORDERS = frozenset({"stress", "calm"})
_REQUESTS = (
    WORKS
    | ORDERS
    | {"ping", "uptime", "inspect", "digest", "quit", "lay", "starts", "listen", "mark", "marked"}
)


def boot(sim: SimulatedInstance) -> None:
    """Its agent says its first words, or it ends, as fate has it."""
    if sim.fate == "exit":
        die(sim)
    elif not sim.death.is_set():
        sim.awake = True
        if sim.console is not None:
            sim.console.speak(json.dumps({"beacon": sim.spec.nonce, "uptime_s": ""}))


def die(sim: SimulatedInstance) -> None:
    """Its process ends, and with it its console and what it does to others."""
    sim.stressed_until_s = min(sim.stressed_until_s, asyncio.get_running_loop().time())
    sim.death.set()
    if sim.console is not None:
        sim.console.lines.put_nowait(None)


def birthdays(name: str) -> list[float]:
    """When each of the instances that run on a simulated host was started."""
    there = machines.get(name, {}).values()
    return [sim.born_s for sim in there if sim.state == "running" and not sim.death.is_set()]


async def until_dead(sim: SimulatedInstance) -> None:
    """Wait for the end of its process."""
    await sim.death.wait()


def normal_of(name: str) -> float:
    """A standard normal draw that is always the same for the same name."""
    return random.Random(hashlib.sha256(name.encode()).digest()).gauss(0, 1)
