"""podman: containers of Podman on this host, through the service that answers Docker's API."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from contract.catalog import Capability, Settings
from contract.errors import EngineError, EngineTimeout
from workers.console import Console
from workers.drivers import docker
from workers.drivers.base import Instance
from workers.engines import docker_containers
from workers.engines.docker_records import Record
from workers.engines.docker_server import ApiServer
from workers.engines.podman_console import HeldConsole
from workers.engines.podman_records import PodmanSettings, podman_facts, see_that_it_uses
from workers.ownership import Owner
from workers.settings import HostSettings
from workers.verbs.podman import PodmanVerbs

_POLL_S = 0.02


class Driver(docker.Driver):
    """Containers that a process of their own (conmon) holds: there is no daemon to be restarted.

    A backend of its own, never Docker under another name: what its API answers only looks alike.
    """

    name = "podman"
    summary = "containers of Podman, by the OCI runtime of their service"
    Settings: ClassVar[type[Settings]] = PodmanSettings
    offers = docker.Driver.offers - {Capability.ENGINE_RESTART}

    verb_kind = PodmanVerbs
    backoff_reset_s = 0.0  # its restart policy knows no delay

    def __init__(self, settings: PodmanSettings, host: HostSettings, owner: Owner) -> None:
        super().__init__(settings, host, owner)
        self._held: dict[str, list[HeldConsole]] = {}

    @staticmethod
    def find_server(host: HostSettings) -> ApiServer:
        """Podman's own socket."""
        return ApiServer.podman(host)

    def check(self, info: Record) -> None:
        """See that the service uses the runtime that the profile wants. Raises EngineError."""
        assert isinstance(self.settings, PodmanSettings)
        see_that_it_uses(self.settings.runtime, info)

    def describe(self, info: Record, version: Record) -> dict[str, Any]:
        """Podman's version, its runtime's and conmon's, and what it keeps images in."""
        return podman_facts(info, version)

    async def attach(self, instance: Instance) -> Console:
        """Attach, and hold the connection for as long as the instance lives."""
        console = HeldConsole(await super().attach(instance))
        self._held.setdefault(instance.spec.name, []).append(console)
        return console

    async def reattach(self, instance: Instance) -> Console:
        """Attach once more. Refused unless its first process lives.

        Whoever attaches to a container that has ended makes Podman set it up anew, without a start, and
        its restart policy then does nothing any more. For a moment the record still says that it runs.
        """
        record = await self._inspect(instance)
        if record is None or not _runs(record):
            raise EngineError(f"podman: '{instance.spec.name}' does not run, so it has no console")
        return await self.attach(instance)

    async def stop(self, instance: Instance, *, graceful: bool) -> None:
        """As Docker does it, then wait for Podman to tidy up: nothing can be asked of it before."""
        try:
            await super().stop(instance, graceful=graceful)
        except EngineError:  # one that has just died, and is not on record as such, cannot be killed
            record = await self._inspect(instance)
            if record is not None and _runs(record):
                raise
        try:
            async with asyncio.timeout(self.host.engine_deadline_s):
                while _is_ending(await self._inspect(instance)):
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise EngineTimeout(f"podman did not end '{instance.spec.name}'") from error

    async def remove(self, instance: Instance) -> None:
        """Remove the container and its anonymous volumes, running or not."""
        await super().remove(instance)
        self._let_go(instance.spec.name)  # earlier, the end of its input would race with the removal

    async def close(self) -> None:
        """Close the connections, which ends the agents of what was not removed."""
        for name in list(self._held):
            self._let_go(name)
        await super().close()

    async def _remove(self, container: str) -> None:
        try:
            await super()._remove(container)
        except EngineError:  # one that ends by itself meanwhile cannot be killed any more, which fails
            record = await docker_containers.inspect(self.links, container)
            if record is not None and record["State"].get("Running"):
                raise
            await super()._remove(container)

    async def _inspect(self, instance: Instance) -> Record | None:
        assert isinstance(instance, docker.DockerInstance)
        return await docker_containers.inspect(self.links, instance.container)

    def _let_go(self, name: str) -> None:
        for console in self._held.pop(name, []):
            console.end()


def _is_ending(record: Record | None) -> bool:
    """Whether its first process has ended, or is about to, and Podman has not put that on record yet."""
    return record is not None and record["State"].get("Status") in ("running", "stopping", "stopped")


def _runs(record: Record) -> bool:
    """Whether it runs, not only on record."""
    return bool(record["State"].get("Running")) and _lives(record["State"]["Pid"])


def _lives(pid: int) -> bool:
    """Whether a process runs and is not about to die.

    One that was killed says that it runs until it is next scheduled, and the first of a PID namespace
    that it sleeps until its children are gone; the signal stays pending, and the program goes first.
    """
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        pending = next(line for line in status.splitlines() if line.startswith("ShdPnd:"))
        is_killed = int(pending.split()[1], 16) >> (signal.SIGKILL - 1) & 1
        return not is_killed and bool(Path(f"/proc/{pid}/exe").readlink())
    return False
