"""Verbs of Podman's service, which answers most of Docker's API, for the driver of that engine."""

from typing import Any

from contract.campaign import Limits
from workers.engines import docker_containers
from workers.verbs.base import Support, Verb, none
from workers.verbs.docker import DockerVerbs

_NO_UPDATE = "this Podman's service does not have POST /containers/ID/update"
_LIMITS = (Verb.CPU_LESS, Verb.CPU_MORE, Verb.MEMORY_LESS, Verb.MEMORY_MORE)


class PodmanVerbs(DockerVerbs):
    """As Docker's, but for what a Podman of this age does not answer."""

    async def supports(self, image: str, limits: Limits) -> dict[Verb, Support]:
        """Limits of running containers came late: the service is asked."""
        found = await super().supports(image, limits)
        driver: Any = self._driver
        is_open = driver._client is not None
        if is_open and not await docker_containers.has_update(self._links):
            found |= dict.fromkeys(_LIMITS, none(_NO_UPDATE))
        return found
