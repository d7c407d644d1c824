"""security: what an instance has within reach, as facts from in and outside. No score, no exploit."""

from dataclasses import asdict
from typing import Any, ClassVar

from pydantic import Field

from contract.catalog import Capability, Metric, Params
from contract.errors import AgentError, AgentSilent, TonnageError
from contract.rows import InstanceRow, Sample
from workers.agent import Agent
from workers.bench import Bench
from workers.experiments import base
from workers.experiments.stages import Running, bring_up, take_down
from workers.surface.marker import marked
from workers.surface.system_calls import SystemCalls
from workers.surface.vector import Seen, numbers_of, vector_of

WORKLOAD = (("ping",), ("cpu", 1), ("mem", 16), ("sys", 200), ("fork", 5), ("disk", 1))
"""What the instance does while its system calls are counted: always the same."""


class SecurityParams(Params):
    """What security can vary."""

    trace: bool = Field(
        True, description="count the system calls that it makes on the host for a fixed workload"
    )
    answer_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for one answer")
    ready_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for the instance")


def _counted(name: str, meaning: str) -> Metric:
    return Metric(f"security.{name}", "1", "lower", meaning)


class Experiment(base.Experiment):
    """The same questions to every kind of instance, and to the host about it."""

    name = "security"
    summary = "what an instance has within reach: a vector of facts from inside and outside"
    Params: ClassVar[type[Params]] = SecurityParams
    metrics = (
        _counted("capabilities", "effective capabilities inside; a guest's are over its own kernel"),
        _counted("host_capabilities", "effective capabilities of its own process on the host"),
        _counted(
            "shared_namespaces", "of 7 namespaces, those that a program inside shares with the host"
        ),
        _counted("devices", "entries of /dev inside; a guest's are virtual"),
        _counted("block_devices", "block devices in /dev inside, of 1024 at most"),
        _counted(
            "writable_kernel_paths", "of 10 paths of the host's kernel, those writable from inside"
        ),
        _counted("host_mounts", "mounts inside of file systems that the host has mounted too"),
        _counted("host_processes_visible", "processes of the host that are to be seen inside"),
        _counted("host_interfaces", "network interfaces of the host to be seen inside, of 1024 at most"),
        _counted("host_syscalls", "distinct system calls made on the host's kernel for the workload"),
        Metric("security.host_syscall_count", "1", "neither", "all of these calls together"),
    )
    example = """\
campaign: security-example
blocks: 2
experiments:
  - experiment: security
    drivers: [simulated]
"""

    @classmethod
    def needs(cls, params: SecurityParams) -> frozenset[Capability]:  # noqa: ARG003 - all need it
        """A console to ask through."""
        return frozenset({Capability.CONSOLE})

    @classmethod
    def plan_rows(cls, params: SecurityParams) -> list[InstanceRow]:  # noqa: ARG003 - always one
        """One instance."""
        return [InstanceRow(instance=0)]

    async def run(self, bench: Bench) -> None:
        """Up; look from inside and outside; let it work under trace; down."""
        (row,) = bench.recorder.rows.instances
        running = Running(row)
        row.t_intent = bench.now()
        try:
            if await bring_up(bench, running, bench.params.ready_deadline_s):
                await _examine(bench, running)
        except TonnageError as error:
            row.outcome = "timeout" if isinstance(error, AgentSilent) else "failed"
            row.error_class, row.error_text = error.code, str(error)
        finally:
            await take_down(bench, running, graceful=False)
            bench.recorder.finish(row)


async def _examine(bench: Bench, running: Running) -> None:
    """See everything. What was seen is kept, however far it gets."""
    agent, instance, driver = running.agent, running.instance, bench.driver
    assert agent is not None
    assert instance is not None
    inside = await agent.ask("inspect", deadline_s=bench.params.answer_deadline_s)
    seen = Seen(inside, await driver.surface(instance))
    try:
        seen.engine = await driver.confinement(instance)
        seen.marker_read = await _reads_marker(bench, agent)
        if bench.params.trace:
            seen.calls = await _traced(bench, running, agent)
    finally:
        _note(bench, seen)


async def _reads_marker(bench: Bench, agent: Agent) -> bool | None:
    """Whether a file of the host can be read from inside; None where its path cannot be asked for."""
    with marked(bench.driver.host.state_dir, bench.owner) as marker:
        try:
            answer = await agent.ask("digest", marker.path, deadline_s=bench.params.answer_deadline_s)
        except AgentError:
            return None
        return bool(answer.get("sha256") == marker.sha256)


async def _traced(bench: Bench, running: Running, agent: Agent) -> SystemCalls:
    """The calls of the workload. Without a tracer nothing is done, and the reason told."""
    assert running.instance is not None
    tracer = await bench.driver.tracer(running.instance)
    undone = []
    try:
        await tracer.begin()
        for request in WORKLOAD:
            try:
                await agent.ask(*request, deadline_s=bench.params.answer_deadline_s)
            except AgentError:
                undone.append(request[0])
    finally:
        calls = await tracer.end()
    if undone and calls.counts is not None:
        return SystemCalls(calls.counts, f"{calls.how}; it could not do: {', '.join(map(str, undone))}")
    return calls


def _note(bench: Bench, seen: Seen) -> None:
    """Facts to the trial's findings, their numbers to its samples."""
    facts = vector_of(seen)
    bench.findings["security"] = {name: _plain(asdict(fact)) for name, fact in facts.items()}
    for name, value in numbers_of(facts).items():
        bench.recorder.sample(Sample(bench.now(), f"security.{name}", value, "1", instance=0))


def _plain(fact: dict[str, Any]) -> dict[str, Any]:
    return fact if fact["guest"] else {"value": fact["value"], "how": fact["how"]}
