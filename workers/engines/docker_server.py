"""Which engine answers Docker's API on this host, where, and what its users are told to do about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workers.settings import HostSettings

_START = {
    "docker": "start Docker",
    "podman": (
        "start its service with 'systemctl start podman.socket', or without systemd "
        "'podman system service --time=0 unix:///run/podman/podman.sock'"
    ),
}
_ALLOW = {
    "docker": "run it as root or in the group 'docker'",
    "podman": "run it as root, or name the socket of this user's own service with --podman-socket",
}
_INSECURE = {
    "docker": "name the registry among the engine's 'insecure-registries'",
    "podman": "name the registry with 'insecure = true' in containers' registries.conf",
}


@dataclass(frozen=True, slots=True)
class ApiServer:
    """An engine that speaks Docker's API at a local socket: Docker itself, or Podman."""

    name: Literal["docker", "podman"]
    socket: Path
    deadline_s: float
    """Longest wait for one call."""

    @classmethod
    def docker(cls, host: HostSettings) -> "ApiServer":
        """The host's Docker engine."""
        return cls("docker", host.docker_socket, host.engine_deadline_s)

    @classmethod
    def podman(cls, host: HostSettings) -> "ApiServer":
        """The host's Podman service."""
        return cls("podman", host.podman_socket, host.engine_deadline_s)

    @property
    def start_it(self) -> str:
        """What to do when nothing listens."""
        return f"{_START[self.name]}, or name another with --{self.name}-socket"

    @property
    def allow_it(self) -> str:
        """What to do when the socket may not be used."""
        return _ALLOW[self.name]

    @property
    def trust_registry(self) -> str:
        """What to do about a registry that speaks no TLS."""
        return _INSECURE[self.name]
