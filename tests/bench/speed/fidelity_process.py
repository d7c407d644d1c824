"""Bare processes by Tonnage against bare loops of posix_spawn and of asyncio: how many per second.

A lifecycle is spawn, the agent's first line, kill and reap. Tonnage also makes and removes a work folder
with the owner's name, watches the end by pidfd, and sees that nothing is left.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import engines
from figure import Figure, Size
from interleaved import in_turn, medians
from process_by_hand import Command
from trial_batches import Batch, TrialBatches, by_hand

from contract.campaign import Limits
from workers.drivers import process
from workers.drivers.base import InstanceSpec
from workers.settings import HostSettings

NEEDS: tuple[str, ...] = ()
INSTANCES = 64
ROUNDS = {Size.SMOKE: 1, Size.FULL: 15, Size.HUGE: 100}
LANES = {Size.SMOKE: [8], Size.FULL: [1, 8, 16], Size.HUGE: [1, 8, 16, 64]}
BUDGET = 2.0
"""Ours: what is asked of every instance beside its process costs no more than the process itself."""


def measure(size: Size) -> Iterator[Figure]:
    """Lifecycles per second; milliseconds of create and start."""
    with engines.short_folder() as folder:
        host = HostSettings(name="bench", state_dir=folder / "state", run_dir=folder / "run")
        with TrialBatches("process", host) as batches:
            command = _command(batches)
            for lanes in LANES[size]:
                yield from _at(batches, command, lanes, ROUNDS[size])


def _command(batches: TrialBatches) -> Command:
    """What the driver would run, but in a work folder that stays."""
    spec = InstanceSpec(0, "bare", "tiny", "bench", Limits())
    instance = batches.run(batches.driver.create(spec))
    assert isinstance(instance, process.ProcessInstance)
    environment = process._environment(instance, batches.owner())
    del environment["TONNAGE_INSTANCE"]
    environment |= {name: str(batches.host.state_dir) for name in ("HOME", "TMPDIR", "TONNAGE_WORK")}
    batches.run(batches.driver.remove(instance))
    return Command(instance.program.command, environment)


def _at(batches: TrialBatches, command: Command, lanes: int, rounds: int) -> Iterator[Figure]:
    seen: dict[str, list[Batch]] = {"tonnage": [], "posix_spawn": [], "asyncio": []}

    def noted(name: str, batch: Callable[[], Batch]) -> Callable[[], float]:
        def once() -> float:
            seen[name].append(batch())
            return seen[name][-1].per_s

        return once

    with ThreadPoolExecutor(lanes) as pool:
        ways = {
            "tonnage": noted("tonnage", lambda: batches.batch(INSTANCES, lanes)),
            "posix_spawn": noted(
                "posix_spawn", lambda: by_hand(command.by_posix_spawn, INSTANCES, pool)
            ),
            "asyncio": noted("asyncio", lambda: command.by_asyncio(INSTANCES, lanes)),
        }
        found = medians(in_turn(rounds, ways))
    up = {
        name: medians({"up": [b.up_s * 1e3 for b in all_of_it[1:]]}) for name, all_of_it in seen.items()
    }
    for name, budget in (("posix_spawn", BUDGET), ("asyncio", None)):
        where, limit_is = f"{lanes} at once, beside {name}", f"bare loop of {name}"
        yield Figure(
            f"lifecycles, {where}",
            found["tonnage"],
            "1/s",
            found[name],
            limit_is,
            budget,
            higher_is_better=True,
        )
        yield Figure(f"create and start, {where}", up["tonnage"]["up"], "ms", up[name]["up"], limit_is)
