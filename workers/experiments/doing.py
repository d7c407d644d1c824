"""One repetition of work in an instance, whatever kind it is of: what is asked, and what came of it."""

import base64
import binascii
import ipaddress
from collections.abc import Callable
from typing import Any

from contract.errors import AgentError, AgentSilent, WorkError
from workers.agent import Agent
from workers.bench import Bench
from workers.experiments.overhead_params import FILE_MIB, STARTS, OverheadParams
from workers.experiments.reported import encoded, number_by_path, number_by_pattern, words_of
from workers.experiments.stages import Running

_PORTS = (20_000, 32_000)
"""Below those that kernels choose by themselves."""
_PORT_TRIES = 8
_MOST_ERRORS = 500
"""Characters of a failed program's errors."""


class Doing:
    """The work of one trial, in one instance, perhaps with a peer of it."""

    def __init__(self, bench: Bench, running: Running, peer: Running | None) -> None:
        assert running.agent is not None
        self._bench = bench
        self._params: OverheadParams = bench.params
        self._agent: Agent = running.agent
        self._peer = peer
        self._request: tuple[object, ...] = (self._params.work,)

    async def prepare(self) -> None:
        """See that the work can be asked for. Raises a TonnageError that says why it cannot."""
        params = self._params
        if params.work in ("direct", "random", "fsync"):
            await self._ask("lay", params.file_mib or FILE_MIB)
        if params.command is not None:
            self._request = ("run", *map(encoded, words_of(params.command)))
        elif params.is_linked:
            self._request = (params.work, *await self._link(), params.units)
        elif params.work != "ping":
            self._request = (params.work, params.units)

    async def start_programs(self) -> int | None:
        """Start as many programs as a repetition will, for nothing. Returns how long it took, ns."""
        programs = STARTS.get(self._params.work)
        if programs is None:
            return None
        begun = self._bench.now()
        await self._ask("starts", programs * self._params.units)
        return self._bench.now() - begun

    async def ask(self) -> dict[str, Any]:
        """Have it done. Raises AgentSilent, AgentError or InstanceExited."""
        return await self._ask(*self._request)

    async def reported(self, answer: dict[str, Any]) -> float | None:
        """The number that a command printed; None where none is asked for.

        Raises WorkError for a command that failed, or did not print it.
        """
        params = self._params
        if params.command is None:
            return None
        if "value" in answer:  # of a simulated instance, where no program prints anything
            return float(answer["value"]) if params.unit else None
        told = await self._ask("output")
        status = answer.get("status")
        if status != 0 and told.get("complete") is True:
            said = _decoded(told, "errors").strip() or _decoded(told, "output").strip() or "nothing"
            raise WorkError(f"the command ended with {status}; it said: {said[-_MOST_ERRORS:]}")
        if told.get("complete") is not True:
            raise WorkError("the command printed more than 32 KiB: have it print less")
        return self._number_in(_decoded(told, "output"), _decoded(told, "errors"))

    def _number_in(self, output: str, errors: str) -> float | None:
        try:
            if self._params.pattern is not None:
                return number_by_pattern(self._params.pattern, output)
            if self._params.json_path is not None:
                return number_by_path(self._params.json_path, output)
        except WorkError as error:
            if output or not errors.strip():
                raise
            aside = errors.strip()[-_MOST_ERRORS:]
            raise WorkError(f"{error}. Only standard output is read; the errors end: {aside}") from error
        return None

    async def _ask(self, *request: object) -> dict[str, Any]:
        name, *args = map(str, request)
        return await self._agent.ask(name, *args, deadline_s=self._params.work_deadline_s)

    async def _link(self) -> tuple[str, int]:
        """Have the peer listen. Returns where."""
        peer = self._peer
        assert peer is not None
        assert peer.instance is not None
        assert peer.agent is not None
        address = await self._bench.driver.address(peer.instance)
        port = await _listening_port(peer.agent, self._params, self._bench.rng.randrange)
        loopback = ipaddress.ip_address(address).is_loopback
        self._bench.findings["link"] = {"address": address, "port": port, "loopback": loopback}
        return address, port


async def _listening_port(agent: Agent, params: OverheadParams, draw: Callable[[int, int], int]) -> int:
    """A port that the agent listens at: one that is taken already is passed over."""
    refusal: AgentError | None = None
    for _ in range(_PORT_TRIES):
        port = draw(*_PORTS)
        try:
            await agent.ask("listen", params.work, port, params.units, deadline_s=params.work_deadline_s)
        except AgentSilent:
            raise
        except AgentError as error:
            refusal = error
        else:
            return port
    assert refusal is not None
    raise refusal


def _decoded(told: dict[str, Any], name: str) -> str:
    try:
        return base64.b64decode(str(told.get(name, "")), validate=True).decode("utf-8", "replace")
    except binascii.Error as error:
        raise WorkError(f"the command's {name} came damaged over the console: {error}") from error
