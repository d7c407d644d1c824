"""Verbs of a Docker engine."""

from dataclasses import replace
from typing import Any

from contract.campaign import Limits
from workers.engines import cgroup_limits, docker_containers, docker_verbs
from workers.engines.docker_verbs import REPOSITORY
from workers.ownership import LABEL_PREFIX
from workers.verbs.base import Renewed, Support, Verb, Verbs, emulated, native, none

_MIB = 1024 * 1024
_NO_LOG = "the profile's 'log_driver' keeps nothing"
_NO_CHECKPOINT = (
    "the engine's checkpoints are experimental and need CRIU on the host; they are not driven"
)


class DockerVerbs(Verbs):
    """What the engine does to containers. A snapshot is an image: files without memory."""

    async def supports(self, image: str, limits: Limits) -> dict[Verb, Support]:
        """Logs are kept by some log drivers only."""
        logged = self._driver.settings.log_driver != "none"
        update = "POST /containers/ID/update"
        return await super().supports(image, limits) | {
            Verb.EXEC: native("POST /containers/ID/exec, POST /exec/ID/start"),
            Verb.LOGS: native("GET /containers/ID/logs") if logged else none(_NO_LOG),
            Verb.PAUSE: native("POST /containers/ID/pause"),
            Verb.RESUME: native("POST /containers/ID/unpause"),
            Verb.STOP: native("POST /containers/ID/stop when graceful, else /kill"),
            Verb.START: native("POST /containers/ID/start"),
            Verb.RESTART: native("POST /containers/ID/restart"),
            Verb.SNAPSHOT: native("POST /commit: the container's files as an image, no memory"),
            Verb.RESTORE: emulated(
                "DELETE /containers/ID, POST /containers/create of the image, POST /containers/ID/start"
            ),
            Verb.CHECKPOINT: none(_NO_CHECKPOINT),
            Verb.CHECKPOINT_RESTORE: none(_NO_CHECKPOINT),
            Verb.CPU_LESS: native(update),
            Verb.CPU_MORE: native(update),
            Verb.MEMORY_LESS: native(update),
            Verb.MEMORY_MORE: native(update),
            Verb.RENAME: native("POST /containers/ID/rename"),
            Verb.LIST: native("GET /containers/json?all=1 by label"),
        }

    async def exec(self, instance: Any, word: str) -> str:
        """``echo`` of the image."""
        image = instance.spec.image
        ours = image == "tiny" or image.startswith(REPOSITORY)
        program = ["/bin/busybox", "echo"] if ours else ["echo"]
        return str(await self._ask(docker_verbs.run, instance.container, [*program, word]))

    async def logs(self, instance: Any) -> str:
        """The last lines."""
        return str(await self._ask(docker_verbs.logs, instance.container))

    async def pause(self, instance: Any) -> None:
        """Freeze all its processes."""
        await docker_containers.pause(self._links, instance.container)

    async def resume(self, instance: Any) -> None:
        """Let them go on."""
        await docker_containers.unpause(self._links, instance.container)

    async def restart(self, instance: Any, *, graceful: bool) -> None:
        """SIGTERM and 10 s to end when graceful, else SIGKILL; then start."""
        grace_s = docker_containers.STOP_GRACE_S if graceful else 0
        await docker_containers.restart(self._links, instance.container, grace_s)

    async def save(self, verb: Verb, instance: Any, name: str) -> None:
        """Commit. The engine pauses the container meanwhile."""
        await self._ask(docker_verbs.commit, instance.container, name)

    async def saved(self, verb: Verb, instance: Any) -> list[str]:
        """Tags of our repository of snapshots."""
        return list(await self._ask(docker_verbs.snapshots))

    async def bring_back(self, verb: Verb, instance: Any, name: str) -> Renewed:
        """A container of the image in place of the old one."""
        await self._driver.remove(instance)
        spec = replace(instance.spec, image=f"{REPOSITORY}:{name}")
        fresh = await self._driver.create(spec)
        console = await self._driver.attach(fresh)
        await self._driver.start(fresh)
        return Renewed(fresh, console)

    async def forget(self, verb: Verb, instance: Any, name: str) -> None:
        """Remove the image, unless a container still needs it: then the sweep does."""
        await self._ask(docker_verbs.drop_snapshot, f"{REPOSITORY}:{name}")

    async def limit_cpus(self, instance: Any, cpus: float) -> None:
        """Update."""
        body = {"NanoCpus": round(cpus * 1e9)}
        await docker_containers.update(self._links, instance.container, body)

    async def cpus(self, instance: Any) -> float | None:
        """As the container's control group has it."""
        return await self._driver.engine(cgroup_limits.cpus_of, await self._groups(instance))

    async def limit_memory(self, instance: Any, memory_mib: int) -> None:
        """Update. Equal values: no swap."""
        limit_bytes = memory_mib * _MIB
        body = {"Memory": limit_bytes, "MemorySwap": limit_bytes}
        await docker_containers.update(self._links, instance.container, body)

    async def memory_mib(self, instance: Any) -> int | None:
        """As the container's control group has it."""
        return await self._driver.engine(cgroup_limits.memory_mib_of, await self._groups(instance))

    async def rename(self, instance: Any, name: str) -> Renewed:
        """It goes on running."""
        await docker_containers.rename(self._links, instance.container, name)
        instance.spec = replace(instance.spec, name=name)
        return Renewed(instance, None)

    async def knows(self, instance: Any, name: str) -> bool:
        """Whether the name leads to the container's id."""
        record = await docker_containers.inspect(self._links, name)
        return record is not None and record["Id"] == instance.container

    async def names(self) -> list[str]:
        """Those with our label for this host, in any state."""
        return list(await self._ask(docker_verbs.names, f"{LABEL_PREFIX}host={self._driver.host.name}"))

    async def _groups(self, instance: Any) -> Any:
        if not instance.places.cgroups:
            await self._driver.pid(instance)  # looks them up
        return list(instance.places.cgroups or ())

    @property
    def _links(self) -> Any:
        driver: Any = self._driver
        return driver.links

    async def _ask(self, function: Any, *args: Any) -> Any:
        driver: Any = self._driver
        return await driver._ask(function, driver.api, *args)
