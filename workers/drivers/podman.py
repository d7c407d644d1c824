"""podman: containers of Podman on this host, through the service that answers Docker's API."""

from typing import Any, ClassVar

from contract.catalog import Capability, Settings
from workers.drivers import docker
from workers.engines.docker_records import Record
from workers.engines.docker_server import ApiServer
from workers.engines.podman_records import PodmanSettings, podman_facts
from workers.settings import HostSettings


class Driver(docker.Driver):
    """Containers that a process of their own (conmon) holds: there is no daemon to be restarted.

    A backend of its own, never Docker under another name: what its API answers only looks alike.
    """

    name = "podman"
    summary = "containers of Podman, with the OCI runtime as a setting"
    Settings: ClassVar[type[Settings]] = PodmanSettings
    offers = docker.Driver.offers - {Capability.ENGINE_RESTART}

    @staticmethod
    def find_server(host: HostSettings) -> ApiServer:
        """Podman's own socket."""
        return ApiServer.podman(host)

    def describe(self, info: Record, version: Record) -> dict[str, Any]:
        """Podman's version, its runtime's and conmon's, and what it keeps images in."""
        return podman_facts(info, version)
