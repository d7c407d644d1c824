"""Lifecycles of a bare process as a person would write the loop: posix_spawn, and asyncio's way."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trial_batches import DEADLINE_S, Batch, Life


@dataclass(frozen=True)
class Command:
    """What Tonnage's driver runs, with the environment that it gives."""

    arguments: Sequence[str]
    environment: Mapping[str, str]

    def by_posix_spawn(self) -> Life:
        """Spawn, read the agent's first line, kill, reap. In a session of its own, as the driver's."""
        begun = time.perf_counter()
        child_in, entry = os.pipe()
        output, child_out = os.pipe()
        files = [
            (os.POSIX_SPAWN_DUP2, child_in, 0),
            (os.POSIX_SPAWN_DUP2, child_out, 1),
            (os.POSIX_SPAWN_DUP2, child_out, 2),
        ]
        program, environment = self.arguments[0], dict(self.environment)
        pid = os.posix_spawn(program, list(self.arguments), environment, file_actions=files, setsid=True)
        started = time.perf_counter()
        os.close(child_in)
        os.close(child_out)
        with os.fdopen(output, "rb") as lines:
            first = lines.readline()
            stop = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(entry)
        gone = time.perf_counter()
        if b"beacon" not in first:
            raise RuntimeError(f"the agent said {first!r}")
        return Life(started - begun, gone - stop, gone - begun)

    def by_asyncio(self, instances: int, lanes: int) -> Batch:
        """A batch by ``asyncio.create_subprocess_exec``."""

        async def lane(waiting: list[int]) -> list[Life]:
            lives = []
            while waiting:
                waiting.pop()
                lives.append(await self._asynchronously())
            return lives

        async def whole() -> list[Life]:
            waiting = list(range(instances))
            ended = await asyncio.gather(*(lane(waiting) for _ in range(lanes)))
            return list(itertools.chain.from_iterable(ended))

        begun = time.perf_counter()
        lives = asyncio.run(asyncio.wait_for(whole(), DEADLINE_S))
        return Batch(lives, time.perf_counter() - begun)

    async def _asynchronously(self) -> Life:
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *self.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(self.environment),
            start_new_session=True,
        )
        started = time.perf_counter()
        assert process.stdout is not None
        first = await process.stdout.readline()
        stop = time.perf_counter()
        process.kill()
        await process.wait()
        gone = time.perf_counter()
        if b"beacon" not in first:
            raise RuntimeError(f"the agent said {first!r}")
        return Life(started - begun, gone - stop, gone - begun)
