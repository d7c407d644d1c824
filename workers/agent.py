"""Speaking with the agent inside an instance: its beacon, and requests answered by one JSON line."""

import asyncio
import math
from typing import Any

from contract.errors import AgentError, AgentSilent
from contract.strict_json import read_json
from workers.console import MAX_LINE_BYTES, Console

_MOST_SAID = 1000
"""Characters of a refusal that are kept."""
_MOST_UPTIME_S = 10**9


class Agent:
    """The agent behind one console. Lines that are not the agent's (kernel messages) are passed over."""

    def __init__(self, console: Console, nonce: str) -> None:
        self._console = console
        self._nonce = nonce
        self._asked = 0
        self.uptime_ns: int | None = None

    async def beacon(self, deadline_s: float) -> None:
        """Wait for the first words. Raises AgentSilent after ``deadline_s``, with the last lines."""
        spoken = await self._wait_for("beacon", self._nonce, deadline_s)
        self.uptime_ns = read_uptime_ns(spoken.get("uptime_s"))

    async def ask(self, request: str, *args: object, deadline_s: float = 10.0) -> dict[str, Any]:
        """Send a request, return its answer. Raises AgentSilent or AgentError."""
        self._asked += 1
        ticket = f"{self._nonce}-{self._asked}"
        await self._console.send(" ".join([ticket, request, *map(str, args)]))
        answer = await self._wait_for("re", ticket, deadline_s)
        if answer.get("ok") is not True:
            said = str(answer.get("error", answer))[:_MOST_SAID]
            raise AgentError(f"the agent refused '{request}': {said}")
        return answer

    async def _wait_for(self, key: str, value: str, deadline_s: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    line = await self._console.receive()
                    spoken = parse_line(line)
                    if spoken is not None and spoken.get(key) == value:
                        return spoken
        except TimeoutError as error:
            last = " | ".join(self._console.tail) or "nothing at all"
            raise AgentSilent(f"no '{key}' within {deadline_s:g} s; console said: {last}") from error


def parse_line(line: str) -> dict[str, Any] | None:
    """What the agent says in a line; None for a line that is not the agent's.

    What stands before its words is passed over: a serial port echoes what was sent before the agent was
    there, and the echo may end within a line.
    """
    begin = line.find("{")
    if begin < 0:
        return None
    try:
        spoken = read_json(line[begin:], MAX_LINE_BYTES)
    except ValueError:
        return None
    return spoken if isinstance(spoken, dict) else None


def read_uptime_ns(text: object) -> int | None:
    """Seconds with a decimal point, as /proc/uptime writes them; None where there is no guest."""
    try:
        seconds = float(str(text)) if text else math.nan
    except ValueError:
        return None
    return round(seconds * 1e9) if 0 <= seconds < _MOST_UPTIME_S else None
